// Can a page be read and used by everybody: by contrast, by names, by the keyboard alone?

import assert from 'node:assert/strict';

import { withPage } from './kit.mjs';

const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
for (const address of [process.env.SPAFE_URL, process.env.SPAFE_OTHER]) {
  for (const colorScheme of ['light', 'dark']) {
    for (const size of [{ viewport: { width: 1280, height: 900 } }, phone]) {
      await withPage(address, { ...size, colorScheme }, async (page) => {
        await page.waitForFunction(() => !document.querySelector('#model, [data-live]') || document.querySelector('#model option, [data-live="told"]'));
        const name = `${address} ${colorScheme} ${size.viewport.width}`;
        assert.deepEqual(await page.evaluate(faults), [], name);
        if (size !== phone) await keyboard(page, name);
      });
    }
  }
}

/** In the page: everything that somebody could stumble over. */
function faults() {
  const found = [];
  const name = (element) => `${element.localName}#${element.id}.${element.className} ${element.textContent.slice(0, 30)}`;
  const visible = (element) => element.checkVisibility({ visibilityProperty: true });
  if (document.documentElement.lang === '') found.push('the page has no language');
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than its window: ${document.documentElement.scrollWidth}`);
  if (document.querySelector('[style], style, script:not([src])')) found.push('something inline');

  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const own = Number(heading.localName[1]);
    if (own > level + 1) found.push(`a level is left out before ${name(heading)}`);
    level = own;
  }
  for (const image of document.images) if (!image.hasAttribute('alt')) found.push(`no alt: ${image.src}`);
  for (const field of document.querySelectorAll('input, select, textarea')) {
    if (field.labels.length === 0 && !field.ariaLabel) found.push(`no label: ${name(field)}`);
  }
  for (const control of document.querySelectorAll('button, a')) {
    if (!control.textContent.trim() && !control.ariaLabel && !control.querySelector('img[alt]:not([alt=""])')) found.push(`no name: ${name(control)}`);
    const box = control.getBoundingClientRect();
    if (control.localName === 'button' && visible(control) && (box.height < 24 || box.width < 24)) found.push(`too small: ${name(control)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push(`twice: ${id}`);
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    if (!document.querySelector(link.getAttribute('href'))) found.push(`leads nowhere: ${link.href}`);
  }
  for (const scroller of document.querySelectorAll('pre, .scroll')) {
    if (visible(scroller) && scroller.scrollWidth > scroller.clientWidth && scroller.tabIndex < 0) found.push(`cannot be scrolled by keys: ${name(scroller)}`);
  }

  // WCAG 2.2, 1.4.3: 4.5 for text, 3 for large text.
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((part) => {
      const one = part / 255;
      return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
      if (color[3] > 0) found.push(`half transparent: ${name(at)}`);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || seen.has(element) || !visible(element)) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const [a, b] = [luminance(rgba(style.color).slice(0, 3)), luminance(behind(element).slice(0, 3))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (isLarge ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${name(element)}`);
  }
  if (seen.size === 0) found.push('no text was found: the check is blind');
  return found;
}

/** Every stop of the Tab key is seen, is marked, and comes in the order of reading. */
async function keyboard(page, name) {
  const stops = [];
  for (let presses = 0; presses < 120; presses += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const { activeElement: element } = document;
      if (element === document.body) return null;
      const all = [...document.querySelectorAll('*')];
      const style = getComputedStyle(element);
      return {
        at: all.indexOf(element),
        is: `${element.localName}#${element.id} ${element.textContent.trim().slice(0, 20)}`,
        marked: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        seen: element.checkVisibility(),
      };
    });
    if (!stop || stops.some(({ at }) => at === stop.at)) break;
    assert.ok(stop.seen && stop.marked, `${name}: ${JSON.stringify(stop)}`);
    stops.push(stop);
  }
  const places = stops.map(({ at }) => at);
  assert.deepEqual(places, [...places].sort((a, b) => a - b), `${name}: the order of focus`);
  if (await page.locator('#message').count()) {
    for (const id of ['model', 'message', 'send', 'fresh']) {
      assert.ok(stops.some(({ is }) => is.includes(`#${id} `)), `${name}: #${id} is not reached`);
    }
  }
}
