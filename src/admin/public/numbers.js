// What do the metrics say?
//
// The listener's own metrics are read, as any monitoring reads them; what a chart shows is the
// difference of two looks.

/** A text of Prometheus' format as a map: a name to its series, each with labels and a value. */
export function read(text) {
  const metrics = new Map();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-zA-Z_:]+)(?:\{(.*)\})? ([^ ]+)$/.exec(line);
    if (!match) continue;
    const [, name, labels, value] = match;
    const series = metrics.get(name) ?? [];
    series.push({ labels: labels ?? '', value: number(value) });
    metrics.set(name, series);
  }
  return metrics;
}

function number(text) {
  return text === '+Inf' ? Infinity : Number(text);
}

/** One label of a series; those of ours hold no escaped quotes but in names of the configuration. */
export function label(labels, name) {
  const match = new RegExp(`(?:^|,)${name}="((?:[^"\\\\]|\\\\.)*)"`).exec(labels);
  return match ? match[1].replace(/\\(["\\])/g, '$1') : '';
}

/** The sum of all series of a name that fit. */
export function sum(metrics, name, fits = () => true) {
  let all = 0;
  for (const { labels, value } of metrics.get(name) ?? []) if (fits(labels)) all += value;
  return all;
}

/** What came to a counter between two looks; a process that began anew begins at nothing. */
export function since(before, now, name, fits) {
  const was = sum(before, name, fits);
  const is = sum(now, name, fits);
  return is >= was ? is - was : is;
}

/** The quantile of what a histogram saw between two looks; none where it saw nothing. */
export function quantile(before, now, name, wanted) {
  const bounds = new Map();
  for (const [metrics, sign] of [[before, -1], [now, 1]]) {
    for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
      const bound = number(label(labels, 'le'));
      bounds.set(bound, (bounds.get(bound) ?? 0) + sign * value);
    }
  }
  const sorted = [...bounds].sort(([a], [b]) => a - b);
  const all = sorted.at(-1)?.[1] ?? 0;
  if (all <= 0) return undefined;
  let [lower, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= all * wanted) {
      if (bound === Infinity) return lower;
      return lower + (bound - lower) * ((all * wanted - below) / Math.max(count - below, 1e-9));
    }
    [lower, below] = [bound, count];
  }
  return lower;
}
