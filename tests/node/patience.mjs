// Does the JavaScript SDK, as it comes, get over a limit by itself?

import assert from 'node:assert/strict';

import OpenAI from 'openai';

const answers = [];
const client = new OpenAI({
  baseURL: `${process.env.SPAFE_URL}/api/v1`,
  apiKey: 'not-needed',
  fetch: async (...request) => {
    const answer = await fetch(...request);
    answers.push({ status: answer.status, headers: answer.headers, came: performance.now() });
    return answer;
  },
});
const question = { model: process.env.SPAFE_MODEL, messages: [{ role: 'user', content: 'Hi' }] };

const first = await client.chat.completions.create(question);
assert.ok(first.choices[0].message.content);
assert.deepEqual(answers.map(({ status }) => status), [200]);

answers.length = 0;
let content = '';
for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
  content += chunk.choices[0].delta.content ?? '';
}
assert.ok(content);
// Refused once, told when to come back, and served then.
assert.deepEqual(answers.map(({ status }) => status), [429, 200]);
const [refused, served] = answers;
assert.ok(Number(refused.headers.get('retry-after')) >= 1);
const wait = Number(refused.headers.get('retry-after-ms'));
assert.ok(wait > 0 && wait <= 2000, wait);
assert.ok(served.came - refused.came >= wait, `back after ${served.came - refused.came} ms of ${wait}`);
assert.equal(refused.headers.get('x-should-retry'), null);
assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0');
assert.equal(served.headers.get('x-ratelimit-limit-requests'), '1');
