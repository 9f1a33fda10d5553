// One column's settings: a preset and what differs from it, and what the server says of them.

const h = (tag, className, words) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (words !== undefined) element.textContent = words;
  return element;
};

const CHECK_AFTER = 120; // milliseconds without another change

class Settings {
  // `push` hands the text to Gradio; `check` asks the server about it, and `serve` what the server
  // of a model lacks. The column of these settings stands in `tab`, under `root`.
  constructor(text, verdict, push, { check, serve, tab, root }) {
    Object.assign(this, { push, check, serve, tab, root, views: new Set() });
    this.read(text);
    this.verdict = verdict ? JSON.parse(verdict) : {};
    served.settings.add(this);
  }

  get isThere() { return this.root.isConnected; }

  // The model that these settings are for: the column's own, or the one that the tab has picked.
  get model() { return this.own.model || served.picked(this.tab); }

  get served() { return served.of(this.model); }

  // Why the model's server cannot be given this setting; empty where it can.
  lacking(name) { return this.served.lacks[name] ?? ''; }

  // What the server is asked about: with the model, where that decides what may be set.
  get question() {
    const { model, text } = this;
    return served.isServed(model) && !this.own.model ? JSON.stringify({ ...JSON.parse(text), model }) : text;
  }

  get preset() { return this.own.preset; }

  get text() { return JSON.stringify(this.edited && this.saved ? { ...this.own, changed: true } : this.own); }

  // What the reader saved under the name that these settings have; null without one.
  get saved() { return this.own.name ? ownPresets.get(this.own.name) : null; }

  read(text) {
    this.own = { preset: 'Greedy', ...JSON.parse(text || '{}') };
    delete this.own.changed;
    if (!FACTS.presets[this.own.preset]) this.own.preset = 'Greedy';
  }

  // The value where this column says nothing of its own.
  start(name) {
    const preset = FACTS.presets[this.own.preset];
    return name in preset ? preset[name] : FACTS.neutral[name];
  }

  get(name) { return name in this.own ? this.own[name] : this.start(name); }

  set(name, value) {
    if (value === this.start(name)) delete this.own[name];
    else this.own[name] = value;
    if (this.own.name && !this.saved && this.strategic(name)) delete this.own.name;
    this.changed();
  }

  // Whether a setting is one that strategies decide.
  strategic(name) { return name in FACTS.presets[this.own.preset]; }

  // Whether something is set where nothing need be; every tab has a length of its own.
  moved(name) { return name !== 'max_new_tokens' && name !== 'model' && this.get(name) !== FACTS.neutral[name]; }

  // Whether the strategy is no longer the preset's, or what was saved is no longer this.
  get edited() {
    const names = Object.keys(this.own);
    const { saved } = this;
    if (!saved) return !this.own.name && names.some((name) => this.strategic(name));
    const compared = new Set([...names.filter((name) => this.strategic(name)), ...Object.keys(saved)]);
    return [...compared].some((name) => this.get(name) !== (name in saved ? saved[name] : this.start(name)));
  }

  // Sets all of a strategy; lengths, words and dice stay as they are, and so does what is locked.
  choose(preset, locks = []) {
    const kept = this.locked(preset, locks);
    for (const name of Object.keys(FACTS.presets[preset])) delete this.own[name];
    delete this.own.name;
    this.own.preset = preset;
    this.keep(kept);
    this.changed();
  }

  // The values of a strategy's settings that a lock holds.
  locked(preset, locks) {
    return [...locks].filter((name) => name in FACTS.presets[preset]).map((name) => [name, this.get(name)]);
  }

  keep(values) {
    for (const [name, value] of values) {
      if (value === this.start(name)) delete this.own[name];
      else this.own[name] = value;
    }
  }

  // The same with one of the reader's own, and with the words that were saved in it.
  chooseOwn(name, locks = []) {
    const saved = ownPresets.get(name);
    const { preset } = { preset: 'Greedy', ...saved };
    const kept = this.locked(preset, locks);
    for (const one of Object.keys(FACTS.presets[preset])) delete this.own[one];
    Object.assign(this.own, saved, { preset, name });
    this.keep(kept);
    this.changed();
  }

  // Back to what was chosen.
  reset() {
    if (this.saved) this.chooseOwn(this.own.name);
    else this.choose(this.own.preset);
  }

  dropName() {
    delete this.own.name;
    this.changed();
  }

  // What a preset of the reader's own would hold: no dice, no length, nothing that is only reported.
  get savable() {
    const { name, seed, fresh_seed, max_new_tokens, candidates, effects, ...kept } = this.own;
    for (const field of Object.keys(FACTS.fields)) delete kept[field];
    return kept;
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
    const { question } = this;
    let verdict;
    try {
      verdict = JSON.parse(await this.check(question));
    } catch {
      return; // Whoever presses Run is told.
    }
    if (question !== this.question) return;
    this.verdict = verdict;
    this.show();
  }

  show() {
    const { model } = this;
    if (model !== this.wanted) {
      this.wanted = model;
      served.want(model, this.serve);
    }
    for (const view of this.views) view.show();
  }
}
