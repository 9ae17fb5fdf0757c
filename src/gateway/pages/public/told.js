// What did the answer's head tell?

/** Facts of an answer for reading: pairs of a name and what is to be said of it. */
export function facts(headers, times) {
  const told = [];
  const say = (name, value) => { if (value) told.push([name, value]); };
  say('First token', times.first === undefined ? '' : span(times.first));
  say('In all', times.whole === undefined ? '' : span(times.whole));
  say('Cache', cache(headers.get('cache-status'), headers.get('age')));
  say('Requests left', left(headers, 'requests'));
  say('Tokens left', left(headers, 'tokens'));
  say('Answered by', who(headers));
  say('Request', headers.get('x-request-id'));
  return told;
}

/** `812 ms`, `3.4 s` */
export function span(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** RFC 9211's verdict in words. */
export function cache(status, age) {
  if (!status) return '';
  const parts = status.split(';').map((part) => part.trim());
  const value = (name) => parts.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
  if (parts.includes('hit')) return age ? `From memory, ${age} s old` : 'From memory';
  if (parts.includes('collapsed')) return 'Shared with the same question';
  switch (value('fwd')) {
    case 'bypass': return `Not asked${value('detail') ? ` (${value('detail').replaceAll('-', ' ')})` : ''}`;
    case 'stale': return 'In memory, but too old';
    default: return 'Not in memory';
  }
}

function left(headers, what) {
  const remaining = headers.get(`x-ratelimit-remaining-${what}`);
  const limit = headers.get(`x-ratelimit-limit-${what}`);
  if (remaining === null || limit === null) return '';
  const reset = headers.get(`x-ratelimit-reset-${what}`);
  const number = (text) => Number(text).toLocaleString('en');
  return `${number(remaining)} of ${number(limit)}${reset ? `, all in ${reset}` : ''}`;
}

function who(headers) {
  const model = headers.get('x-spafe-model');
  const upstream = headers.get('x-spafe-upstream');
  const attempts = Number(headers.get('x-spafe-attempts'));
  if (!model) return '';
  const times = attempts > 1 ? `, at attempt ${attempts}` : '';
  return `${model}${upstream ? ` at ${upstream}` : ''}${times}`;
}
