// One column's settings: a preset and what differs from it, and what the server says of them.

const h = (tag, className, words) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (words !== undefined) element.textContent = words;
  return element;
};

const CHECK_AFTER = 120; // milliseconds without another change

class Settings {
  // `push` hands the text to Gradio; `check` asks the server about it.
  constructor(text, verdict, push, check) {
    Object.assign(this, { push, check, views: new Set() });
    this.read(text);
    this.verdict = verdict ? JSON.parse(verdict) : {};
  }

  get schema() { return window.decoding.schema; }

  get preset() { return this.own.preset; }

  get text() { return JSON.stringify(this.own); }

  read(text) {
    this.own = { preset: 'Greedy', ...JSON.parse(text || '{}') };
    if (!this.schema.presets[this.own.preset]) this.own.preset = 'Greedy';
  }

  // The value where this column says nothing of its own.
  start(name) {
    const preset = this.schema.presets[this.own.preset];
    return name in preset ? preset[name] : this.schema.neutral[name];
  }

  get(name) { return name in this.own ? this.own[name] : this.start(name); }

  set(name, value) {
    if (value === this.start(name)) delete this.own[name];
    else this.own[name] = value;
    this.changed();
  }

  // Whether something is set where nothing need be; every tab has a length of its own.
  moved(name) { return name !== 'max_new_tokens' && this.get(name) !== this.schema.neutral[name]; }

  // Whether the strategy is no longer the preset's.
  get edited() {
    const preset = this.schema.presets[this.own.preset];
    return Object.keys(this.own).some((name) => name in preset);
  }

  // Sets all of a strategy; lengths, words and dice stay as they are.
  choose(preset) {
    for (const name of Object.keys(this.schema.presets[preset])) delete this.own[name];
    this.own.preset = preset;
    this.changed();
  }

  // Takes over everything of another column.
  copy(other) {
    this.own = { ...other.own };
    this.verdict = other.verdict;
    this.changed();
  }

  // A value that came from the server.
  take(text) {
    if (text === this.text) return;
    this.read(text);
    this.show();
    this.ask();
  }

  changed() {
    this.push(this.text);
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), CHECK_AFTER);
  }

  async ask() {
    const { text } = this;
    let verdict;
    try {
      verdict = JSON.parse(await this.check(text));
    } catch {
      return; // Whoever presses Run is told.
    }
    if (text !== this.text) return;
    this.verdict = verdict;
    this.show();
  }

  show() { for (const view of this.views) view.show(); }
}
