// What does a person see who talks to models in the playground?

import assert from 'node:assert/strict';

import { withPage } from './kit.mjs';

const url = `${process.env.SPAFE_URL}/`;

await withPage(url, {}, async (page) => {
  await page.waitForFunction(() => document.querySelector('#model option'));
  await streams(page);
  await stops(page);
  await remembers(page);
  await beginsAnew(page);
  await saysWhereNothingCame(page);
  await saysThatAKeyIsNone(page);
  await draws(page);
  await leavesTextAsText(page);
  await saysWhatBroke(page);
  await waitsWhereItIsTold(page);
  await saysWhoIsDown(page);
});

async function say(page, model, text) {
  await page.selectOption('#model', model);
  await page.fill('#message', text);
  await page.press('#message', 'Enter');
}

async function done(page) {
  await page.waitForSelector('#send:visible');
}

function last(page) {
  return page.locator('.turn').last();
}

function fact(page, name) {
  const pair = page.locator('#facts div', { has: page.locator(`dt:text-is("${name}")`) });
  return pair.locator('dd').textContent();
}

async function streams(page) {
  await say(page, 'slow', 'Count');
  await page.waitForFunction(() => document.querySelector('.writing .said')?.textContent === 'One ');
  assert.equal(await page.locator('#transcript').getAttribute('aria-busy'), 'true');
  assert.match(await fact(page, 'First token'), /^[0-9.]+ m?s$/);
  await done(page);
  assert.equal(await last(page).locator('.said').textContent(), 'One two three.');
  assert.match(await page.textContent('#news'), /^Answer complete after/);
  assert.match(await fact(page, 'Requests left'), /^99[0-9] of 1,000/);
  assert.ok(await fact(page, 'Request'));
}

async function stops(page) {
  for (const stop of [() => page.click('#stop'), () => page.press('#message', 'Escape')]) {
    await say(page, 'slow', 'Count again');
    await page.waitForFunction(() => document.querySelector('.writing .said')?.textContent.startsWith('One '));
    await stop();
    await done(page);
    assert.match(await last(page).textContent(), /^slowOne (two )?Stopped$/);
    assert.ok(await page.locator('#trouble').isHidden());
  }
}

async function remembers(page) {
  await page.click('#fresh');
  assert.equal(await page.locator('.turn').count(), 0);
  await say(page, 'works', 'First');
  await done(page);
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith('/chat/completions')),
    say(page, 'works', 'Second'),
  ]);
  const { messages } = JSON.parse(request.postData());
  assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user']);
  assert.equal(messages[2].content, 'Second');
  await done(page);
  assert.equal(await page.locator('.turn').count(), 4);
}

/** A new conversation during an answer has nothing of the old one, shown or sent. */
async function beginsAnew(page) {
  await say(page, 'slow', 'A secret');
  await page.waitForFunction(() => document.querySelector('.writing .said')?.textContent.startsWith('One '));
  await page.click('#fresh');
  await page.waitForSelector('#send:visible');
  assert.equal(await page.locator('.turn').count(), 0);
  assert.equal(await page.locator('#transcript').getAttribute('aria-busy'), null);
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith('/chat/completions')),
    say(page, 'works', 'Something else'),
  ]);
  const { messages } = JSON.parse(request.postData());
  assert.deepEqual(messages, [{ role: 'user', content: 'Something else' }]);
  await done(page);
  assert.equal(await page.locator('.turn').count(), 2);
}

/** What is no answer is told as none, and is not sent along as one. */
async function saysWhereNothingCame(page) {
  await page.click('#fresh');
  await say(page, 'declines', 'Do it');
  await done(page);
  assert.match(await last(page).textContent(), /^declinesI cannot do that\.The model declined$/);
  await page.click('#fresh');
  for (const [model, told] of [['thinks', 'Only thoughts came, and no answer'], ['empty', 'The answer is empty']]) {
    await say(page, model, 'Well?');
    await done(page);
    assert.equal(await last(page).textContent(), `${model}${told}`);
    assert.match(await page.locator('.turn.user').last().textContent(), /Not answered$/);
  }
  await say(page, 'silent', 'Hello?');
  await page.waitForSelector('.writing');
  await page.click('#stop');
  await done(page);
  assert.match(await last(page).textContent(), /^YouHello\?Not answered$/);
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith('/chat/completions')),
    say(page, 'works', 'And now?'),
  ]);
  assert.deepEqual(JSON.parse(request.postData()).messages.map(({ content }) => content), ['And now?']);
  await done(page);
}

