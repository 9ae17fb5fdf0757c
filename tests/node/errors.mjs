// Does the JavaScript SDK throw the right class, with message, code and request id?

import assert from 'node:assert/strict';

import OpenAI from 'openai';

const faults = JSON.parse(process.env.SPAFE_FAULTS);
const working = process.env.SPAFE_WORKING;
const messages = [{ role: 'user', content: 'Hi' }];
const classes = {
  400: OpenAI.BadRequestError,
  404: OpenAI.NotFoundError,
  405: OpenAI.APIError,
  409: OpenAI.ConflictError,
  413: OpenAI.APIError,
  415: OpenAI.APIError,
  422: OpenAI.UnprocessableEntityError,
  429: OpenAI.RateLimitError,
};

let sent = 0;
const settings = {
  baseURL: `${process.env.SPAFE_URL}/v1`,
  apiKey: 'not-needed',
  fetch: (...request) => {
    sent += 1;
    return fetch(...request);
  },
};
const client = new OpenAI({ ...settings, maxRetries: 0 });

// Calls, and compares what is thrown with what must be.
async function check(expected, call, headers = {}) {
  const requestId = `javascript-${sent}`;
  const name = JSON.stringify(expected);
  let error;
  try {
    await call({ headers: { 'x-request-id': requestId, ...headers } });
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error, `${name}: answered`);
  const wanted = classes[expected.status] ?? OpenAI.InternalServerError;
  assert.equal(error.constructor, wanted, `${name}: ${error}`);
  assert.equal(error.status, expected.status, name);
  assert.equal(error.code, expected.code, name);
  assert.equal(error.type, expected.type, name);
  assert.equal(error.requestID, requestId, name);
  assert.ok(error.message.includes(expected.words ?? ''), `${name}: ${error.message}`);
  return error;
}

const invalid = (status, code) => ({ status, type: 'invalid_request_error', code });

for (const fault of faults) {
  for (const stream of fault.once ? [false] : [false, true]) {
    await check(fault, (options) =>
      client.chat.completions.create({ model: fault.model, messages, stream }, options));
  }
}

const ask = (body) => (options) => client.chat.completions.create(body, options);
const unknown = await check(invalid(404, 'model_not_found'), ask({ model: 'nope/nope', messages }));
assert.equal(unknown.param, 'model');
await check(invalid(400, 'invalid_value'), ask({ model: working, messages: 'Hi' }));
await check(invalid(400, 'missing_field'), ask({ model: working }));
const large = [{ role: 'user', content: 'x'.repeat(Number(process.env.SPAFE_BODY_BYTES_MAX)) }];
await check(invalid(413, 'body_too_large'), ask({ model: working, messages: large }));
await check(invalid(415, 'unsupported_media_type'), ask({ model: working, messages }), {
  'Content-Type': 'text/plain',
});
await check(invalid(404, 'model_not_found'), (options) => client.models.retrieve('nope', options));
await check(invalid(404, 'not_found'), (options) => client.get('/nothing', options));
await check(invalid(405, 'method_not_allowed'), (options) => client.get('/chat/completions', options));

// Where the gateway has tried already, the SDK's own two retries are spared.
const tried = faults.filter(({ status, code, once }) =>
  !once && code !== 'no_healthy_upstream' && (status === 429 || status >= 500));
const patient = new OpenAI({ ...settings, maxRetries: 2 });
for (const fault of tried) {
  const before = sent;
  await check(fault, (options) =>
    patient.chat.completions.create({ model: fault.model, messages }, options));
  assert.equal(sent, before + 1, `${fault.model}: the SDK asked ${sent - before} times`);
}

// An error inside a stream: what came before it is there, then it is thrown.
const received = [];
const broken = await client.chat.completions.create(
  { model: process.env.SPAFE_BREAKING, messages, stream: true },
  { headers: { 'x-request-id': 'javascript-stream' } },
);
await assert.rejects(
  async () => {
    for await (const chunk of broken) received.push(chunk.choices[0].delta.content);
  },
  (error) => {
    assert.equal(error.constructor, OpenAI.APIError);
    assert.equal(error.code, 'upstream_unavailable');
    assert.equal(error.type, 'upstream_error');
    assert.equal(error.requestID, 'javascript-stream');
    assert.ok(error.message.includes('broke off'), error.message);
    return true;
  },
);
assert.deepEqual(received, ['Hello']);
