// What does an operator see, and does the button do what was shown?

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

import { withPage } from './kit.mjs';

const config = process.env.SPAFE_CONFIG;

await withPage(process.env.SPAFE_ADMIN, {}, async (page) => {
  await page.waitForSelector('#state.is-good');
  assert.match(await page.textContent('#state'), /^Ready/);

  const pools = await page.textContent('#pools');
  for (const word of ['works', 'fails', 'fit', '127.0.0.1:']) assert.ok(pools.includes(word), `${word} in ${pools}`);
  assert.match(await page.textContent('#failures'), /fails.*502.*upstream_unavailable/);
  // The last requests, and those of them that are chosen.
  await page.waitForFunction(() => document.querySelectorAll('#requests tr').length === 2);
  assert.match(await page.textContent('#requests'), /fails: server error \d+ ms/);
  await page.fill('#requests-wanted [name=model]', 'works');
  await page.waitForFunction(() => document.querySelectorAll('#requests tr').length === 1);
  assert.match(await page.textContent('#requests'), /works.*200.*served.*127\.0\.0\.0\/24/);
  await page.check('#requests-wanted [name=failed]');
  await page.waitForFunction(() => document.getElementById('requests-scroll').hidden);
  assert.equal(await page.textContent('#no-requests'), 'None that fits.');
  await page.fill('#requests-wanted [name=status]', 'x');
  await page.waitForFunction(() => document.getElementById('no-requests').textContent.includes('status'));
  await page.fill('#requests-wanted [name=status]', '');
  await page.uncheck('#requests-wanted [name=failed]');
  await page.fill('#requests-wanted [name=model]', '');
  const limits = await page.textContent('#limits');
  assert.ok(limits.includes('plenty') && limits.includes('1,000 requests each 1h'), limits);
  assert.match(await page.textContent('#heaviest'), /127\.0\.0\.1/);

  // The charts follow what is asked.
  const ask = () => fetch(`${process.env.SPAFE_URL}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'works', messages: [{ role: 'user', content: 'Hi' }] }),
  }).then((answer) => answer.text());
  const seen = () => page.$$eval('.chart', (all) => all.map((one) => [one.querySelector('.name').textContent, one.querySelector('.value').textContent]));
  for (;;) {
    await Promise.all([ask(), ask(), ask()]);
    const told = Object.fromEntries(await seen());
    if (parseFloat(told['Requests a second']) > 0 && /m?s$/.test(told['First byte, p95'])) break;
    await page.waitForTimeout(200);
  }

  await page.click('#preview');
  await page.waitForFunction(() => document.getElementById('told').textContent === 'A reload would change nothing.');
  // Certificates and the like are read again, whether or not that shows.
  assert.ok(await page.locator('#reload').isVisible());
  assert.ok(await page.locator('#changes-scroll').isHidden());

  const text = readFileSync(config, 'utf8');
  writeFileSync(config, text.replace('count = 1000', 'count = 1234'));
  await page.click('#preview');
  await page.waitForFunction(() => /would change [0-9]+ key/.test(document.getElementById('told').textContent));
  assert.ok(await page.locator('#reload').isVisible());
  const changes = await page.textContent('#changes');
  assert.ok(changes.includes('1000') && changes.includes('1234'), changes);
  const before = await page.textContent('#config-facts');
  await page.click('#reload');
  await page.waitForFunction(() => document.getElementById('told').textContent.endsWith('is in force.'));
  await page.waitForFunction((was) => document.getElementById('config-facts').textContent !== was, before);
  await page.waitForFunction(() => document.getElementById('limits').textContent.includes('1,234 requests'));

  writeFileSync(config, `${text}\nnothing = here\n`);
  await page.click('#preview');
  await page.waitForSelector('#told.failed:visible');
  assert.match(await page.textContent('#told'), /spafe\.toml:\d+/);
  assert.ok(await page.locator('#reload').isHidden());
});