/** A key that no head can carry is told as what it is, and not as a service that is gone. */
async function saysThatAKeyIsNone(page) {
  await page.fill('#key', 'sk-\u0142\u00f3d\u017a');
  await page.press('#key', 'Tab');
  await page.waitForFunction(() => /characters that no key has/.test(document.getElementById('models-told').textContent));
  await page.fill('#key', '');
  await page.press('#key', 'Tab');
  await page.waitForFunction(() => document.querySelector('#model option'));
  await page.selectOption('#model', 'works');
  await page.fill('#key', 'sk-\u201c');
  await page.fill('#message', 'Hi');
  await page.press('#message', 'Enter');
  await page.waitForSelector('#trouble:visible');
  assert.equal(await page.textContent('#trouble h3'), 'This key cannot be right');
  await page.fill('#key', '');
  await page.press('#key', 'Tab');
  await page.waitForFunction(() => document.querySelector('#model option'));
  await page.click('#fresh');
}

async function draws(page) {
  await say(page, 'flux', 'A lighthouse');
  await page.waitForSelector('.picture img');
  await page.waitForFunction(() => document.querySelector('.picture img').naturalWidth > 0);
  assert.match(await page.getAttribute('.picture img', 'src'), /\/images\//);
  assert.equal(await page.getAttribute('.picture img', 'alt'), 'Generated Image');
  await done(page);
}

async function leavesTextAsText(page) {
  await say(page, 'evil', '<img src=y onerror="document.title=\'run\'">');
  await done(page);
  const said = last(page).locator('.said');
  const text = await said.textContent();
  assert.ok(text.startsWith('<img src=x onerror='), text);
  // Neither a stranger's image nor an address that is a script, and no other element at all.
  assert.ok(text.includes('![a](https://elsewhere.example/images/x.png)'), text);
  assert.ok(text.includes('![b](javascript:alert(1))'), text);
  assert.equal(await said.locator('*').count(), 0);
  assert.notEqual(await page.title(), 'run');
}

async function saysWhatBroke(page) {
  await say(page, 'breaks', 'Go on');
  await page.waitForSelector('#trouble:visible');
  const told = await page.textContent('#trouble');
  assert.match(told, /What you see of the answer is not all of it/);
  assert.match(await last(page).textContent(), /Broken off$/);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'message');
  // A list stays a list, and whoever pressed a button that goes away is not left nowhere.
  assert.equal(await page.locator('[role=log] > ol > li').count(), await page.locator('.turn').count());
  await page.selectOption('#model', 'breaks');
  await page.fill('#message', 'Go on');
  await page.click('#send');
  await page.waitForFunction(() => document.activeElement.closest('#trouble') && document.activeElement.localName === 'h3');
  await say(page, 'fails', 'Go on');
  await page.waitForFunction(() => document.querySelector('#trouble')?.textContent.includes('502'));
  assert.match(await page.textContent('#trouble h3'), /The model could not be reached/);
  assert.match(await page.textContent('#trouble'), /Your question was fine/);
  assert.ok(await page.locator('#again').isEnabled());
  await done(page);
}

async function waitsWhereItIsTold(page) {
  await say(page, 'limited', 'Once');
  await done(page);
  assert.ok(await page.locator('#trouble').isHidden());
  await say(page, 'limited', 'Twice');
  await page.waitForSelector('#trouble:visible');
  assert.equal(await page.textContent('#trouble h3'), 'You are asking too often');
  const again = page.locator('#again');
  assert.ok(await again.isDisabled());
  assert.match(await again.textContent(), /^Try again in [1-3] seconds?$/);
  await page.waitForSelector('#again:enabled');
  await again.click();
  await page.waitForSelector('#trouble', { state: 'hidden' });
  await done(page);
  assert.match(await last(page).getAttribute('class'), /assistant/);
  assert.equal(await page.locator('.turn.user', { hasText: 'Twice' }).count(), 1);
}

async function saysWhoIsDown(page) {
  assert.match(await page.textContent('#model option[value="has-no-key"]'), /not available/);
  await say(page, 'has-no-key', 'Hello?');
  await page.waitForFunction(() => document.querySelector('#trouble h3')?.textContent === 'This model is not available');
  await done(page);
}
