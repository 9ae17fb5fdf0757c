// Does the JavaScript SDK have the same answer, however it is asked for and wherever it comes from?

import assert from 'node:assert/strict';

import OpenAI from 'openai';

const messages = [{ role: 'user', content: 'Hi' }];
let head;
const client = new OpenAI({
  baseURL: `${process.env.SPAFE_URL}/v1`,
  apiKey: 'not-needed',
  maxRetries: 0,
  fetch: async (...request) => {
    const answer = await fetch(...request);
    head = answer.headers;
    return answer;
  },
});

async function streamed(model) {
  const stream = client.chat.completions.stream({
    model,
    messages,
    stream_options: { include_usage: true },
  });
  return stream.finalChatCompletion();
}

// A completion without what the SDK itself adds, which makes `null` of what is empty in streams.
function plain(completion) {
  const { id, model, created, usage = null, choices, ...beside } = completion;
  delete beside.object;
  delete beside.obfuscation;
  return {
    ...beside,
    id,
    model,
    created,
    usage,
    choices: choices.map(({ message, logprobs = null, ...choice }) => {
      const { parsed, content, refusal, tool_calls: calls, ...rest } = message;
      const plainCalls = calls?.map(({ function: { parsed_arguments: _, ...fn }, ...call }) => ({
        ...call,
        function: fn,
      }));
      return {
        ...choice,
        logprobs,
        message: {
          ...rest,
          content: content || null,
          refusal: refusal || null,
          ...(plainCalls && { tool_calls: plainCalls }),
        },
      };
    }),
  };
}

for (const { name, asks } of JSON.parse(process.env.SPAFE_CASES)) {
  let first;
  for (const [place, { model, stream, cache }] of asks.entries()) {
    const where = `${name}, answer ${place} (${model}, ${stream ? 'streamed' : 'whole'})`;
    let answer;
    let status;
    // What came as a stream is kept a moment after its end, and until then is joined.
    for (let turn = 0; turn < 100; turn += 1) {
      answer = plain(
        stream ? await streamed(model) : await client.chat.completions.create({ model, messages }),
      );
      status = head.get('cache-status').split('; ');
      if (cache !== 'hit' || !status.includes('collapsed')) break;
    }
    first ??= answer;
    assert.deepEqual(answer, first, where);
    assert.ok(status.includes(cache), `${where}: ${status}`);
  }
  assert.ok(first.choices.length > 0, name);
}
