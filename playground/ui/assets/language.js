// The page in another language: every text that the app says is looked up as it appears, and what a
// person or a model wrote is left as it is. The words are templates, English to the language, with
// {} for each part that is put in; {2} in a translation is the second of them.

const STORED = 'playground-language';
const NAMES = [['en', 'English'], ['zh', '简体中文']];
// What people and models wrote, and what is code. Their titles and labels are still the app's.
const VERBATIM = [
  'script', 'style', 'textarea', 'input', 'pre', 'code', 'svg title', '[data-verbatim]', '[lang]:not(html)',
  '.tok', '.running', '.body .text', '.message-row .message', '.record .texts', '.cell .text',
  '.answer', '.chip b', '.model-name', 'bdi', '.latex', '.formula',
].join(',');
const SAID = ['title', 'aria-label', 'placeholder', 'alt', 'data-hint'];

class Translator {
  constructor(words) {
    this.exact = new Map();
    this.patterns = new Map();  // by their first word, so that few are tried for a text
    this.known = new Map();
    for (const [english, other] of Object.entries(words)) {
      if (!other) continue;
      if (/\{\}/.test(english)) this.learn(english, other);
      else this.exact.set(plain(english), plain(other));
    }
    // The longest literal text first: "{} of {}" must not take what "{} tokens of {} at {}" knows.
    for (const list of this.patterns.values()) list.sort((a, b) => b.weight - a.weight);
  }

