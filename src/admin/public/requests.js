// What happened last, to whom?
//
// The listener is asked for the last requests that fit what is chosen; a row tells its
// attempts where there is more to say than how many. All of it is text.

import { fill, row } from './tables.js';

const CHOICES = ['model', 'pool', 'client', 'key', 'outcome', 'status'];

/** What is asked for, as a query; nothing that is not chosen stands in it. */
export function query(form) {
  const chosen = new URLSearchParams({ limit: '50' });
  for (const name of CHOICES) {
    const value = form.elements[name].value.trim();
    if (value !== '') chosen.set(name, value);
  }
  for (const name of ['failed', 'slow']) if (form.elements[name].checked) chosen.set(name, '1');
  return `requests?${chosen}`;
}

/** The rows of the last requests. */
export function requests(page, told) {
  return told.map((one) => row(page, [
    new Date(one.time).toLocaleTimeString('en-GB'),
    one.model ?? one.asked ?? one.endpoint,
    one.pool,
    [String(one.status), one.status >= 500 ? 'is-bad' : one.status >= 400 ? 'is-warn' : 'is-good'],
    said(one),
    one.key ?? one.client,
    [`${Math.round(one.duration_ms)} ms`, 'number'],
    [tokens(one), 'number'],
    tried(one),
    one.request_id,
  ]));
}

function said(one) {
  const words = [one.code ?? one.outcome.replaceAll('_', ' ')];
  if (one.cache) words.push(one.cache.replaceAll('_', ' '));
  if (one.slow) words.push('slow');
  return words.join(', ');
}

function tokens({ tokens_in: asked, tokens_out: answered }) {
  return asked === undefined && answered === undefined ? undefined : `${asked ?? 0} / ${answered ?? 0}`;
}

function tried(one) {
  if (!one.attempts) return String(one.attempt_count);
  const words = ({ pool, outcome, duration_ms: took }) => `${pool}: ${outcome.replaceAll('_', ' ')} ${Math.round(took)} ms`;
  return one.attempts.map(words).join(' → ');
}

/** Looks again, and says so where nothing fits or what is chosen cannot be asked for. */
export async function look(page) {
  const form = page.getElementById('requests-wanted');
  // What cannot be asked for is not: half a number stands there while it is written.
  const told = form.checkValidity()
    ? await fetch(query(form)).then((answer) => answer.json())
    : { error: 'A status is three digits.' };
  const all = told.requests ?? [];
  const none = page.getElementById('no-requests');
  const words = told.error ?? 'None that fits.';
  if (none.textContent !== words) none.textContent = words;
  none.hidden = all.length > 0;
  page.getElementById('requests-scroll').hidden = all.length === 0;
  fill(page.getElementById('requests'), requests(page, all));
}
