// How does a test see a page as a person does?

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

/** Runs `look` with a page of a real browser that may do nothing but what is expected of it. */
export async function withPage(url, options, look) {
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-first-run',
    ],
  });
  try {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const faults = [];
    const { origin } = new URL(url);
    page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
    page.on('console', (message) => {
      // An answer that is an error is told there, too, and is what some tests ask for.
      if (message.type() === 'error' && !/status of (404|422|429|50[0-9])/.test(message.text())) {
        faults.push(`console: ${message.text()}`);
      }
    });
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== origin) faults.push(`asks ${request.url()}`);
    });
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    await page.goto(url);
    await look(page);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}
