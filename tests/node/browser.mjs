// Can a page of another origin, in a real Chromium, use everything and read every error?

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';

import { chromium } from 'playwright-core';

const url = process.env.SPAFE_URL;
const faults = JSON.parse(process.env.SPAFE_FAULTS);
const working = process.env.SPAFE_WORKING;
const breaking = process.env.SPAFE_BREAKING;
const painting = process.env.SPAFE_PAINTING;
const bodyBytesMax = Number(process.env.SPAFE_BODY_BYTES_MAX);

const server = createServer((_, answer) => {
  answer.setHeader('content-type', 'text/html');
  answer.end(`<!doctype html><title>elsewhere</title>
    <form method="post" enctype="text/plain" action="${url}/api/v1/chat/completions">
    <input name='{"model":"${working}","messages":[],"x":"' value='"}'></form>`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync),
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--no-first-run',
  ],
});
try {
  const page = await browser.newPage();
  // A page is told no more than "Failed to fetch"; the browser knows why.
  page.on('requestfailed', (request) => {
    const sent = (request.postData() ?? '').slice(0, 200);
    console.error(request.method(), request.url(), request.failure().errorText, sent);
  });
  await page.goto(origin);
  await everythingWorks(page);
  await everyErrorIsReadable(page);
  await noPageAsksWithoutPreflight(page);
} finally {
  await browser.close();
  server.close();
}

// The page's side of a call: what its own script can see, nothing else.
function call(page, path, init) {
  return page.evaluate(async ([address, options]) => {
    const answer = await fetch(address, options);
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      requestId: answer.headers.get('x-request-id'),
      retryAfter: answer.headers.get('retry-after'),
      retryAfterMs: answer.headers.get('retry-after-ms'),
      requestsLeft: answer.headers.get('x-ratelimit-remaining-requests'),
      tokensReset: answer.headers.get('x-ratelimit-reset-tokens'),
      text: await answer.text(),
    };
  }, [url + path, init]);
}

// The request of the API's description, as it stands.
function post(page, body, headers = {}) {
  return call(page, '/api/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify({
      messages: [{ role: 'user', content: 'Hi' }],
      stream: false,
      temperature: 0.5,
      presence_penalty: 0,
      frequency_penalty: 0,
      top_p: 1,
      ...body,
    }),
  });
}

async function everythingWorks(page) {
  const answer = await post(page, { model: working });
  assert.equal(answer.status, 200, answer.text);
  assert.ok(JSON.parse(answer.text).choices[0].message.content);
  assert.ok(answer.requestId, 'x-request-id is not exposed');
  assert.match(answer.requestsLeft ?? '', /^9[0-9]{2}$/, 'x-ratelimit-* is not exposed');
  assert.match(answer.tokensReset ?? '', /^([0-9]+ms|([0-9]+h)?([0-9]+m)?[0-9]+s)$/);

  // What the SDK's browser build sends: each such header must pass the preflight.
  const sdk = await post(page, { model: working }, {
    Authorization: 'Bearer not-needed',
    'X-Request-Id': 'from-a-page',
    'X-Stainless-Lang': 'js',
    'X-Stainless-Retry-Count': '0',
    'X-Stainless-Runtime': 'browser:chrome',
  });
  assert.equal(sdk.status, 200, sdk.text);
  assert.equal(sdk.requestId, 'from-a-page');

  const stream = await post(page, { model: working, stream: true });
  assert.equal(stream.status, 200, stream.text);
  assert.ok(stream.type.startsWith('text/event-stream'), stream.type);
  assert.ok(stream.text.endsWith('data: [DONE]\n\n'), stream.text);
  assert.ok(stream.requestId, 'x-request-id of a stream is not exposed');
  assert.match(stream.requestsLeft ?? '', /^9[0-9]{2}$/, 'x-ratelimit-* of a stream is not exposed');

  const models = await call(page, '/api/v1/models');
  assert.ok(JSON.parse(models.text).data.some(({ id }) => id === working), models.text);

  const painted = await post(page, { model: painting });
  const [, image] = JSON.parse(painted.text).choices[0].message.content.match(/\((\S+)\)/);
  const width = await page.evaluate(async (address) => {
    const element = new Image();
    element.src = address;
    await element.decode();
    return element.naturalWidth;
  }, image);
  assert.ok(width > 0, image);
}

async function everyErrorIsReadable(page) {
  for (const fault of faults) {
    for (const stream of fault.once ? [false] : [false, true]) {
      readable(await post(page, { model: fault.model, stream }), fault);
    }
  }
  const invalid = (status, code) => ({ status, type: 'invalid_request_error', code, words: '' });
  readable(await post(page, '{'), invalid(400, 'invalid_json'));
  readable(await post(page, { model: 7 }), invalid(400, 'invalid_value'));
  readable(await post(page, { model: working, user: 'x'.repeat(bodyBytesMax) }), invalid(413, 'body_too_large'));
  readable(await post(page, {}, { 'Content-Type': 'application/xml' }), invalid(415, 'unsupported_media_type'));
  readable(await call(page, '/api/v1/nothing'), invalid(404, 'not_found'));
  readable(await call(page, '/images/nothing'), invalid(404, 'not_found'));
  readable(await call(page, '/api/v1/chat/completions'), invalid(405, 'method_not_allowed'));

  const broken = await post(page, { model: breaking, stream: true });
  assert.equal(broken.status, 200, broken.text);
  assert.ok(broken.requestId, 'x-request-id of a broken stream is not exposed');
  const events = broken.text.split('\n\n').filter((event) => event.startsWith('data: '));
  assert.equal(JSON.parse(events.at(-1).slice(6)).error.code, 'upstream_unavailable', broken.text);
  assert.ok(!broken.text.includes('[DONE]'), broken.text);
}

function readable(answer, expected) {
  const name = `${JSON.stringify(expected)} but ${JSON.stringify(answer)}`;
  assert.equal(answer.status, expected.status, name);
  assert.equal(answer.type, 'application/json', name);
  assert.ok(answer.requestId, name);
  const { error } = JSON.parse(answer.text);
  assert.equal(error.code, expected.code, name);
  assert.equal(error.type, expected.type, name);
  assert.ok(error.message.includes(expected.words), name);
  if (expected.status === 429 || expected.status === 503) {
    assert.match(answer.retryAfter ?? '', /^[1-9][0-9]*$/, name);
    assert.match(answer.retryAfterMs ?? '', /^[1-9][0-9]*$/, name);
  }
}

// A browser sends these without asking first, whatever page they stand on.
async function noPageAsksWithoutPreflight(page) {
  const simple = await call(page, '/api/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'text/plain' },
    body: JSON.stringify({ model: working, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  readable(simple, { status: 415, type: 'invalid_request_error', code: 'unsupported_media_type', words: '' });

  const [form] = await Promise.all([
    page.waitForResponse((answer) => answer.request().method() === 'POST'),
    page.evaluate(() => document.forms[0].submit()),
  ]);
  assert.equal(form.status(), 415);
}
