// One row of the panel for each setting: label, input, help, and what is wrong with it.

let rows = 0;

// Where a slider of a long range can stand: every number at first, then in steps of a few percent.
function stops(low, high) {
  const found = [];
  for (let at = low; at < high; at += Math.max(1, 10 ** (Math.floor(Math.log10(at || 1)) - 1))) {
    found.push(at);
  }
  return [...found, high];
}

class Row {
  constructor({ name, label, help }, write) {
    Object.assign(this, { name, write, about: help, id: `decoding-${rows += 1}` });
    this.root = h('div', 'row');
    this.root.dataset.name = name;
    this.label = h('label', 'name', label);
    this.label.htmlFor = this.id;
    this.mark = h('span', 'mark');
    this.help = h('p', 'help');
    this.words = h('span', '', help);
    this.help.append(this.mark, this.words);
    this.help.id = `${this.id}-help`;
    this.wrong = h('p', 'wrong');
    this.wrong.id = `${this.id}-wrong`;
    this.wrong.setAttribute('role', 'status');
    this.root.addEventListener('focusout', () => requestAnimationFrame(() => this.grey()));
  }

  // The input that the label names; `tag` with its attributes.
  field(tag, attributes = {}) {
    const input = h(tag);
    Object.assign(input, { id: this.id, autocomplete: 'off', ...attributes });
    input.setAttribute('aria-describedby', `${this.help.id} ${this.wrong.id}`);
    this.input = input;
    return input;
  }

  head(...more) {
    const head = h('div', 'head');
    head.append(this.label, ...more);
    return head;
  }

  finish(...parts) {
    this.root.append(...parts, this.help, this.wrong);
    return this;
  }

  show(settings) {
    const { verdict } = settings;
    const value = settings.get(this.name);
    this.put(value);
    const problem = verdict.field === this.name ? verdict.problem : '';
    const idle = (verdict.ignored ?? []).includes(this.label.textContent);
    this.root.classList.toggle('moved', settings.moved(this.name));
    this.root.classList.toggle('idle', idle);
    this.mark.textContent = idle ? 'Ignored. ' : '';
    this.wrong.textContent = problem;
    this.input.setAttribute('aria-invalid', String(problem !== ''));
    this.bad = problem !== '';
    this.settings = settings;
    this.grey();
  }

  // What the model's server lacks is grey and says why in place of its help. What is set all the
  // same can be set back, and so can what somebody is about to.
  grey() {
    const why = this.settings?.lacking(this.name) ?? '';
    const moved = this.root.classList.contains('moved');
    const inputs = this.root.querySelectorAll('input,select,textarea,button:not(.lock)');
    const isUsed = [...inputs].includes(document.activeElement);
    this.root.classList.toggle('lacking', why !== '');
    this.say(why && !this.bad ? why : this.about);
    for (const input of inputs) input.disabled = why !== '' && !moved && !isUsed;
  }

  say(words) {
    if (words === this.said) return;
    this.said = words;
    this.words.textContent = words;
  }
}

class NumberRow extends Row {
  constructor(row, write, limits) {
    super(row, write);
    const high = Math.min(row.high, limits[row.name] ?? row.high);
    const box = this.field('input', {
      type: 'number', min: row.low, max: high, step: row.step, inputMode: 'decimal',
    });
    box.addEventListener('input', () => this.write(this.name, box.value === '' ? '' : box.valueAsNumber));
    this.slider = h('input', 'slider');
    this.slider.type = 'range';
    this.slider.setAttribute('aria-label', `${row.label}, slider`);
    this.stops = row.whole && high - row.low > 100 ? stops(row.low, high) : null;
    const range = this.stops ? [0, this.stops.length - 1, 1] : [row.low, high, row.step];
    [this.slider.min, this.slider.max, this.slider.step] = range;
    this.slider.addEventListener('input', () => this.write(this.name, this.slid()));
    this.finish(this.head(this.slider, box));
  }

  slid() {
    const at = this.slider.valueAsNumber;
    return this.stops ? this.stops[at] : Number(at.toFixed(4));
  }

