// The lanes of each tab: what one change does to all of them, how they differ, and which wait.

// The columns of each tab that are on the page, by number; the tab's panel, its board and table.
const tabs = {};

function tabOf(name) {
  tabs[name] ??= new LaneTab();
  return tabs[name];
}

const PLAN_AFTER = 150; // milliseconds without another change
const PLAN_AGAIN = 3000;

class LaneTab {
  constructor() {
    Object.assign(this, { columns: new Map(), panel: null, board: null, table: null, plan: null });
    this.locks = new Set(); // names of settings that are the same in every lane
  }

  get heads() { return [...this.columns].sort(([a], [b]) => a - b).map(([, head]) => head); }

  // The settings that a change of `name` in one lane is made in.
  sharing(settings, name) {
    return this.locks.has(name) ? this.heads.map((head) => head.settings) : [settings];
  }

  // One change, in every lane where it is locked; in between, lanes may differ.
  change(settings, name, make) {
    this.changing = true;
    try {
      for (const one of this.sharing(settings, name)) make(one);
    } finally {
      this.changing = false;
    }
    this.compare();
  }

  write(settings, name, value) { this.change(settings, name, (one) => one.set(name, value)); }

  choose(settings, preset, own) {
    this.change(settings, 'preset', (one) => (own ? one.chooseOwn(preset, this.locks) : one.choose(preset, this.locks)));
  }

  // A lock makes its setting the same in all lanes, and keeps it so.
  lock(settings, name) {
    if (this.locks.delete(name)) { this.compare(); return; }
    this.locks.add(name);
    if (name !== 'preset') this.write(settings, name, settings.get(name));
    else this.choose(settings, settings.saved ? settings.own.name : settings.preset, Boolean(settings.saved));
  }

  // What a lane is set to, as far as it counts; a seed counts where it is kept.
  told(settings, name) {
    if (name === 'preset') return settings.own.name || settings.preset;
    if (name === 'seed' && settings.get('fresh_seed')) return 'new';
    return settings.get(name);
  }

  // After any change: marks, differences and the plan. What the server set may undo a lock.
  compare() {
    if (this.changing) return;
    const all = this.heads.map((head) => head.settings);
    const same = (name) => new Set(all.map((one) => JSON.stringify(this.told(one, name)))).size < 2;
    for (const name of this.locks) if (!same(name)) this.locks.delete(name);
    const names = new Set(['model', 'template', 'system', 'prefill', 'preset', ...all.flatMap((one) => Object.keys(one.own))]);
    for (const gone of ['name', 'changed', 'fresh_seed', 'effects']) names.delete(gone);
    const differing = [...names].filter((name) => !same(name));
    for (const head of this.heads) head.differs?.(differing, all.length);
    this.panel?.showLocks?.();
    this.plan?.ask(all.map((one) => one.get('model')));
  }
}

// The words for a setting and its value, short.
function settingWords(name, value) {
  if (name === 'preset') return value;
  if (name === 'model') return String(value).split('/').pop();
  const label = labelOf(name);
  if (value === true || value === false) return `${label} ${value ? 'on' : 'off'}`;
  if (value === '') return `no ${label[0].toLowerCase()}${label.slice(1)}`;
  if (name === 'template') return value;
  const text = String(value).replace(/\s+/g, ' ');
  const short = text.length > 40 ? `${text.slice(0, 39)}…` : text;
  return typeof value === 'string' && name !== 'seed' ? `${label} “${short}”` : `${label} ${short}`;
}

function labelOf(name) {
  const { groups, fields } = FACTS;
  const row = fields[name] ?? groups.flatMap(([, rows]) => rows).find((one) => one.name === name);
  return row?.label ?? name;
}

// Which lanes run first, where their models do not fit in memory together.
class LanePlan {
  constructor(root, server) {
    Object.assign(this, { root, server, asked: '' });
    root.setAttribute('role', 'status');
  }

  ask(models) {
    const text = JSON.stringify(models);
    if (text === this.asked) return;
    this.asked = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say(text), new Set(models).size > 1 ? PLAN_AFTER : 0);
  }

  async say(text) {
    let words = '';
    if (new Set(JSON.parse(text)).size > 1) {
      try { words = await this.server.decoding_plan(text); } catch { return; }
    }
    if (text !== this.asked) return;
    this.root.textContent = words;
    // What is in memory goes first, and that changes with every run.
    clearTimeout(this.timer);
    if (words && this.root.isConnected) this.timer = setTimeout(() => this.say(text), PLAN_AGAIN);
  }
}
