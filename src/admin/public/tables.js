// How is what the listener tells put into tables?
//
// Names come from the configuration and from callers, and are text; nothing is made of markup.

import { label, sum } from './numbers.js';

const GOOD = new Set(['fit']);
const WARN = new Set(['cooling', 'unresolved']);

/** A row of cells, each a text or a pair of a text and a class. */
export function row(page, cells) {
  const made = page.createElement('tr');
  cells.forEach((cell, at) => {
    const [text, kind] = Array.isArray(cell) ? cell : [cell];
    const one = page.createElement(at === 0 ? 'th' : 'td');
    if (at === 0) one.scope = 'row';
    if (kind) one.className = kind;
    one.textContent = text ?? '–';
    made.append(one);
  });
  return made;
}

/** Puts rows in the place of those that are there, if they are others. */
export function fill(body, rows) {
  const text = rows.map((one) => one.outerHTML).join('');
  if (body.dataset.shown === text) return;
  body.dataset.shown = text;
  body.replaceChildren(...rows);
}

export function pools(page, told, metrics) {
  const rows = [];
  for (const [name, pool] of Object.entries(told)) {
    // They are counted for the whole pool.
    let ejections = String(sum(metrics, 'spafe_target_ejections_total', (labels) => label(labels, 'pool') === name));
    for (const target of pool.targets) {
      const endpoints = target.endpoints.length > 0
        ? target.endpoints
        : [{ address: '–', state: pool.reason ? 'unusable' : 'unresolved', in_flight: 0 }];
      for (const endpoint of endpoints) {
        const state = pool.reason ? `${endpoint.state}: ${pool.reason}` : endpoint.state;
        rows.push(row(page, [name, target.target, endpoint.address, [words(state), kind(endpoint.state)], [String(endpoint.in_flight), 'number'], [ejections, 'number']]));
        ejections = '';
      }
    }
  }
  return rows;
}

function kind(state) {
  if (GOOD.has(state)) return 'is-good';
  return WARN.has(state) ? 'is-warn' : 'is-bad';
}

function words(state) {
  return state.replaceAll('_', ' ');
}

export function failures(page, told) {
  return told.map((one) => row(page, [
    new Date(one.time).toLocaleTimeString('en-GB'),
    one.model ?? one.endpoint,
    one.pool,
    [String(one.status), 'is-bad'],
    one.code ?? words(one.outcome),
    [String(one.attempt_count), 'number'],
    [`${Math.round(one.duration_ms)} ms`, 'number'],
    one.request_id,
  ]));
}

export function limits(page, told, metrics) {
  return told.map((limit) => {
    const fits = (labels) => label(labels, 'limit') === limit.name;
    const refused = sum(metrics, limit.shadow ? 'spafe_limit_shadow_refused_total' : 'spafe_limit_refused_total', fits);
    const name = limit.shadow ? `${limit.name} (shadow)` : limit.name;
    return row(page, [name, limit.by, [allows(limit), 'allows'], [String(refused), 'number']]);
  });
}

/** What each model used, the dearest first, and all of them together. */
export function usage(page, told) {
  const cells = (name, one) => row(page, [
    name,
    ...[one.requests, one.tokens_in, one.tokens_cached, one.tokens_out]
      .map((count) => [count.toLocaleString('en'), 'number']),
    [one.requests > 0 && one.requests_unpriced === one.requests ? null : one.cost_usd.toFixed(4), 'number'],
  ]);
  return [...told.usage.map((one) => cells(one.model, one)), cells('All', told.total)];
}

function allows(limit) {
  const parts = [];
  for (const what of ['requests', 'tokens']) {
    const window = limit[what];
    if (window) parts.push(`${window.count.toLocaleString('en')} ${what} each ${window.per}`);
  }
  if (limit.cost) parts.push(`${limit.cost.usd.toFixed(2)} USD each ${limit.cost.per}`);
  if (limit.concurrent) parts.push(`${limit.concurrent} at once`);
  if (limit.streams) parts.push(`${limit.streams} streams`);
  return parts.join(', ');
}

/** Lines of a name and what is to be said of it. */
export function lines(page, pairs) {
  return pairs.map(([name, text]) => {
    const line = page.createElement('li');
    for (const part of [name, text]) {
      const made = page.createElement('span');
      made.textContent = part;
      line.append(made);
    }
    return line;
  });
}

/** Terms with what they are. */
export function terms(page, pairs) {
  return pairs.map(([name, text]) => {
    const pair = page.createElement('div');
    const [term, value] = [page.createElement('dt'), page.createElement('dd')];
    term.textContent = name;
    value.textContent = text;
    pair.append(term, value);
    return pair;
  });
}
