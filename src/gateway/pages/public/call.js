// How is a model asked, and what comes back while it comes?

/** Why there is no answer, or no whole one. */
export class Trouble extends Error {
  constructor({ status, code, message, waitMs, requestId, began }) {
    super(message);
    Object.assign(this, { status, code, waitMs, requestId, began });
  }
}

/**
 * Asks, and tells what it hears: `head` once with the answer's headers, `text` with each piece,
 * `declined` where such pieces say why there is no answer, `thought` with what is no answer yet. Ends when the answer is whole, and throws a Trouble where it is not.
 */
export async function ask({ address, headers, question, signal }, hears) {
  let answer;
  try {
    answer = await fetch(address, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ ...question, stream: true }),
      signal,
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Trouble({ code: 'unreachable', message: 'No answer came from this address.' });
  }
  hears.head(answer.headers);
  if (!answer.ok) throw await refusal(answer);
  let whole = false;
  let pieces = 0;
  try {
    for await (const data of events(answer.body)) {
      if (data === '[DONE]') {
        whole = true;
        break;
      }
      const event = read(data);
      if (event.error) throw trouble(answer, event.error, pieces > 0);
      const { content, refusal, reasoning_content, reasoning } = event.choices?.[0]?.delta ?? {};
      if (said(refusal)) hears.declined();
      for (const piece of [content, refusal].filter(said)) {
        pieces += 1;
        hears.text(piece);
      }
      if (said(reasoning_content) || said(reasoning)) hears.thought();
    }
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof Trouble) throw error;
    whole = false;
  }
  if (!whole) {
    const message = 'The connection ended before the answer did.';
    throw trouble(answer, { code: 'connection_lost', message }, pieces > 0);
  }
}

/** The data of each event of a stream; comments are passed over. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) {
        data.push(line.slice(5).replace(/^ /, ''));
      }
    }
  }
}

function read(data) {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    return {};
  }
}

async function refusal(answer) {
  const body = read(await answer.text().catch(() => ''));
  return trouble(answer, body.error ?? {}, false);
}

function trouble(answer, error, began) {
  return new Trouble({
    status: answer.ok ? undefined : answer.status,
    code: text(error.code),
    message: text(error.message) ?? `The answer was ${answer.status}.`,
    waitMs: wait(answer.headers),
    requestId: answer.headers.get('x-request-id'),
    began,
  });
}

function said(value) {
  return typeof value === 'string' && value !== '';
}

function text(value) {
  return typeof value === 'string' ? value : undefined;
}

function wait(headers) {
  const ms = Number(headers.get('retry-after-ms'));
  if (ms > 0) return ms;
  const seconds = Number(headers.get('retry-after'));
  return seconds > 0 ? seconds * 1000 : undefined;
}