  learn(english, other) {
    const literals = english.split('{}').map(plain);
    const quoted = literals.slice(0, -1).map((before, n) => /[“‘'`"(]$/.test(before) && /^[”’'`")]/.test(literals[n + 1]));
    const match = new RegExp(`^${literals.map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('([^]*?)')}$`);
    const first = /^[A-Za-z’'-]+(?=[^A-Za-z’'-])/.exec(english)?.[0] ?? '';
    const list = this.patterns.get(first) ?? [];
    if (!list.length) this.patterns.set(first, list);
    list.push({ match, other, quoted, weight: literals.join('').replace(/[^A-Za-z]/g, '').length });
  }

  // The text in the other language, or null where it is not the app's.
  translate(text) {
    if (!/[A-Za-z]{2}/.test(text) || text.length > 2000) return null;
    if (this.known.has(text)) return this.known.get(text);
    const [, before, core, after] = /^(\s*)([^]*?)(\s*)$/.exec(text);
    const found = this.look(core, 0);
    const made = found === null ? null : before + found + after;
    if (this.known.size > 5000) this.known.clear();
    this.known.set(text, made);
    return made;
  }

  look(text, depth) {
    return this.exact.get(text) ?? this.filled(text, depth)
      ?? (depth < 4 ? this.joined(text, depth) : null);
  }

  filled(text, depth) {
    const first = /^[A-Za-z’'-]+(?=[^A-Za-z’'-])/.exec(text)?.[0] ?? '';
    for (const list of [this.patterns.get(first), first && this.patterns.get('')]) {
      for (const { match, other, quoted, weight } of list || []) {
        const parts = match.exec(text)?.slice(1);
        if (parts && (weight > 9 || this.small(parts, quoted, weight, depth))) {
          return this.put(other, parts, quoted, depth);
        }
      }
    }
    return null;
  }

  // "{} of {}" fits half of all sentences: around so few letters stand single words, or what is
  // known itself.
  small(parts, quoted, weight, depth) {
    const wordy = weight > 4 ? /[A-Za-z]{2}.*\s.*[A-Za-z]{2}/ : /[A-Za-z]{2}/;
    return parts.every((part, n) => quoted[n] || !wordy.test(part)
      || (depth < 3 && this.look(part, depth + 1) !== null));
  }

  put(other, parts, quoted, depth) {
    let next = 0;
    return other.replace(/\{\{|\}\}|\{(\d*)\}/g, (whole, number) => {
      if (whole === '{{') return '{';
      if (whole === '}}') return '}';
      const place = number ? Number(number) - 1 : next++;
      const part = parts[place] ?? '';
      // What stands in quotes is what somebody gave.
      if (quoted[place] || depth > 3 || !/[A-Za-z]{2}/.test(part)) return part;
      return this.look(part, depth + 1) ?? part;
    });
  }

  // Sentences one after another, and lists between dots or commas: each part by itself.
  joined(text, depth) {
    for (const [between, whole] of [[/(?<=[.!?:…]) (?=\S)/, true], [/ · /, false], [/(?<=[;,]) /, true]]) {
      const parts = text.split(between);
      if (parts.length < 2 || parts.length > 40) continue;
      const made = this.grouped(parts, between.source === ' · ' ? ' · ' : ' ', depth, whole);
      if (made !== null) return made;
    }
    return null;
  }

  // From the left, the longest run of parts that is known; where `whole` is set, all must be.
  grouped(parts, glue, depth, whole) {
    const made = [];
    let any = false;
    for (let start = 0; start < parts.length;) {
      let end = parts.length, found = null;
      for (; end > start; end -= 1) {
        if (end - start === parts.length) continue;
        const some = parts.slice(start, end).join(glue);
        found = this.exact.get(some) ?? this.filled(some, depth + 1);
        if (found !== null) break;
      }
      if (found === null) {
        if (whole && /[A-Za-z]{3}/.test(parts[start])) return null;
        found = parts[start];
        end = start + 1;
      } else any = true;
      made.push(found);
      start = end;
    }
    return any ? made.join(glue === ' ' ? '' : glue) : null;
  }
}

function plain(text) {
  return text.replaceAll('{{', '{').replaceAll('}}', '}').trim() === '' ? text : text.replaceAll('{{', '{').replaceAll('}}', '}');
}

// What is chosen in a dropdown of Gradio stands in an input.
const CHOSEN = 'input[role=combobox]';
const VALUE = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');

// Every text of the page, as it is said in English and as it stands there now.
class Speaker {
  constructor() {
    this.said = new WeakMap();
    this.translator = null;
    this.observer = new MutationObserver((changes) => this.changed(changes));
    this.observer.observe(document.documentElement, {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: SAID,
    });
  }

  speak(translator, language) {
    this.translator = translator;
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : language;
    this.all(document.body);
  }

  changed(changes) {
    if (!this.translator) return;
    for (const { type, target, attributeName, addedNodes } of changes) {
      if (type === 'attributes') this.attribute(target, attributeName);
      else if (type === 'characterData') this.text(target);
      else for (const node of addedNodes) this.all(node);
    }
  }

  all(root) {
    if (root.nodeType === Node.TEXT_NODE) { this.text(root); return; }
    if (root.nodeType !== Node.ELEMENT_NODE || !root.isConnected) return;
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.currentNode; node; node = walk.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) this.text(node);
      else this.element(node);
    }
  }

  element(node) {
    for (const name of SAID) if (node.hasAttribute(name)) this.attribute(node, name);
    if (node.matches(CHOSEN)) this.chosen(node);
  }

  // The value of a dropdown is what is looked for and sent, so it stays as it is; its words in the
  // other language lie over it (language.css) while nobody types there.
  chosen(input) {
    if (!Object.hasOwn(input, 'value')) {
      Object.defineProperty(input, 'value', {
        get: () => VALUE.get.call(input),
        set: (value) => { VALUE.set.call(input, value); this.lay(input); },
      });
      input.addEventListener('input', () => this.lay(input));
    }
    this.lay(input);
  }

  lay(input) {
    const words = this.translator?.translate(input.value);
    if (words) input.parentElement.dataset.chosen = words;
    else delete input.parentElement.dataset.chosen;
  }

  text(node) {
    const parent = node.parentElement;
    if (!parent || !node.data.trim() || parent.closest(VERBATIM)) return;
    this.word(node, '', node.data, (now) => { node.data = now; });
  }

  attribute(element, name) {
    const now = element.getAttribute(name);
    if (now === null || element.closest('[data-verbatim]')) return;
    this.word(element, name, now, (other) => element.setAttribute(name, other));
  }

  word(node, name, now, write) {
    const all = this.said.get(node) ?? {};
    const english = all[name]?.shown === now ? all[name].english : now;
    const shown = this.translator?.translate(english) ?? english;
    if (shown === english) delete all[name];
    else all[name] = { english, shown };
    this.said.set(node, all);
    if (shown !== now) write(shown);
  }
}

const speaker = new Speaker();
const translators = {};

async function choose(language, server) {
  if (language !== 'en') translators[language] ??= new Translator(JSON.parse(await server.words_in({ language })));
  speaker.speak(language === 'en' ? null : translators[language], language);
}

function preferred() {
  let stored = null;
  try { stored = localStorage.getItem(STORED); } catch { /* a browser that keeps nothing */ }
  if (NAMES.some(([code]) => code === stored)) return stored;
  return navigator.languages?.[0]?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

window.languagePicker = {
  Translator,
  mount(root, { server }) {
    const select = document.createElement('select');
    select.setAttribute('aria-label', 'Language');
    for (const [code, name] of NAMES) {
      const option = document.createElement('option');
      option.value = code;
      option.lang = code === 'zh' ? 'zh-CN' : code;
      option.textContent = name;
      select.append(option);
    }
    select.value = preferred();
    select.addEventListener('change', () => {
      try { localStorage.setItem(STORED, select.value); } catch { /* as above */ }
      choose(select.value, server);
    });
    root.replaceChildren(select);
    choose(select.value, server);
  },
};
