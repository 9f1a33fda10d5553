// The panel that edits one column's settings, and where it and the heads find each other.

class Panel {
  constructor(root, props) {
    Object.assign(this, { root, number: null, settings: null });
    this.tab = props.value ? null : tabOf(props.tab);
    root.id = `decoding-${props.tab}`;
    this.menu = menuOf(() => this.settings, this.tab);
    this.menu.select.id = `${root.id}-strategy`;
    const label = h('label', 'name', 'Strategy');
    label.htmlFor = this.menu.select.id;
    this.about = noteButton(() => this.settings.preset);
    this.reset = h('button', 'reset', 'Reset');
    this.reset.type = 'button';
    this.reset.title = 'Back to the strategy as it comes; lengths, words and seed stay.';
    this.reset.addEventListener('click', () => this.settings.reset());
    const strategy = this.strategy = h('div', 'strategy');
    strategy.append(label, this.menu.select, this.about, this.reset);
    this.keeper = new PresetKeeper(() => this.settings);
    this.verdict = new Verdict();
    this.verdict.root.setAttribute('role', 'status');
    this.server = h('p', 'server');
    this.server.setAttribute('role', 'status');
    const fields = h('div', 'fields');
    root.append(fields, strategy, this.verdict.root, this.server, this.keeper.root, ...this.groups(props, fields));
  }

  groups(props, fields) {
    const options = { drafts: props.drafts, any: props.any_model };
    const write = (name, value) => (this.tab ? this.tab.write(this.settings, name, value) : this.settings.set(name, value));
    const draw = (box, settings) => {
      const rows = settings.map((row) => new KINDS[row.kind](row, write, props.limits, options));
      box.append(...rows.map((row) => row.root));
      this.rows.push(...rows);
      for (const row of rows) this.drawn(row);
      return rows;
    };
    this.rows = [];
    this.folds = [];
    draw(fields, (props.fields ?? []).map((name) => FACTS.fields[name]));
    fields.hidden = !fields.childElementCount;
    return FACTS.groups.map(([title, settings]) => {
      const box = h(title ? 'details' : 'div', title ? 'group' : 'group common');
      if (title) this.folds.push(this.fold(box, title, settings, draw));
      else draw(box, settings);
      return box;
    });
  }

  drawn() { /* A panel of several lanes gives each row a lock. */ }

  // A group whose rows are drawn when somebody opens it: most never do.
  fold(box, title, settings, draw) {
    const summary = h('summary', '', title);
    const count = h('span', 'count');
    summary.append(count);
    box.append(summary);
    const open = () => {
      box.open = true;
      if (box.children.length === 1) for (const row of draw(box, settings)) row.show(this.settings);
    };
    box.addEventListener('toggle', () => box.open && open());
    return { names: settings.map((row) => row.name), count, open };
  }

  edit(settings) {
    this.settings?.views.delete(this);
    this.settings = settings;
    settings.views.add(this);
    this.show();
  }

  show() {
    const { settings } = this;
    const { field, problem } = settings.verdict;
    this.menu.show(settings);
    this.about.setAttribute('aria-label', `What ${settings.preset} does`);
    this.keeper.show();
    this.reset.hidden = !settings.edited;
    for (const { names, count, open } of this.folds) {
      const moved = names.filter((name) => settings.moved(name)).length;
      const lacks = names.every((name) => settings.lacking(name));
      count.textContent = moved ? `${moved} set` : lacks ? `not on ${settings.served.server}` : '';
      count.classList.toggle('lacks', lacks && !moved);
      if (problem && names.includes(field)) open();
    }
    for (const row of this.rows) row.show(settings);
    // What is wrong with a row that is always in sight stands there alone.
    const said = this.rows.some((row) => row.bad && row.root.closest('.common, .fields'));
    this.verdict.show({ ...settings.verdict, problem: said ? '' : problem });
    const { said: asked, problem: trouble } = settings.served;
    this.server.textContent = trouble || asked;
    this.server.hidden = !this.server.textContent;
    this.server.classList.toggle('trouble', Boolean(trouble));
  }
}

