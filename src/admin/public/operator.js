// How does this process stand, and what would a reload change?
//
// The page asks the listener every two seconds for what any program may ask it for. It changes
// nothing by itself: the one call that does is behind a button, after what it would do was shown.

import { chart } from './charts.js';
import { label, quantile, read, since, sum } from './numbers.js';
import { look as lookAtRequests } from './requests.js';
import { failures, fill, limits, lines, pools, row, terms, usage } from './tables.js';

const LOOK_AGAIN_MS = 2_000;

const at = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
const percent = (value) => `${Math.round(value * 100)} %`;
const bytes = (value) => (value < 1 << 20 ? `${Math.ceil(value / 1024)} KiB` : `${(value / (1 << 20)).toFixed(1)} MiB`);

const charts = {
  rate: chart(document, 'Requests a second', number),
  failed: chart(document, 'Failed', percent, 1),
  latency: chart(document, 'Latency, p95', seconds),
  first: chart(document, 'First byte, p95', seconds),
  hits: chart(document, 'From the cache', percent, 1),
};
at('charts').append(...Object.values(charts).map(({ figure }) => figure));

let last = null;
let inForce = '';

async function look() {
  try {
    const [ready, limit, cache, failed, used, text] = await Promise.all([
      json('readyz'), json('limits'), json('cache'), json('failures'), json('usage?since=24h'),
      fetch('metrics').then((answer) => answer.text()),
    ]);
    const metrics = read(text);
    fill(at('usage'), usage(document, used));
    plot(metrics, performance.now());
    tell(ready, limit, cache, failed.failures, metrics);
    await lookAtRequests(document);
    if (ready.config !== inForce) await tellConfiguration(ready.config);
  } catch {
    say('is-bad', 'The admin listener does not answer');
    last = null;
  }
}

async function json(path, options) {
  const answer = await fetch(path, options);
  return answer.json();
}

function plot(metrics, now) {
  if (last) {
    const [before, then] = last;
    const asked = since(before, metrics, 'spafe_requests_total');
    const failed = since(before, metrics, 'spafe_requests_total', (labels) => label(labels, 'class') === '5xx');
    const looked = since(before, metrics, 'spafe_cache_requests_total', (labels) => label(labels, 'verdict') !== 'bypass');
    const found = since(before, metrics, 'spafe_cache_requests_total', fromMemory);
    charts.rate.add(asked / ((now - then) / 1000));
    charts.failed.add(asked > 0 ? failed / asked : undefined);
    charts.latency.add(quantile(before, metrics, 'spafe_request_duration_seconds', 0.95));
    charts.first.add(quantile(before, metrics, 'spafe_time_to_first_byte_seconds', 0.95));
    charts.hits.add(looked > 0 ? found / looked : undefined);
  }
  last = [metrics, now];
}

function fromMemory(labels) {
  return ['hit', 'stale', 'collapsed'].includes(label(labels, 'verdict'));
}

function tell(ready, limit, cache, failed, metrics) {
  if (ready.draining) say('is-warn', 'Draining');
  else if (ready.ready) say('is-good', `Ready · ${number(sum(metrics, 'spafe_requests_in_flight'))} in flight`);
  else say('is-bad', ready.starting ? 'Starting' : 'Not ready');
  fill(at('pools'), pools(document, ready.pools, metrics));
  fill(at('failures'), failures(document, failed));
  at('no-failures').hidden = failed.length > 0;
  at('failures-scroll').hidden = failed.length === 0;
  fill(at('limits'), limits(document, limit.limits ?? [], metrics));
  const heavy = limit.heaviest.by_requests.slice(0, 8);
  fill(at('heaviest'), lines(document, heavy.map((one) => [one.caller, `${number(one.count)} requests`])));
  tellCache(cache);
}

