// Does the AI SDK notice which dialect answers? It is told of each, one after the other.

import assert from 'node:assert/strict';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

const provider = createOpenAICompatible({
  name: 'spafe',
  baseURL: `${process.env.SPAFE_URL}/v1`,
  apiKey: process.env.SPAFE_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const schema = z.object({ city: z.string(), inhabitants: z.number().int() });
const wanted = { city: 'simulated', inhabitants: 7 };

function told(of, result) {
  return tool({
    description: `Tells the ${of}.`,
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `${result} in ${city}`,
  });
}

async function answers(model, name) {
  const whole = await generateText({ model, prompt: 'Hi', maxRetries: 0 });
  assert.ok(whole.text.startsWith(`Hello! I am ${name}`), whole.text);
  assert.equal(whole.finishReason, 'stop');
  const stream = streamText({ model, prompt: 'Hi', maxRetries: 0, onError });
  let text = '';
  for await (const part of stream.textStream) text += part;
  assert.equal(text, whole.text);
  assert.equal(await stream.finishReason, 'stop');
  const [{ outputTokens }, usage] = [whole.usage, await stream.usage];
  assert.equal(usage.outputTokens, outputTokens);
  assert.ok(outputTokens > 5);
}

// An error of a stream is thrown where its text is read, and is not to be printed beside.
function onError() {}

async function calls(model) {
  const asked = {
    model,
    prompt: 'Hi',
    maxRetries: 0,
    tools: { weather: told('weather', '31 C'), time: told('time', 'noon') },
    stopWhen: stepCountIs(4),
  };
  const streamed = streamText({ ...asked, onError });
  await streamed.consumeStream();
  const whole = await generateText(asked);
  for (const [steps, text] of [[whole.steps, whole.text], [await streamed.steps, await streamed.text]]) {
    assert.equal(steps.length, 2);
    assert.deepEqual(steps[0].toolCalls.map(({ toolName, input }) => [toolName, input]), [
      ['weather', { city: 'simulated' }],
      ['time', { city: 'simulated' }],
    ]);
    assert.equal(steps[0].finishReason, 'tool-calls');
    assert.ok(text.startsWith('That came of it: 31 C in simulated, noon in simulated.'), text);
  }
}

async function sees(model) {
  const content = [
    { type: 'text', text: 'What is it?' },
    { type: 'image', image: `data:image/png;base64,${process.env.SPAFE_PICTURE}` },
  ];
  const { text } = await generateText({ model, messages: [{ role: 'user', content }], maxRetries: 0 });
  assert.match(text, /What is it\?/);
}

async function fits(model) {
  const asked = { model, schema, prompt: 'Hi', maxRetries: 0 };
  assert.deepEqual((await generateObject(asked)).object, wanted);
  const streamed = streamObject({ ...asked, onError });
  let last;
  for await (const partial of streamed.partialObjectStream) last = partial;
  assert.deepEqual(last, wanted);
  assert.deepEqual(await streamed.object, wanted);
}

async function fails(name, { field, value }) {
  const check = async (status, model, more = {}) => {
    await assert.rejects(generateText({ model: provider(model), prompt: 'Hi', maxRetries: 0, ...more }), (error) => {
      assert.ok(APICallError.isInstance(error), String(error));
      assert.equal(error.statusCode, status, error.message);
      assert.ok(error.message && error.data.error.code, error.responseBody);
      if (status === 400) assert.equal(error.data.error.param, field);
      return true;
    });
  };
  await check(502, `${name}-401`);
  await check(429, `${name}-429`);
  await check(404, `${name}-none`);
  await check(400, name, { providerOptions: { spafe: { [field]: value } } });
}

async function leaves(name) {
  const controller = new AbortController();
  const model = provider(`${name}-slow`);
  const stream = streamText({ model, prompt: 'Hi', maxRetries: 0, abortSignal: controller.signal, onError });
  let [text, isAborted] = ['', false];
  for await (const part of stream.fullStream) {
    if (part.type === 'text-delta') {
      text += part.text;
      controller.abort();
    }
    isAborted ||= part.type === 'abort';
  }
  assert.ok(isAborted && text.startsWith('Hello!'), text);
}

for (const { name, refused, embeddings } of JSON.parse(process.env.SPAFE_DIALECTS)) {
  try {
    const model = provider(name);
    await answers(model, name);
    await calls(model);
    await sees(model);
    await fits(model);
    await fails(name, refused);
    await leaves(name);
    if (embeddings) {
      const { embedding } = await embed({ model: provider.embeddingModel(name), value: 'a' });
      assert.equal(embedding.length, 8);
    }
  } catch (error) {
    console.error(`dialect ${name}`);
    throw error;
  }
}
