// The panel that edits one column's settings, and the head of a column; where they find each other.

// The columns of each tab that are on the page, by number; the tab's panel, and its board and table.
const tabs = {};

function tabOf(name) {
  tabs[name] ??= { columns: new Map(), panel: null, board: null, table: null };
  return tabs[name];
}

// The menu of presets of one column.
function menuOf(settings) {
  return new PresetMenu((name, own) => (own ? settings().chooseOwn(name) : settings().choose(name)));
}

// What settings come to, in a quiet line, and under it what has no effect or what is wrong.
class Verdict {
  constructor() {
    this.root = h('div', 'verdict');
    this.summary = h('p', 'summary');
    this.ignored = h('p', 'ignored');
    this.problem = h('p', 'problem');
    this.root.append(this.summary, this.ignored, this.problem);
  }

  show({ summary, ignored, problem }, edited = false) {
    const idle = ignored?.length ? `ignored: ${ignored.join(', ')}` : '';
    for (const [line, words] of [[this.summary, edited && summary ? `changed · ${summary}` : summary], [this.ignored, idle], [this.problem, problem]]) {
      line.textContent = words ?? '';
      line.hidden = !words;
      line.title = words ?? '';
    }
  }
}

class Head {
  constructor(root, settings, number, tab) {
    Object.assign(this, { root, settings, number, tab });
    const name = `lane ${number + 1}`;
    this.menu = menuOf(() => settings);
    this.menu.select.setAttribute('aria-label', `Strategy of ${name}`);
    this.about = noteButton(() => settings.preset);
    this.button = h('button', 'open', 'Settings');
    this.button.type = 'button';
    this.button.setAttribute('aria-label', `Settings of ${name}`);
    this.button.addEventListener('click', () => tab.panel?.toggle(number));
    this.verdict = new Verdict();
    const top = h('div', 'top');
    top.append(this.menu.select, this.about, this.button);
    root.append(top, this.verdict.root);
    settings.views.add(this);
    this.show();
  }

  show() {
    const { settings } = this;
    this.menu.show(settings);
    this.about.setAttribute('aria-label', `What ${settings.preset} does`);
    this.verdict.show(settings.verdict, settings.edited);
    this.sayOnce();
    if (this.parts?.classList.contains('quiet')) this.report(null);
    this.root.classList.toggle('bad', Boolean(settings.verdict.problem));
  }

  // A lane that was run with these settings says them itself, in the card below.
  sayOnce() {
    const { summary = '' } = this.settings.verdict;
    const isTold = summary !== '' && ` · ${this.ran ?? ''} · `.includes(` · ${summary} · `);
    this.verdict.summary.hidden = isTold || !summary;
  }

  // What is known of the lane below: where it leaves the others, and its figures. Before a run the
  // same place says what the strategy does, so that nothing moves when one begins.
  report(lane) {
    if (!this.parts) {
      this.parts = h('p', 'parts');
      this.figures = h('p', 'figures');
      this.root.append(this.parts, this.figures);
    }
    this.ran = lane?.sub;
    this.sayOnce();
    const about = window.decoding.schema.notes[this.settings.preset]?.does[0] ?? '';
    const words = lane ? lane.parts : [about];
    const told = JSON.stringify(words);
    if (told !== this.told) {
      this.told = told;
      writeSentence(this.parts, words);
    }
    this.parts.classList.toggle('quiet', !lane);
    const line = lane ? lineOf(lane) : [];
    if (line.join() === this.line) return;
    this.line = line.join();
    this.figures.replaceChildren(...line.map((one) => h('span', '', one)));
    this.figures.title = line.join(', ');
  }

  // Whether the panel is open on this column.
  mark(open) {
    this.root.classList.toggle('edited', open);
    this.button.setAttribute('aria-expanded', String(open));
  }
}

class Panel {
  constructor(root, props) {
    Object.assign(this, { root, number: null, settings: null });
    root.id = `decoding-${props.tab}`;
    this.menu = menuOf(() => this.settings);
    this.menu.select.id = `${root.id}-strategy`;
    const label = h('label', 'name', 'Strategy');
    label.htmlFor = this.menu.select.id;
    this.about = noteButton(() => this.settings.preset);
    this.reset = h('button', 'reset', 'Reset');
    this.reset.type = 'button';
    this.reset.title = 'Back to the strategy as it comes; lengths, words and seed stay.';
    this.reset.addEventListener('click', () => this.settings.reset());
    const strategy = h('div', 'strategy');
    strategy.append(label, this.menu.select, this.about, this.reset);
    this.keeper = new PresetKeeper(() => this.settings);
    this.verdict = new Verdict();
    this.verdict.root.setAttribute('role', 'status');
    root.append(strategy, this.verdict.root, this.keeper.root, ...this.groups(props));
  }

