// What does the page do once it is read?
//
// It names the address that it was reached at, so that every example runs as it stands, lets
// one copy them, and begins what is live: the models and the playground. Nothing on it is ever
// made of text: elements are made one by one, and text stays text.

import { watchModels } from './models.js';
import { playground } from './playground.js';

/** Where this page stands, without a slash at its end. */
const base = new URL('.', location.href).href.replace(/\/$/, '');

for (const place of document.querySelectorAll('[data-base]')) place.textContent = base;

for (const figure of document.querySelectorAll('figure.code')) {
  const code = figure.querySelector('code[id]');
  if (code) figure.querySelector('figcaption').append(copyButton(code.id));
}
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', () => copy(button));
}

const languages = document.getElementById('languages');
languages.hidden = false;
for (const button of languages.querySelectorAll('button')) {
  button.addEventListener('click', () => choose(button.dataset.language));
}
choose('curl');

const models = watchModels(document, base);
playground(document, base, models);

function copyButton(id) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.dataset.copy = id;
  button.textContent = 'Copy';
  button.setAttribute('aria-label', `Copy ${id.replace('-', ' example in ')}`);
  return button;
}

async function copy(button) {
  const code = document.getElementById(button.dataset.copy);
  const done = await copied(code);
  button.textContent = done ? 'Copied' : 'Press Ctrl + C';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}

/** Browsers give the clipboard to pages of https and of this machine only. */
async function copied(element) {
  const text = element.textContent.trimEnd();
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand('copy');
  }
}

function choose(language) {
  for (const button of languages.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.dataset.language === language));
  }
  for (const figure of document.querySelectorAll('#examples figure.code')) {
    figure.hidden = figure.dataset.language !== language;
  }
}
