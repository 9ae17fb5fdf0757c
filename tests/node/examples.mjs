// Does every example of the documentation run as the page shows it?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { withPage } from './kit.mjs';

const run = promisify(execFile);
const here = new URL('.', import.meta.url).pathname;
const url = process.env.SPAFE_URL;

const runners = {
  curl: (text) => ['bash', ['-euo', 'pipefail', '-c', text]],
  python: (text) => [process.env.SPAFE_PYTHON, ['-c', text]],
  javascript: (text) => [process.execPath, ['--input-type=module', '--eval', text]],
};

await withPage(`${url}/`, {}, async (page) => {
  await page.waitForFunction(() => document.querySelector('#model option'));
  const examples = await page.$$eval('#examples code[id]', (all) => all.map(({ id, textContent }) => [id, textContent]));
  assert.equal(examples.length, 12);
  for (const [id, text] of examples) {
    assert.ok(text.includes(url), `${id} does not ask this gateway:\n${text}`);
    const [kind, language] = id.split('-');
    const [program, args] = runners[language](text);
    const { stdout } = await run(program, args, { cwd: here, timeout: 60_000 });
    judge(kind, language, stdout);
  }

  // What is copied is what is shown; the other languages are a key away.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  for (const language of ['python', 'javascript', 'curl']) {
    await page.locator(`#languages [data-language=${language}]`).press('Enter');
    const shown = await page.$$eval('#examples figure.code', (all) => all.filter((one) => one.checkVisibility()).map((one) => one.dataset.language));
    assert.deepEqual(shown, [language, language, language, language]);
    await page.click(`[data-copy=chat-${language}]`);
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    const [, text] = examples.find(([id]) => id === `chat-${language}`);
    assert.equal(copied, text.trimEnd());
  }
});

// In either protocol.
function said(answer) {
  return answer.choices ? answer.choices[0].message.content : answer.content[0].text;
}

function judge(kind, language, output) {
  const name = `${kind} in ${language}: ${output}`;
  if (kind === 'stream' && language === 'curl') {
    assert.ok(output.trimEnd().endsWith('data: [DONE]'), name);
    return;
  }
  const text = language === 'curl' ? said(JSON.parse(output)) : output;
  assert.match(text, kind === 'image' ? /^!\[Generated Image\]\(http\S+\/images\/\S+\)/ : /\w+/, name);
}
