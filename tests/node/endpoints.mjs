// Does the JavaScript SDK get what it asks for beside chats?

import assert from 'node:assert/strict';

import OpenAI, { toFile } from 'openai';

const client = new OpenAI({ baseURL: `${process.env.SPAFE_URL}/v1`, apiKey: 'not-needed', maxRetries: 0 });
// By the endpoint that each is there for.
const model = 'all';

const made = await client.images.generate({ model: 'painter', prompt: 'A lighthouse' });
assert.equal(made.data.length, 1);
assert.ok(made.data[0].url || made.data[0].b64_json, JSON.stringify(made));

const speech = await client.audio.speech.create({ model, input: 'Hello there', voice: 'alloy' });
assert.match(speech.headers.get('content-type'), /^audio\//);
assert.ok((await speech.arrayBuffer()).byteLength > 0);

const file = await toFile(new Uint8Array(2000), 'talk.wav', { type: 'audio/wav' });
const written = await client.audio.transcriptions.create({ model, file });
assert.ok(written.text, JSON.stringify(written));

const answer = await client.responses.create({ model, input: 'Hi' });
assert.equal(answer.status, 'completed');
assert.ok(answer.output_text, JSON.stringify(answer));
const kinds = [];
let text = '';
for await (const event of await client.responses.create({ model, input: 'Hi', stream: true })) {
  kinds.push(event.type);
  if (event.type === 'response.output_text.delta') text += event.delta;
}
assert.deepEqual([kinds.at(0), kinds.at(-1)], ['response.created', 'response.completed']);
assert.equal(text, answer.output_text);

const judged = await client.moderations.create({ model, input: ['one', 'two'] });
assert.equal(judged.results.length, 2);

// The SDK asks for base64 and makes numbers of it.
const vectors = await client.embeddings.create({ model, input: ['one', 'two'] });
assert.equal(vectors.data.length, 2);
assert.ok(vectors.data[1].embedding.every(Number.isFinite), JSON.stringify(vectors));

const text2 = await client.completions.create({ model, prompt: 'Once upon' });
assert.ok(text2.choices[0].text, JSON.stringify(text2));

await assert.rejects(
  client.embeddings.create({ model: 'talker', input: 'one' }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === 'endpoint_not_served',
);
