// Which models are there, and can they be asked now?

/** How often that is looked at while somebody does, in milliseconds. */
const LOOK_AGAIN_MS = 15_000;

const WORDS = { ready: 'Ready', unavailable: 'Not available' };

/** Shows the models and keeps what is shown true. */
export function watchModels(page, base) {
  const told = page.getElementById('models-told');
  const key = page.getElementById('key');
  let last = '';
  let list = [];

  async function look() {
    let answer;
    if (!canBeShown(key)) {
      told.textContent = 'The key that was typed has characters that no key has.';
      return;
    }
    try {
      answer = await fetch(`${base}/pages/models.json`, { headers: authorization(key) });
    } catch {
      told.textContent = 'This service cannot be reached at the moment.';
      return;
    }
    if (!answer.ok) {
      told.textContent = answer.status === 401
        ? 'The list is told to who shows a key.'
        : `The list cannot be read at the moment (${answer.status}).`;
      show([]);
      return;
    }
    show((await answer.json()).models);
    const ready = list.filter((model) => model.state === 'ready').length;
    told.textContent = `${list.length} models, ${ready} of them ready now.`;
  }

  function show(models) {
    const text = JSON.stringify(models);
    if (text === last) return;
    last = text;
    list = models;
    fillTable(page, models);
    fillChoice(page.getElementById('model'), models);
  }

  key?.addEventListener('change', look);
  page.addEventListener('visibilitychange', () => { if (!page.hidden) look(); });
  setInterval(() => { if (!page.hidden) look(); }, LOOK_AGAIN_MS);
  look();
  return { find: (id) => list.find((model) => model.id === id) };
}

/** Whether the caller's key can be shown at all: a head has no letters but those of ASCII. */
export function canBeShown(key) {
  return /^[\x21-\x7e]*$/.test(key?.value.trim() ?? '');
}

/** The head that shows the caller's key, where one was typed. It is kept nowhere. */
export function authorization(key) {
  const value = key?.value.trim();
  return value ? { Authorization: `Bearer ${value}` } : {};
}

function fillTable(page, models) {
  const body = page.querySelector('#models-table tbody');
  page.getElementById('models-scroll').hidden = models.length === 0;
  const note = page.getElementById('models-need-key');
  if (note) note.hidden = models.length > 0;
  body.replaceChildren(...models.map((model) => {
    const row = page.createElement('tr');
    const name = page.createElement('th');
    name.scope = 'row';
    name.append(element(page, 'code', model.id));
    if (model.aliases.length > 0) {
      const also = element(page, 'div', `also ${model.aliases.join(', ')}`);
      also.className = 'quiet';
      name.append(also);
    }
    const state = element(page, 'td', WORDS[model.state] ?? model.state);
    state.className = `state ${model.state}`;
    row.append(name, element(page, 'td', model.modality), element(page, 'td', model.owned_by), state);
    return row;
  }));
}

function fillChoice(choice, models) {
  const chosen = choice.value;
  const groups = [['text', 'Text'], ['image', 'Images']].map(([modality, label]) => {
    const group = document.createElement('optgroup');
    group.label = label;
    for (const model of models.filter((model) => model.modality === modality)) {
      const option = document.createElement('option');
      option.value = model.id;
      option.textContent = model.state === 'ready' ? model.id : `${model.id} (not available)`;
      group.append(option);
    }
    return group;
  });
  choice.replaceChildren(...groups.filter((group) => group.children.length > 0));
  if (models.some((model) => model.id === chosen)) choice.value = chosen;
}

function element(page, name, text) {
  const made = page.createElement(name);
  made.textContent = text;
  return made;
}