function tellCache(cache) {
  const models = Object.entries(cache.models);
  const asked = models.reduce((all, [, one]) => all + one.asked, 0);
  const found = models.reduce((all, [, one]) => all + one.from_memory, 0);
  fill(at('cache'), terms(document, [
    ['Answers kept', number(cache.entries)],
    ['Memory', `${bytes(cache.bytes)} of ${bytes(cache.bytes_max)}`],
    ['From memory', asked > 0 ? percent(found / asked) : '–'],
    ['On their way', number(cache.flights)],
    ['Shared tier', cache.second_tier ? (cache.second_tier.up ? 'up' : 'away') : 'off'],
  ]));
  const useful = models.filter(([, one]) => one.from_memory > 0)
    .sort(([, one], [, other]) => other.from_memory - one.from_memory).slice(0, 8);
  fill(at('useful'), lines(document, useful.map(([name, one]) => [name, `${number(one.from_memory)} of ${number(one.asked)}`])));
}

async function tellConfiguration(version) {
  const told = await json('config');
  inForce = version;
  fill(at('config-facts'), terms(document, [
    ['Version', told.version],
    ['In force since', new Date(told.since).toLocaleString('en-GB')],
    ['Generation', String(told.generation)],
    ['Pools', String(told.config.pools.length)],
    ['Models', String(told.config.models.length)],
  ]));
  at('config').textContent = JSON.stringify(told.config, null, 2);
}

function say(kind, words) {
  const state = at('state');
  state.dataset.live = 'told';
  if (state.textContent === words) return;
  state.className = `state ${kind}`;
  state.textContent = words;
}

at('requests-wanted').addEventListener('input', () => lookAtRequests(document).catch(() => {}));
at('requests-wanted').addEventListener('submit', (event) => event.preventDefault());

at('preview').addEventListener('click', async () => {
  const told = await json('reload').catch(() => null);
  at('difference').hidden = true;
  if (!told) return answer(true, ['The admin listener does not answer.']);
  if (!told.possible) return answer(true, ['A reload would change nothing, for what is on disk cannot come into force:', ...told.problems.map(problem)]);
  const { changes, more } = told;
  const number = changes.length + more;
  const words = [];
  if (number > 0) words.push(`A reload would change ${number} key${number === 1 ? '' : 's'}.`);
  if (told.secrets_changed) words.push('Secrets changed. They are not shown.');
  if (words.length === 0) {
    words.push(told.next === told.version
      ? 'A reload would change nothing.'
      : 'Only comments or the order of what is written changed.');
  }
  answer(false, words);
  fill(at('changes'), changes.map((change) => row(document, [change.key, value(change.before), value(change.after)])));
  at('changes-scroll').hidden = changes.length === 0;
  at('difference').hidden = false;
});

at('reload').addEventListener('click', async () => {
  const button = at('reload');
  button.disabled = true;
  const told = await json('reload', { method: 'POST', headers: { 'X-Spafe-Admin': '1' } }).catch(() => null);
  button.disabled = false;
  if (!told) return answer(true, ['The admin listener does not answer.']);
  if (told.error) return answer(true, [told.error]);
  if (!told.reloaded) return answer(true, ['Nothing was changed:', ...told.problems.map(problem)]);
  at('difference').hidden = true;
  answer(false, [`Version ${told.version} is in force.`]);
  inForce = '';
  await look();
});

function answer(failed, words) {
  const told = at('told');
  told.className = failed ? 'told failed' : 'told';
  told.replaceChildren(...words.map((text) => {
    const made = document.createElement('p');
    made.textContent = text;
    return made;
  }));
  told.hidden = false;
}

function problem({ file, line, key, message }) {
  const place = [file, line].filter(Boolean).join(':');
  return [place, key, message].filter(Boolean).join(': ');
}

function value(of) {
  return of === null || of === undefined ? '–' : JSON.stringify(of);
}

setInterval(() => { if (!document.hidden) look(); }, LOOK_AGAIN_MS);
look();