  groups(props) {
    const options = { drafts: props.drafts, any: props.any_model };
    const write = (name, value) => this.settings.set(name, value);
    const draw = (box, settings) => {
      const rows = settings.map((row) => new KINDS[row.kind](row, write, props.limits, options));
      box.append(...rows.map((row) => row.root));
      this.rows.push(...rows);
      return rows;
    };
    this.rows = [];
    this.folds = [];
    return window.decoding.schema.groups.map(([title, settings]) => {
      const box = h(title ? 'details' : 'div', title ? 'group' : 'group common');
      if (title) this.folds.push(this.fold(box, title, settings, draw));
      else draw(box, settings);
      return box;
    });
  }

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
      count.textContent = moved ? `${moved} set` : '';
      if (problem && names.includes(field)) open();
    }
    for (const row of this.rows) row.show(settings);
    // What is wrong with a row that is always in sight stands there alone.
    const said = this.rows.some((row) => row.bad && row.root.closest('.common'));
    this.verdict.show({ ...settings.verdict, problem: said ? '' : problem });
  }
}

// The one panel of a tab with columns: closed at first, open on one column at a time.
class ColumnsPanel extends Panel {
  constructor(root, props, tab) {
    super(root, props);
    this.tab = tab;
    this.side = root.closest('.side');
    const bar = h('header');
    this.title = h('h2', '', 'Settings');
    this.title.tabIndex = -1;
    const close = h('button', 'close', '×');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close the settings');
    close.addEventListener('click', () => this.close());
    this.numbers = h('div', 'numbers');
    this.numbers.setAttribute('role', 'group');
    this.numbers.setAttribute('aria-label', 'Lane');
    bar.append(this.title, this.numbers, close);
    this.all = h('button', 'all', 'Use for all lanes');
    this.all.type = 'button';
    this.all.addEventListener('click', () => this.useForAll());
    root.prepend(bar);
    root.querySelector('.common').after(this.all);
    root.setAttribute('role', 'region');
    root.setAttribute('aria-label', 'Settings of a lane');
    root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      this.close();
    });
    tab.panel = this;
  }

  get open() { return this.side.classList.contains('open'); }

  // Columns come and go; the panel closes with the one it edits.
  settle() {
    const { columns } = this.tab;
    for (const [number, head] of columns) if (!head.root.isConnected) columns.delete(number);
    if (this.number !== null && !columns.has(this.number)) this.close(false);
    else if (this.open) this.frame();
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
    this.tab.columns.get(number).root.scrollIntoView({ block: 'nearest', inline: 'nearest' });
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
    if (this.number !== null) this.title.textContent = `Lane ${this.number + 1}`;
    this.all.hidden = columns.size < 2;
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
  }
}

function ownSettings(options) {
  const { props, server } = options;
  const push = (text) => { props.value = text; };
  const settings = new Settings(props.value, props.verdict, push, (text) => server.decoding_check(text));
  options.watch('value', () => settings.take(props.value));
  return settings;
}

function mountHead(root, options) {
  const { tab: name, column: number } = options.props;
  const tab = tabOf(name);
  const settings = ownSettings(options);
  const head = new Head(root, settings, number, tab);
  tab.columns.set(number, head);
  // The verdict that came with the page is for the settings that the column began with then.
  if (settings.text !== options.props.begins) settings.ask();
  head.mark(false);
  tab.board?.settle();
  new ResizeObserver(() => {
    const before = tab.columns.size;
    tab.panel?.settle();
    if (tab.columns.size !== before) tab.board?.settle();
  }).observe(root);
}

window.decoding = {
  mount(element, options) {
    const root = element.querySelector('.decoding-head, .decoding-panel, .lane-board, .lane-table');
    const { props, server } = options;
    if (!ownPresets.server) ownPresets.read(server);
    if (props.mode === 'head') mountHead(root, options);
    else if (props.mode === 'board') tabOf(props.tab).board = new LaneBoard(root, options, tabOf(props.tab));
    else if (props.mode === 'table') tabOf(props.tab).table = new LaneTable(root, tabOf(props.tab));
    else if (props.value) new Panel(root, props).edit(ownSettings(options));
    else new ColumnsPanel(root, props, tabOf(props.tab));
  },
};
