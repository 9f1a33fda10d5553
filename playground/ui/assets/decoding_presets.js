// The menu of presets: those that come with the page, and the reader's own, kept in this browser.

const OWN_KEY = 'playground:presets';

const ownPresets = {
  names: {},
  problems: [],
  views: new Set(),

  // What this browser kept, as far as the server finds nothing wrong with it.
  async read(server) {
    this.server = server;
    let text = null;
    try { text = localStorage.getItem(OWN_KEY); } catch { /* A browser that keeps nothing. */ }
    if (text === null) this.take({ presets: {}, problems: [] });
    else this.take(JSON.parse(await server.decoding_presets(text)));
  },

  take({ presets, problems }) {
    this.names = Object.assign(Object.create(null), presets);
    this.problems = problems;
    for (const view of this.views) view();
  },

  get(name) { return this.names[name] ?? null; },

  // Returns a sentence when it cannot be kept.
  write(change) {
    const next = { ...this.names };
    change(next);
    try {
      localStorage.setItem(OWN_KEY, JSON.stringify(next));
    } catch {
      return 'This browser keeps nothing for this page, so a preset cannot be saved.';
    }
    this.take({ presets: next, problems: [] });
    return '';
  },

  save(name, settings) {
    if (FACTS.presets[name]) return `“${name}” is a strategy that comes with the page; choose another name.`;
    if (!name || name.length > 40) return 'A preset’s name has 1 to 40 characters.';
    if (Object.keys(this.names).length >= 50 && !this.get(name)) return 'There are 50 presets already; delete one first.';
    return this.write((next) => { next[name] = settings; });
  },

  remove(name) { return this.write((next) => { delete next[name]; }); },
};

window.addEventListener('storage', (event) => {
  if (event.key === OWN_KEY && ownPresets.server) ownPresets.read(ownPresets.server);
});

// A select with all presets. A name that is no preset, such as a lane's of a sweep, stands on top.
class PresetMenu {
  constructor(onChoose) {
    this.select = h('select', 'preset');
    this.select.addEventListener('change', () => {
      const { value } = this.select;
      if (value.startsWith('own:')) onChoose(value.slice(4), true);
      else if (value) onChoose(value, false);
    });
    this.stale = true;
    ownPresets.views.add(() => { this.stale = true; if (this.settings) this.show(this.settings); });
  }

  fill() {
    const group = (label, entries) => {
      const box = h('optgroup');
      box.label = label;
      for (const [words, value] of entries) box.append(new Option(words, value));
      return box;
    };
    const groups = Map.groupBy(Object.values(FACTS.notes), (note) => note.group);
    const built = [...groups].map(([label, notes]) => group(label, notes.map(({ name }) => [name, name])));
    const own = Object.keys(ownPresets.names).map((name) => [name, `own:${name}`]);
    this.select.replaceChildren(...(own.length ? [group('Yours', own)] : []), ...built);
    this.passing = null;
    this.stale = false;
    this.greyed = '';
  }

  // Strategies that the model's server cannot follow.
  grey({ served: { presets, server }, preset }) {
    if (!Object.keys(presets).length && !this.greyed) return;
    this.greyed = server;
    for (const option of this.select.options) {
      const { value } = option;
      if (value in FACTS.notes) greyOption(option, value, presets[value], server, value === preset);
    }
  }

  show(settings) {
    this.settings = settings;
    if (this.stale) this.fill();
    const { name } = settings.own;
    const kept = name && ownPresets.get(name);
    if (name && !kept) {
      if (!this.passing) this.select.prepend(this.passing = new Option('', ''));
      this.passing.textContent = name;
    } else {
      this.passing?.remove();
      this.passing = null;
    }
    this.grey(settings);
    this.select.value = !name ? settings.preset : kept ? `own:${name}` : '';
  }
}

// Under the strategy in the panel: keep these settings under a name, or delete those that are kept.
class PresetKeeper {
  constructor(settings) {
    this.settings = settings;
    this.root = h('div', 'keeper');
    const button = (words, act) => {
      const made = h('button', 'small', words);
      made.type = 'button';
      made.addEventListener('click', act);
      return made;
    };
    this.open = button('Save as preset…', () => this.ask(true));
    this.again = button('Save', () => this.say(ownPresets.save(this.own.name, this.settings().savable)));
    this.remove = button('Delete preset', () => this.forget());
    this.form = h('form');
    this.box = h('input');
    Object.assign(this.box, { type: 'text', maxLength: 40, autocomplete: 'off', placeholder: 'Name' });
    this.box.setAttribute('aria-label', 'Name of the preset');
    const save = h('button', 'small', 'Save');
    this.form.append(this.box, save, button('Cancel', () => this.ask(false)));
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.save(); });
    this.form.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      this.ask(false);
    });
    this.said = h('p', 'said');
    this.said.setAttribute('role', 'status');
    this.root.append(this.open, this.again, this.remove, this.form, this.said);
    this.form.hidden = true;
    ownPresets.views.add(() => this.show());
  }

  get own() { return this.settings()?.own ?? {}; }

  ask(open) {
    this.form.hidden = !open;
    this.said.textContent = '';
    this.show();
    if (open) this.box.focus();
    else this.open.focus();
  }

  save() {
    const name = this.box.value.trim();
    const problem = ownPresets.save(name, this.settings().savable);
    if (problem) { this.say(problem); return; }
    this.settings().chooseOwn(name);
    this.box.value = '';
    this.ask(false);
    this.say(`Saved as “${name}” in this browser.`);
  }

  forget() {
    const { name } = this.own;
    const problem = ownPresets.remove(name);
    if (!problem) this.settings().dropName();
    this.say(problem || `“${name}” is deleted.`);
    this.open.focus();
  }

  say(words) { this.said.textContent = words; this.show(); }

  show() {
    const settings = this.settings();
    if (!settings) return;
    const kept = Boolean(this.own.name && ownPresets.get(this.own.name));
    const asking = !this.form.hidden;
    this.open.hidden = asking;
    this.again.hidden = asking || !kept || !settings.edited;
    this.again.textContent = `Save “${this.own.name}”`;
    this.remove.hidden = asking || !kept;
    if (ownPresets.problems.length && !this.said.textContent) this.said.textContent = ownPresets.problems.join(' ');
  }
}