  put(value) {
    const box = this.input;
    // What somebody is typing, such as "0." or nothing, stays as typed.
    if (document.activeElement !== box) box.value = value;
    if (typeof value !== 'number') return;
    const beyond = this.stops?.findIndex((stop) => stop >= value);
    this.slider.value = this.stops ? (beyond < 0 ? this.stops.length - 1 : beyond) : value;
    const { min, max } = this.slider;
    const share = (this.slider.valueAsNumber - min) / (max - min || 1);
    this.slider.style.setProperty('--share', `${100 * share}%`);
    this.slider.setAttribute('aria-valuetext', String(value));
  }
}

class SwitchRow extends Row {
  constructor(row, write) {
    super(row, write);
    const box = this.field('input', { type: 'checkbox' });
    box.addEventListener('change', () => this.write(this.name, box.checked));
    this.root.classList.add('switch');
    this.finish(this.head(box));
  }

  put(value) { this.input.checked = value === true; }
}

class SeedRow extends Row {
  constructor(row, write) {
    super(row, write);
    const box = this.field('input', { type: 'number', min: 0, max: row.more, step: 1, inputMode: 'numeric' });
    box.addEventListener('input', () => this.write(this.name, box.value === '' ? '' : box.valueAsNumber));
    this.root.classList.add('plain');
    this.finish(this.head(box));
  }

  put(value) { if (document.activeElement !== this.input) this.input.value = value; }
}

class ChoiceRow extends Row {
  constructor(row, write) {
    super(row, write);
    this.values = row.more.map(([, value]) => value);
    this.offered = row.more.map(([words]) => words);
    const select = this.field('select');
    row.more.forEach(([words], n) => select.add(new Option(words, n)));
    select.addEventListener('change', () => this.write(this.name, this.values[select.value]));
    this.root.classList.add('wide');
    this.finish(this.head(), select);
  }

  put(value) { this.input.value = this.values.indexOf(value); }

  // Some of the values may be what a server lacks.
  grey() {
    super.grey();
    const { choices = {}, server = '' } = this.settings?.served ?? {};
    const lacks = choices[this.name] ?? {};
    [...this.input.options].forEach((option, n) => greyOption(option, this.offered[n], lacks[this.values[n]], server, option.selected));
    const reasons = Object.values(lacks);
    if (reasons.length) this.say(reasons.join(' '));
  }
}

class TextRow extends Row {
  constructor(row, write) {
    super(row, write);
    const { rows: lines, placeholder = '', examples = [] } = typeof row.more === 'number' ? { rows: row.more } : row.more;
    const area = this.field('textarea', { rows: lines, placeholder, spellcheck: false });
    area.addEventListener('input', () => this.write(this.name, area.value));
    this.root.classList.add('wide');
    this.finish(this.head(), area);
    if (!examples.length) return;
    const box = h('div', 'tries');
    box.dataset.verbatim = '';  // they are prompts, in whatever language the page is
    for (const text of examples) {
      const button = h('button', 'small', text);
      button.type = 'button';
      button.addEventListener('click', () => this.write(this.name, text));
      box.append(button);
    }
    area.after(box);
  }

  put(value) { if (document.activeElement !== this.input) this.input.value = value; }
}

// A model from the list; where any may be used, one may be typed as well.
class ModelRow extends Row {
  constructor(row, write, limits, { drafts, any }) {
    super(row, write);
    this.root.classList.add('wide');
    if (any) {
      const list = h('datalist');
      list.id = `${this.id}-list`;
      for (const [label, repo] of drafts) list.append(new Option(label, repo));
      const box = this.field('input', { type: 'text', spellcheck: false, placeholder: 'None. Pick one, or type a Hub id.' });
      box.setAttribute('list', list.id);
      box.addEventListener('input', () => this.write(this.name, box.value));
      this.finish(this.head(), box, list);
    } else {
      const select = this.field('select');
      for (const [label, repo] of [['None', ''], ...drafts]) select.add(new Option(label, repo));
      select.addEventListener('change', () => this.write(this.name, select.value));
      this.finish(this.head(), select);
    }
  }

  put(value) { if (document.activeElement !== this.input) this.input.value = value; }
}

const KINDS = {
  number: NumberRow, switch: SwitchRow, seed: SeedRow, choice: ChoiceRow, text: TextRow, model: ModelRow,
};
