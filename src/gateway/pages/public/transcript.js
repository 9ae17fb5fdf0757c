// How is a conversation shown?
//
// What anybody says is text, and stays text. The one thing that is more is an image: where an
// answer names one in Markdown, its address is taken out and an element is made for it. Of a text
// model only images of ours are shown: a model that repeats what a stranger's page told it to
// must not be able to send what was said here to an address of that stranger's choice.

const IMAGE = /!\[([^\]\n]{0,300})\]\(((?:https?:\/\/|\/images\/)[^\s()<>"']{1,2000})\)/g;

export function transcript(log) {
  const page = log.ownerDocument;
  const list = log.querySelector('ol');

  function turn(role, name) {
    const item = page.createElement('li');
    item.className = `turn ${role}`;
    const who = page.createElement('p');
    who.className = 'who';
    who.textContent = name;
    const said = page.createElement('div');
    said.className = 'said';
    item.append(who, said);
    list.append(item);
    follow();
    return { item, said };
  }

  /** Stays at the end, unless its reader has gone back. */
  function follow() {
    const below = log.scrollHeight - log.scrollTop - log.clientHeight;
    if (below < 400) log.scrollTop = log.scrollHeight;
  }

  function note(item, words) {
    const told = page.createElement('p');
    told.className = 'stopped';
    told.textContent = words;
    item.append(told);
  }

  return {
    /** A question; it can be marked as one that nobody answered, and taken back. */
    user(text) {
      const { item, said } = turn('user', 'You');
      said.textContent = text;
      log.scrollTop = log.scrollHeight;
      return {
        unanswered() { note(item, 'Not answered'); },
        takeBack() { item.remove(); },
      };
    },

    /** An answer that is being written. */
    assistant(model, drawsAny) {
      const { item, said } = turn('assistant', model);
      const text = page.createTextNode('');
      said.append(text);
      item.classList.add('writing');
      log.setAttribute('aria-busy', 'true');
      return {
        add(piece) {
          text.appendData(piece);
          follow();
        },
        end(words) {
          item.classList.remove('writing');
          log.removeAttribute('aria-busy');
          said.replaceChildren(...drawn(page, text.data, drawsAny, follow));
          if (words) note(item, words);
          follow();
        },
        remove() {
          log.removeAttribute('aria-busy');
          item.remove();
        },
        get text() { return text.data; },
      };
    },

    clear() {
      log.removeAttribute('aria-busy');
      list.replaceChildren();
    },
  };
}

/** The parts of an answer: text, and a figure for each image that may be shown. */
function drawn(page, text, drawsAny, follow) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(IMAGE)) {
    const address = shown(match[2], drawsAny);
    if (!address) continue;
    parts.push(page.createTextNode(text.slice(end, match.index)), figure(page, match[1], address, follow));
    end = match.index + match[0].length;
  }
  parts.push(page.createTextNode(text.slice(end)));
  return parts.filter((part) => part.nodeType !== Node.TEXT_NODE || part.data !== '');
}

function shown(address, drawsAny) {
  let url;
  try {
    url = new URL(address, location.href);
  } catch {
    return null;
  }
  const isOurs = url.origin === location.origin && url.pathname.includes('/images/');
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  return isWeb && (isOurs || drawsAny) ? url.href : null;
}

function figure(page, words, address, follow) {
  const made = page.createElement('figure');
  made.className = 'picture';
  const image = page.createElement('img');
  image.alt = words || 'Generated image';
  image.referrerPolicy = 'no-referrer';
  image.src = address;
  const caption = page.createElement('figcaption');
  const link = page.createElement('a');
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  link.textContent = 'Open the image';
  caption.append(link);
  image.addEventListener('load', follow);
  image.addEventListener('error', () => {
    image.remove();
    caption.prepend('The image could not be loaded. ');
  });
  made.append(image, caption);
  return made;
}
