// Does every model of the demo answer the JavaScript SDK, at once and streamed?

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import OpenAI from 'openai';

const url = process.env.SPAFE_URL;
const imageModel = 'flux';
const messages = [{ role: 'user', content: 'Hi' }];

// The SDK insists on a key; the gateway does not ask for one.
const client = new OpenAI({ baseURL: `${url}/api/v1`, apiKey: 'not-needed', maxRetries: 0 });

async function theListIsTheList() {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  const expected = (await readFile(process.env.SPAFE_MODELS, 'utf8')).trim().split('\n');
  assert.equal(listed.length, 47);
  assert.deepEqual([...listed].sort(), [...expected].sort());
  const withSlash = listed.find((name) => name.includes('/'));
  assert.equal((await client.models.retrieve(withSlash)).id, withSlash);
  return listed;
}

async function answersAtOnce(model) {
  const answer = await client.chat.completions.create({
    model, messages, temperature: 0.5, presence_penalty: 0, frequency_penalty: 0, top_p: 1,
  });
  assert.equal(answer.object, 'chat.completion', model);
  assert.equal(answer.choices[0].finish_reason, 'stop', model);
  assert.equal(answer.choices[0].message.role, 'assistant', model);
  await checkContent(model, answer.choices[0].message.content);
}

async function answersStreamed(model) {
  let content = '';
  const reasons = [];
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk', model);
    for (const choice of chunk.choices) {
      content += choice.delta.content ?? '';
      reasons.push(choice.finish_reason);
    }
  }
  assert.equal(reasons.at(-1), 'stop', model);
  await checkContent(model, content);
}

async function checkContent(model, content) {
  assert.ok(content, `${model}: the answer is empty`);
  if (model !== imageModel) return;
  const found = content.match(/^!\[Generated Image\]\((\S+)\)$/);
  assert.ok(found, `${model}: ${content}`);
  const image = await fetch(found[1]);
  assert.equal(image.status, 200, found[1]);
  assert.equal(image.headers.get('content-type'), 'image/png', found[1]);
  const bytes = new Uint8Array(await image.arrayBuffer());
  assert.deepEqual([...bytes.slice(0, 4)], [0x89, 0x50, 0x4e, 0x47], found[1]);
}

const models = await theListIsTheList();
const jobs = models.flatMap((model) => [() => answersAtOnce(model), () => answersStreamed(model)]);
const answered = jobs.length;
const workers = Array.from({ length: 16 }, async () => {
  for (let job = jobs.pop(); job; job = jobs.pop()) await job();
});
await Promise.all(workers);
console.log(`${answered} requests answered`);