// The one panel of a tab with columns: closed at first, open on one column at a time. One that
// `stays` is open as long as there is one lane.
class ColumnsPanel extends Panel {
  constructor(root, props, tab) {
    super(root, props);
    this.stays = props.stays;
    this.side = root.closest('.side');
    const bar = h('header');
    this.title = h('h2', '', 'Settings');
    this.title.tabIndex = -1;
    this.shut = h('button', 'close', '×');
    this.shut.type = 'button';
    this.shut.setAttribute('aria-label', 'Close the settings');
    this.shut.addEventListener('click', () => this.close());
    this.numbers = h('div', 'numbers');
    this.numbers.setAttribute('role', 'group');
    this.numbers.setAttribute('aria-label', 'Lane');
    bar.append(this.title, this.numbers, this.shut);
    this.copies = h('div', 'copies');
    this.next = this.copyButton(() => this.copyToNext());
    this.all = this.copyButton(() => this.useForAll(), 'Use for all lanes');
    this.copies.append(this.next, this.all);
    root.prepend(bar);
    root.querySelector('.common').after(this.copies);
    root.setAttribute('role', 'region');
    root.setAttribute('aria-label', 'Settings of a lane');
    root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || (this.stays && this.tab.columns.size < 2)) return;
      event.preventDefault();
      this.close();
    });
    this.strategyLock = this.lockButton('preset', 'Strategy');
    this.strategy.append(this.strategyLock);
    tab.panel = this;
    if (this.stays) this.side.classList.remove('tucked');
  }

  copyButton(act, words = '') {
    const button = h('button', 'all', words);
    button.type = 'button';
    button.addEventListener('click', act);
    return button;
  }

  lockButton(name, label) {
    const button = h('button', 'lock');
    button.type = 'button';
    button.dataset.lock = name;
    button.setAttribute('aria-label', `${label}: the same in every lane`);
    button.addEventListener('click', () => this.tab.lock(this.settings, name));
    return button;
  }

  drawn(row) {
    row.root.querySelector('.head').append(this.lockButton(row.name, row.label.textContent));
    if (this.shut) this.showLocks();
  }

  // Which settings are the same in every lane because the reader wants them so.
  showLocks() {
    const { columns, locks } = this.tab;
    for (const button of this.root.querySelectorAll('.lock')) {
      const locked = locks.has(button.dataset.lock);
      button.hidden = columns.size < 2;
      button.setAttribute('aria-pressed', String(locked));
      button.title = locked ? 'Locked: a change is made in every lane.' : 'Lock: the same in every lane.';
    }
  }

  get open() { return this.side.classList.contains('open'); }

  // Columns come and go; the panel closes with the one it edits.
  settle() {
    const { columns } = this.tab;
    for (const [number, head] of columns) if (!head.root.isConnected) columns.delete(number);
    if (this.number !== null && !columns.has(this.number)) this.close(false);
    else if (this.open) this.frame();
    if (this.stays) this.stand();
    this.tab.compare();
  }

  // With one lane the panel simply stands there; with more it can be put away.
  stand() {
    const { columns } = this.tab;
    const alone = columns.size < 2;
    this.side.classList.toggle('tucked', !alone);
    if (alone && columns.size && this.number === null) this.openOn([...columns.keys()][0], false);
    this.frame();
  }

  // A lane came: what is set next is most likely to be its own.
  came(number) {
    const wide = window.innerWidth > 900;
    if (this.stays && this.tab.columns.size > 1 && !wide) this.close(false);
    else if (this.open && this.tab.columns.size > 1) this.openOn(number, false);
    this.settle();
  }

  toggle(number) {
    if (this.open && this.number === number) this.close();
    else this.openOn(number, true);
  }

  openOn(number, focus) {
    this.number = number;
    this.edit(this.tab.columns.get(number).settings);
    this.side.classList.add('open');
    this.frame();
    if (this.tab.columns.size > 1) this.tab.columns.get(number).root.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    if (focus) this.title.focus({ preventScroll: window.innerWidth > 900 });
  }

  close(focus = true) {
    const head = this.tab.columns.get(this.number);
    this.number = null;
    this.side.classList.remove('open');
    this.frame();
    if (focus) head?.button.focus();
  }

  // Which column is edited: in the title, in the row of numbers, and on the column itself.
  frame() {
    const { columns } = this.tab;
    const several = columns.size > 1;
    if (this.number !== null) this.title.textContent = several || !this.stays ? `Lane ${this.number + 1}` : 'Settings';
    this.copies.hidden = !several;
    this.next.hidden = !columns.has(this.number + 1);
    this.next.textContent = `Copy to lane ${this.number + 2}`;
    this.shut.hidden = this.stays && !several;
    this.showLocks();
    const buttons = [...columns.keys()].sort((a, b) => a - b).map((number) => {
      const button = h('button', '', String(number + 1));
      button.type = 'button';
      button.setAttribute('aria-label', `Settings of lane ${number + 1}`);
      button.setAttribute('aria-pressed', String(number === this.number));
      button.addEventListener('click', () => {
        this.openOn(number);
        this.numbers.querySelector('[aria-pressed="true"]').focus();
      });
      return button;
    });
    this.numbers.replaceChildren(...(buttons.length > 1 ? buttons : []));
    for (const [number, head] of columns) head.mark(this.open && number === this.number);
  }

  useForAll() {
    for (const head of this.tab.columns.values()) {
      if (head.settings !== this.settings) head.settings.copy(this.settings);
    }
    this.tab.compare();
  }

  copyToNext() {
    this.tab.columns.get(this.number + 1).settings.copy(this.settings);
    this.tab.compare();
  }
}

