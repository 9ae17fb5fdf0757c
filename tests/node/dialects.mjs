// Does the JavaScript SDK notice which dialect answers? It is told of each, one after the other.

import assert from 'node:assert/strict';

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const settings = { baseURL: `${process.env.SPAFE_URL}/v1`, maxRetries: 0, timeout: 60_000 };
const client = new OpenAI({ ...settings, apiKey: process.env.SPAFE_KEY });
const stranger = new OpenAI({ ...settings, apiKey: 'canary-none' });
const completions = client.chat.completions;
const messages = [{ role: 'user', content: 'Hi' }];
const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const place = z.object({ city: z.string(), inhabitants: z.number().int(), rivers: z.array(z.string()) });

// The completion, joined by the SDK where it is streamed.
function asked(stream, body) {
  if (!stream) return completions.create(body);
  const streamed = { ...body, stream_options: { include_usage: true } };
  return completions.stream(streamed).finalChatCompletion();
}

async function answers(name, stream) {
  const { choices: [choice], model, usage } = await asked(stream, { model: name, messages });
  assert.equal(model, name);
  assert.equal(choice.finish_reason, 'stop');
  assert.ok(choice.message.content.startsWith(`Hello! I am ${name}`), choice.message.content);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.ok(usage.completion_tokens > 5);
}

// The SDK itself calls what is to be called and goes on until there is an answer.
async function calls(name, stream) {
  const called = [];
  const tool = (of, result) => ({
    type: 'function',
    function: {
      name: of,
      description: `Tells the ${of}.`,
      parameters,
      parse: JSON.parse,
      function: (given) => {
        called.push([of, given]);
        return result;
      },
    },
  });
  const tools = [tool('weather', '31 C'), tool('time', 'noon')];
  const content = await completions.runTools({ model: name, messages, tools, stream }).finalContent();
  assert.deepEqual(called, [['weather', { city: 'simulated' }], ['time', { city: 'simulated' }]]);
  assert.ok(content.startsWith('That came of it: 31 C, noon.'), content);
}

async function sees(name) {
  const url = `data:image/png;base64,${process.env.SPAFE_PICTURE}`;
  const content = [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url } }];
  const { choices } = await completions.create({ model: name, messages: [{ role: 'user', content }] });
  assert.match(choices[0].message.content, /What is it\?/);
}

async function fits(name) {
  const body = { model: name, messages, response_format: zodResponseFormat(place, 'place') };
  const wanted = { city: 'simulated', inhabitants: 7, rivers: ['simulated'] };
  const whole = await completions.parse(body);
  assert.deepEqual(whole.choices[0].message.parsed, wanted);
  const streamed = await completions.stream(body).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, wanted);
}

async function throws(wanted, code, param, call) {
  let error;
  await assert.rejects(call, (thrown) => {
    error = thrown;
    return true;
  });
  assert.equal(error.constructor, wanted, String(error));
  assert.equal(error.code, code, String(error));
  if (param) assert.equal(error.param, param, String(error));
  return error;
}

async function fails(name, { field, value }) {
  for (const stream of [false, true]) {
    const code = field === 'n' ? 'invalid_value' : 'unsupported_parameter';
    const body = { model: name, messages, stream, [field]: value };
    const error = await throws(OpenAI.BadRequestError, code, field, () => completions.create(body));
    assert.ok(error.message.includes(field), error.message);
  }
  const ask = (model, by = client) => () => by.chat.completions.create({ model, messages });
  await throws(OpenAI.InternalServerError, 'upstream_auth', null, ask(`${name}-401`));
  const slow = await throws(OpenAI.RateLimitError, 'upstream_rate_limited', null, ask(`${name}-429`));
  assert.ok(Number(slow.headers.get('retry-after')) > 0);
  await throws(OpenAI.NotFoundError, 'model_not_found', 'model', ask(`${name}-none`));
  await throws(OpenAI.AuthenticationError, 'invalid_api_key', null, ask(name, stranger));
}

async function leaves(name) {
  const stream = await completions.create({ model: `${name}-slow`, messages, stream: true });
  let content = '';
  for await (const { choices } of stream) {
    content += choices[0]?.delta.content ?? '';
    if (content) stream.controller.abort();
  }
  assert.equal(content, 'Hello!');
}

async function embeds(name, hasEmbeddings) {
  const ask = () => client.embeddings.create({ model: name, input: ['a', 'b'], dimensions: 4 });
  if (!hasEmbeddings) {
    await assert.rejects(ask, OpenAI.NotFoundError);
    return;
  }
  const { data } = await ask();
  assert.deepEqual(data.map(({ embedding }) => embedding.length), [4, 4]);
}

const listed = [];
for await (const { id } of client.models.list()) listed.push(id);
for (const { name, refused, embeddings } of JSON.parse(process.env.SPAFE_DIALECTS)) {
  try {
    assert.ok(listed.includes(name), listed.join());
    for (const stream of [false, true]) {
      await answers(name, stream);
      await calls(name, stream);
    }
    await sees(name);
    await fits(name);
    await fails(name, refused);
    await leaves(name);
    await embeds(name, embeddings);
  } catch (error) {
    console.error(`dialect ${name}`);
    throw error;
  }
}
