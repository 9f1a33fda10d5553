// A grid on the page: asks the server for what changed, says how far it is, and which cells are open.

const KEY = 'playground:grid';
const AXES = ['Prompt', 'System prompt', 'Model', 'Strategy', 'Seed'];
const ASK_AGAIN = 350; // milliseconds, while it runs and somebody looks
const OUT_OF_SIGHT = 2000;
const REDRAW = 1500; // at most so often while what is filtered or sorted by changes

const remembered = {
  get() { try { return localStorage.getItem(KEY) ?? ''; } catch { return ''; } },
  set(key) { try { if (key) localStorage.setItem(KEY, key); else localStorage.removeItem(KEY); } catch { /* a browser that keeps nothing */ } },
};

class GridBoard {
  constructor(root, { props, server, watch, find_grid: find, grid_over: over, open_cells: open }) {
    Object.assign(this, { root, props, server, over, open });
    Object.assign(this, { key: '', version: 0, revision: 0, axes: [], cells: [], opened: [], figure: 'perplexity' });
    this.sort = { by: '', turned: false, column: null };
    this.running = false;
    this.hint = h('p', 'hint', props.hint);
    this.plan = h('ul', 'plan');
    this.progress = h('div', 'progress');
    this.progress.setAttribute('role', 'progressbar');
    this.progress.setAttribute('aria-label', 'Cells that are over');
    this.bar = h('i');
    this.progress.append(this.bar);
    this.status = h('p', 'status');
    this.tools = new GridTools(this);
    this.sheet = new GridSheet(this);
    root.append(this.hint, this.plan, this.progress, this.status, this.tools.root, this.sheet.root);
    this.narrow = matchMedia('(max-width: 640px)');
    this.narrow.addEventListener('change', () => this.sheet.draw());
    document.addEventListener('visibilitychange', () => { if (!document.hidden && this.key) this.ask_news(); });
    watch('value', () => this.take(props.value));
    this.show();
    this.take(props.value);
    if (!this.key && remembered.get()) find({ key: remembered.get() });
  }

  // Another grid, another version of it, or the news that it is no longer kept.
  take(value) {
    const { key = '', version = 0, gone = false } = JSON.parse(value || '{}');
    if (gone) this.forget();
    if (!key) return;
    remembered.set(key);
    if (key !== this.key) Object.assign(this, { cells: [], version: 0 });
    Object.assign(this, { key, wanted: version });
    this.ask_news();
  }

  forget() {
    remembered.set('');
    Object.assign(this, { key: '', cells: [], running: false, opened: [] });
    this.hint.textContent = 'The grid that this browser remembers is no longer kept on the server.';
    this.show();
  }

  ask(what, more = {}) { return this.server[what]({ key: this.key, ...more }); }

  // One question at a time; what comes while one is under way asks once more after it.
  async ask_news() {
    if (this.asking) { this.again = true; return; }
    this.asking = true;
    clearTimeout(this.timer);
    let pause = null;
    try {
      pause = await this.news();
    } catch {
      pause = OUT_OF_SIGHT; // the server is away; Gradio says so
    }
    this.asking = false;
    if (this.again) { this.again = false; pause = 0; }
    if (pause !== null) this.timer = setTimeout(() => this.ask_news(), pause);
  }

  // Takes what is new; gives when to ask again, or null.
  async news() {
    const told = JSON.parse(await this.ask('grid_news', { since: this.revision }));
    if (told.gone) { this.forget(); return null; }
    if (told.version !== this.version) {
      await this.layout();
      return 0;
    }
    const ran = this.running;
    Object.assign(this, { revision: told.revision, running: told.running, told });
    for (const row of told.cells) this.cells[row[0]]?.take(row);
    this.show();
    if (told.cells.length && (this.tools.filters || this.sort.by || this.isList())) this.redraw();
    if (told.more) return 0;
    if (ran && !told.running) this.over({ key: this.key });
    if (!told.running) return null;
    return this.root.offsetParent === null ? OUT_OF_SIGHT : ASK_AGAIN;
  }