function ownSettings(root, options) {
  const { props, server } = options;
  const push = (text) => { props.value = text; };
  const settings = new Settings(props.value, props.verdict, push, {
    check: (text) => server.decoding_check(text), serve: (model) => server.decoding_served(model), tab: props.tab, root,
  });
  options.watch('value', () => settings.take(props.value));
  return settings;
}

function mountHead(root, options) {
  const { tab: name, column: number } = options.props;
  const tab = tabOf(name);
  const settings = ownSettings(root, options);
  const head = new Head(root, settings, number, tab, options.props);
  const came = !tab.columns.has(number);
  tab.columns.set(number, head);
  settings.views.add({ show: () => tab.compare() });
  // The verdict that came with the page is for the settings that the column began with then.
  if (settings.text !== options.props.begins || served.isServed(settings.model)) settings.ask();
  settings.show();
  head.mark(false);
  // What is mounted here is on the page a frame later.
  requestAnimationFrame(() => {
    if (came) tab.panel?.came(number);
    tab.compare();
  });
  tab.board?.settle();
  new ResizeObserver(() => {
    const before = tab.columns.size;
    tab.panel?.settle();
    if (tab.columns.size !== before) tab.board?.settle();
  }).observe(root);
}

window.decoding = {
  served,

  // A tab whose columns share a model has picked another one.
  picked(tab) { served.repick(tab); },

  mount(root, options) {
    const { props, server } = options;
    if (props.mode === 'plan') {
      tabOf(props.tab).plan = new LanePlan(root, server);
      tabOf(props.tab).compare();
      return;
    }
    if (!ownPresets.server) ownPresets.read(server);
    if (props.mode === 'head') mountHead(root, options);
    else if (props.mode === 'board') tabOf(props.tab).board = new LaneBoard(root, options, tabOf(props.tab));
    else if (props.mode === 'table') tabOf(props.tab).table = new LaneTable(root, tabOf(props.tab));
    else if (props.value) new Panel(root, props).edit(ownSettings(root, options));
    else {
      const panel = new ColumnsPanel(root, props, tabOf(props.tab));
      requestAnimationFrame(() => panel.settle());
    }
  },
};
