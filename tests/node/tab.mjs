// What does an upstream notice of a tab that is closed while an answer streams into it?
//
// SPAFE_URL is the gateway's with TLS, so that Chromium speaks HTTP/2, SPAFE_METRICS where it tells
// how many requests are in flight. The browser goes on: it is the tab alone that is closed.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { withPage } from './kit.mjs';

const SOON_MS = 1000;

/** How many requests are being served. */
async function inFlight() {
  const text = await (await fetch(process.env.SPAFE_METRICS)).text();
  return Number(/^spafe_requests_in_flight (\d+)$/m.exec(text)[1]);
}

await withPage(process.env.SPAFE_URL, { ignoreHTTPSErrors: true }, async (page) => {
  const spoken = await page.evaluate(
    () => performance.getEntriesByType('navigation')[0].nextHopProtocol,
  );
  assert.equal(spoken, 'h2');
  const first = await page.evaluate(async () => {
    const answer = await fetch('/api/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }],
      }),
    });
    // Kept, or what nobody holds would be given up by itself.
    window.reader = answer.body.getReader();
    const { value } = await window.reader.read();
    return new TextDecoder().decode(value);
  });
  assert.match(first, /Hello/);
  await sleep(200);
  assert.equal(await inFlight(), 1);
  const closed = Date.now();
  await page.close();
  while (await inFlight() > 0) {
    assert.ok(Date.now() - closed < SOON_MS, 'nobody noticed in time');
    await sleep(20);
  }
});