  async layout() {
    const told = JSON.parse(await this.ask('grid_layout'));
    if (told.gone) return;
    Object.assign(this, { version: told.version, revision: 0, axes: told.axes, opened: [] });
    this.cells = told.cells.map((at, place) => new GridCell(this, place, at));
    this.sheet.all = false;
    this.sort = { by: '', turned: false, column: null };
    this.tools.build();
    this.showFigure();
    this.sheet.draw();
  }

  // What is there to see at all, the plan, and how far it is.
  show() {
    const { told, running } = this;
    const some = this.cells.length > 0;
    this.hint.hidden = some;
    for (const part of [this.progress, this.status, this.tools.root, this.sheet.root]) part.hidden = !some;
    const lines = some && told && !running ? [...told.plan, ...told.notes] : [];
    if (lines.join('\n') !== this.lines) {
      this.lines = lines.join('\n');
      this.plan.replaceChildren(...lines.map((line) => h('li', '', line)));
    }
    this.plan.hidden = !lines.length;
    if (!some || !told) return;
    const { counts, total } = told;
    const over = ['done', 'failed'].reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    this.progress.setAttribute('aria-valuemax', total);
    this.progress.setAttribute('aria-valuenow', over);
    this.progress.classList.toggle('on', running);
    this.bar.style.transform = `scaleX(${over / total})`;
    const words = this.words(counts, total);
    if (this.status.textContent !== words) this.status.textContent = words;
  }

  words(counts, total) {
    const { running, told } = this;
    const parts = [`${counts.done ?? 0} of ${total} done`];
    for (const state of ['writing', 'loading', 'waiting', 'stopped', 'failed']) {
      if (counts[state]) parts.push(`${counts[state]} ${state}`);
    }
    if (running) parts.push(told.stopping ? 'stopping' : told.says || told.left);
    return parts.join(' · ');
  }

  redraw() {
    if (this.redrawing) return;
    this.redrawing = setTimeout(() => { this.redrawing = null; this.sheet.draw(); }, REDRAW);
  }

  // How it is laid out

  isList() { return this.narrow.matches || this.tools.value('view') === 'list'; }

  across() { return (this.tools.value('across') || '2,3,4').split(',').map(Number); }

  varying() { return [...AXES.keys()].filter((axis) => this.axes[axis] && this.axes[axis][1].length > 1); }

  named(axes) {
    const varying = this.varying();
    const names = axes.filter((axis) => varying.includes(axis)).map((axis) => AXES[axis]);
    return (names.length ? names : [AXES[axes[0]]]).map((name, n) => (n ? name.toLowerCase() : name)).join(', ');
  }

  // A cell's values on these axes, those left out that all cells share; at least one.
  valuesOf(cell, axes) {
    const varying = this.varying();
    const some = axes.filter((axis) => varying.includes(axis));
    const shown = some.length ? some : axes.slice(0, 1);
    return shown.map((axis) => [axis, this.axes[axis][1][cell.at[axis]]])
      .filter(([axis, value]) => axis !== 4 || value !== 'any')
      .map(([axis, value]) => (axis === 4 ? `seed ${value}` : value));
  }

  filtered() { return this.cells.filter((cell) => this.tools.passes(cell)); }

  filterBy() { this.sheet.draw(); }

  showFigure() {
    this.figure = this.tools.value('figure') || this.figure;
    for (const cell of this.cells) if (cell.root) cell.draw();
    if (this.sort.column) this.sheet.draw();
  }

  sortBy(by, column) {
    const { sort } = this;
    const same = by && sort.by === by && sort.column === column;
    this.sort = same && sort.turned ? { by: '', turned: false, column: null } : { by, column, turned: Boolean(same) };
    this.sheet.draw();
  }

  // Open cells

  openCell(place) { this.openAll([place]); }

  openBeside(place) {
    const [first] = this.opened;
    this.openAll(this.opened[1] === place ? [first] : [first ?? place, place]);
  }

  openAll(places) {
    const appear = this.opened.length === 0;
    this.opened = [...new Set(places)];
    for (const cell of this.cells) if (cell.root) cell.mark();
    this.open({ key: this.key, places: this.opened });
    if (appear) setTimeout(() => document.getElementById('grid-lanes')?.scrollIntoView({ block: 'nearest', behavior: 'smooth' }), 600);
  }
}

window.gridBoard = {
  mount(root, ways) { return new GridBoard(root, ways); },
};
