// How do a few minutes look at a glance?

/** Points that are kept: five minutes of looks. */
const POINTS = 150;
const [WIDTH, HEIGHT] = [300, 72];
const SVG = 'http://www.w3.org/2000/svg';

/** A small chart with its latest value in words. */
export function chart(page, name, words, most) {
  const figure = page.createElement('figure');
  figure.className = 'chart';
  const caption = page.createElement('figcaption');
  const [label, value] = [page.createElement('span'), page.createElement('span')];
  label.className = 'name';
  label.textContent = name;
  value.className = 'value';
  value.textContent = '–';
  caption.append(label, value);
  const svg = shape(page, 'svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const area = shape(page, 'polygon', {});
  const line = shape(page, 'polyline', {});
  svg.append(shape(page, 'line', { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), area, line);
  const scale = page.createElement('p');
  scale.className = 'scale';
  const [since, top] = [page.createElement('span'), page.createElement('span')];
  since.textContent = 'last 5 min';
  scale.append(since, top);
  figure.append(caption, svg, scale);
  const points = [];

  return {
    figure,
    /** One more look; nothing where there was nothing to see. */
    add(point) {
      points.push(point);
      if (points.length > POINTS) points.shift();
      value.textContent = point === undefined ? '–' : words(point);
      const known = points.filter((one) => one !== undefined);
      const highest = most ?? Math.max(...known, 0);
      top.textContent = known.length > 0 ? `up to ${words(Math.max(...known))}` : '';
      draw(line, area, points, highest > 0 ? highest : 1);
    },
  };
}

function draw(line, area, points, highest) {
  const left = WIDTH - (points.length - 1) * (WIDTH / (POINTS - 1));
  const places = [];
  points.forEach((point, at) => {
    if (point === undefined) return;
    const x = left + at * (WIDTH / (POINTS - 1));
    const y = HEIGHT - Math.min(point / highest, 1) * (HEIGHT - 4);
    places.push([x.toFixed(1), y.toFixed(1)]);
  });
  const path = places.map((place) => place.join(',')).join(' ');
  line.setAttribute('points', path);
  area.setAttribute('points', places.length > 1
    ? `${places[0][0]},${HEIGHT} ${path} ${places.at(-1)[0]},${HEIGHT}`
    : '');
}

function shape(page, name, attributes) {
  const made = page.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
