// How does somebody talk to a model here?
//
// Every message is the very call that a program would make, with the whole conversation in it.
// One answer is on its way at a time. Nothing is stored: who leaves the page has left it all.

import { ask, Trouble } from './call.js';
import { authorization, canBeShown } from './models.js';
import { facts, span } from './told.js';
import { transcript } from './transcript.js';
import { waiting, words } from './words.js';

export function playground(page, base, models) {
  const at = (id) => page.getElementById(id);
  const [choice, key, message] = [at('model'), at('key'), at('message')];
  const [send, stop, trouble] = [at('send'), at('stop'), at('trouble')];
  const shown = transcript(at('transcript'));
  let said = [];
  let call = null;
  let countdown = null;

  at('playground').hidden = false;
  at('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = message.value.trim();
    if (call || text === '' || choice.value === '') return;
    message.value = '';
    converse(text);
  });
  message.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      at('composer').requestSubmit();
    }
  });
  at('playground').addEventListener('keydown', (event) => {
    if (event.key === 'Escape') call?.abort();
  });
  stop.addEventListener('click', () => call?.abort());
  at('fresh').addEventListener('click', () => {
    // Whatever still comes of the answer that was on its way belongs to nobody.
    call?.abort();
    call = null;
    said = [];
    shown.clear();
    busy(false);
    hideTrouble();
    at('facts').replaceChildren();
    message.focus();
  });

  async function converse(text) {
    hideTrouble();
    const own = new AbortController();
    call = own;
    const conversation = [...said, { role: 'user', content: text }];
    const model = choice.value;
    const question = shown.user(text);
    const answer = shown.assistant(model, models.find(model)?.modality === 'image');
    busy(true);
    const began = performance.now();
    const times = {};
    let declined = false;
    let thought = false;
    let headers = new Headers();
    const tell = () => tellFacts(facts(headers, times));
    // Whoever began a new conversation meanwhile wants nothing of this one.
    const isWanted = () => call === own;
    try {
      if (!canBeShown(key)) throw new Trouble({ code: 'unusable_key', message: 'It was not sent.' });
      await ask({
        address: `${base}/api/v1/chat/completions`,
        headers: { ...authorization(key), ...(at('afresh').checked ? { 'Cache-Control': 'no-cache' } : {}) },
        question: { model, messages: conversation },
        signal: own.signal,
      }, {
        head(told) {
          headers = told;
          tell();
        },
        text(piece) {
          if (times.first === undefined) {
            times.first = performance.now() - began;
            tell();
          }
          answer.add(piece);
        },
        declined() { declined = true; },
        thought() { thought = true; },
      });
      if (!isWanted()) return;
      times.whole = performance.now() - began;
      if (answer.text === '') {
        answer.end(thought ? 'Only thoughts came, and no answer' : 'The answer is empty');
        question.unanswered();
      } else {
        answer.end(declined ? 'The model declined' : undefined);
      }
      news(`Answer complete after ${span(times.whole)}.`);
    } catch (error) {
      if (!isWanted()) return;
      times.whole = performance.now() - began;
      failed(error, answer, { ...question, text });
    }
    tell();
    if (answer.text !== '') said = [...conversation, { role: 'assistant', content: answer.text }];
    call = null;
    // Whoever was at the button that goes away is led to what happened; whoever writes is let alone.
    const isLed = page.activeElement === stop && !trouble.hidden;
    busy(false);
    if (isLed) trouble.querySelector('h3').focus();
  }

  function failed(error, answer, question) {
    const wasStopped = error.name === 'AbortError';
    if (answer.text === '') {
      // Nothing was answered: the question is the caller's again.
      answer.remove();
      question.unanswered();
    } else {
      answer.end(wasStopped ? 'Stopped' : 'Broken off');
    }
    if (wasStopped) {
      news('Stopped.');
      return;
    }
    const known = error instanceof Trouble
      ? error
      : new Trouble({ code: 'unreachable', message: String(error.message) });
    showTrouble(known, answer.text === '' ? question : null);
  }

  function showTrouble(error, question) {
    const { title, meaning, again } = words(error);
    const heading = page.createElement('h3');
    heading.textContent = title;
    heading.tabIndex = -1;
    const technical = [error.status, error.code, error.requestId].filter(Boolean).join(' · ');
    trouble.replaceChildren(heading, paragraph(meaning), detail(error, technical));
    trouble.hidden = false;
    if (again && question) trouble.insertBefore(retry(error, question), trouble.lastChild);
  }

  function retry(error, question) {
    const button = page.createElement('button');
    button.type = 'button';
    button.className = 'plain';
    button.id = 'again';
    button.addEventListener('click', () => {
      question.takeBack();
      message.focus();
      converse(question.text);
    });
    const until = performance.now() + (error.waitMs ?? 0);
    const look = () => {
      const rest = until - performance.now();
      button.disabled = rest > 0;
      button.textContent = rest > 0 ? `Try again in ${waiting(rest)}` : 'Try again';
      if (rest <= 0) clearInterval(countdown);
    };
    countdown = setInterval(look, 250);
    look();
    return button;
  }

  function detail(error, technical) {
    const told = paragraph(`${error.message}${technical ? ` (${technical})` : ''}`);
    told.className = 'technical';
    return told;
  }

  function hideTrouble() {
    clearInterval(countdown);
    trouble.hidden = true;
    trouble.replaceChildren();
  }

  function paragraph(text) {
    const made = page.createElement('p');
    made.textContent = text;
    return made;
  }

  function busy(is) {
    const hadFocus = page.activeElement === (is ? send : stop);
    stop.hidden = !is;
    send.hidden = is;
    if (hadFocus) (is ? stop : message).focus();
  }

  function news(text) {
    at('news').textContent = text;
  }

  function tellFacts(told) {
    at('facts').replaceChildren(...told.map(([name, text]) => {
      const pair = page.createElement('div');
      const term = page.createElement('dt');
      term.textContent = name;
      const value = page.createElement('dd');
      value.textContent = text;
      pair.append(term, value);
      return pair;
    }));
  }
}
