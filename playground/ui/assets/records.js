// The list of records: search, choose, open one or two, label, star, delete and bring back.

const UNDO_MILLISECONDS = 30_000;
const TYPING_MILLISECONDS = 250;
const LARGEST_FILE = 900_000; // bytes; what a page may send at once is a little more
const MOST_LANES = 8;         // in a recipe's file

class RecordList {
  constructor(root, { props, watch, ask, show }) {
    Object.assign(this, { root, ask, show, turn: 0, shows: 0, rows: [], chosen: new Set(), opened: [] });
    this.query = { words: '', starred: false, model: '', tab: '', page: 0 };
    this.told = { rows: [], total: 0, size: 50, models: [], tabs: [], keeping: true };
    root.append(this.head(), this.placeLine(), this.bar(), this.listBox(), this.shownLine());
    watch('value', () => this.take(props.value));
    root.addEventListener('keydown', (event) => this.key(event));
    // Whenever the tab comes into sight, what has run meanwhile is there.
    new IntersectionObserver(([entry]) => { if (entry.isIntersecting) this.act({}); }).observe(root);
  }

  head() {
    const head = h('div', 'filters');
    head.setAttribute('role', 'search');
    this.search = h('input', 'search');
    Object.assign(this.search, { type: 'search', placeholder: 'Search prompts, answers, labels and models', maxLength: 500 });
    this.search.setAttribute('aria-label', 'Search records');
    this.search.addEventListener('input', () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.sift({ words: this.search.value }), TYPING_MILLISECONDS);
    });
    const menu = (name, all) => {
      const select = h('select');
      select.setAttribute('aria-label', all);
      select.add(new Option(all, ''));
      select.addEventListener('change', () => this.sift({ [name]: select.value }));
      return select;
    };
    this.models = menu('model', 'All models');
    this.tabs = menu('tab', 'All tabs');
    this.starred = button('★ Starred', 'pill', () => this.sift({ starred: !this.query.starred }));
    const keep = h('label', 'keep');
    this.keep = h('input');
    this.keep.type = 'checkbox';
    this.keep.addEventListener('change', () => this.act({ do: 'keep', on: this.keep.checked }));
    keep.append(this.keep, 'Keep my runs');
    head.append(this.search, this.models, this.tabs, this.starred, keep);
    return head;
  }

  placeLine() {
    this.place = h('p', 'place');
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.problem.hidden = true;
    const both = h('div');
    both.append(this.place, this.problem);
    return both;
  }

  bar() {
    const bar = h('div', 'bar');
    this.all = h('input');
    this.all.type = 'checkbox';
    this.all.setAttribute('aria-label', 'Choose all that are listed');
    this.all.addEventListener('change', () => {
      for (const { key } of this.told.rows) this.chosen[this.all.checked ? 'add' : 'delete'](key);
      this.draw();
    });
    this.said = h('span', 'said');
    this.said.setAttribute('role', 'status');
    this.undo = button('Undo', 'small undo', () => this.act({ do: 'undo', stamp: this.stamp }));
    this.compare = button('Compare', 'small', () => this.open([...this.chosen]));
    this.csv = button('Save as CSV', 'small', () => this.act({ do: 'csv', keys: [...this.chosen] }));
    this.recipe = button('Save as recipe', 'small', () => this.act({ do: 'recipe', keys: [...this.chosen] }));
    this.remove = button('Delete', 'small', () => this.delete());
    this.chooser = h('input');
    Object.assign(this.chooser, { type: 'file', accept: '.json,application/json', hidden: true });
    this.chooser.addEventListener('change', () => this.import());
    this.file = button('Open a recipe’s file', 'small', () => this.chooser.click());
    this.clear = button('Clear all mine', 'small', () => this.confirm(true));
    this.sure = button('Delete all of them', 'small danger', () => { this.confirm(false); this.act({ do: 'clear' }); });
    this.keepThem = button('Cancel', 'small', () => this.confirm(false));
    this.tools = h('span', 'tools');
    this.tools.append(this.compare, this.recipe, this.csv, this.remove, this.file, this.chooser, this.clear, this.sure, this.keepThem);
    bar.append(this.all, this.said, this.undo, this.tools);
    return bar;
  }

  listBox() {
    this.list = h('ul', 'list');
    this.list.setAttribute('aria-label', 'Records: arrow keys move, Enter opens, Space chooses, S stars, L labels, Delete deletes');
    this.empty = h('p', 'empty');
    this.pager = h('div', 'pager');
    this.newer = button('‹ Newer', 'small', () => this.turnTo(this.query.page - 1));
    this.older = button('Older ›', 'small', () => this.turnTo(this.query.page + 1));
    this.range = h('span', 'range');
    this.pager.append(this.newer, this.range, this.older);
    const box = h('div', 'box');
    box.append(this.list, this.empty, this.pager);
    return box;
  }

  shownLine() {
    this.shown = h('div', 'shown');
    this.shown.hidden = true;
    this.shownWords = h('span');
    this.shown.append(this.shownWords, button('Close', 'small', () => this.open([])));
    return this.shown;
  }

  // Wishes

  act(wish) {
    this.turn += 1;
    this.ask({ ...wish, query: this.query, turn: this.turn });
  }

  sift(part) {
    this.query = { ...this.query, ...part, page: 0 };
    this.chosen.clear();
    this.act({});
  }

  turnTo(page) {
    this.query = { ...this.query, page };
    this.list.scrollTop = 0;
    this.act({});
  }

  open(keys) {
    this.shows += 1;
    this.opening = keys;
    this.show({ keys, turn: this.shows });
  }

  choose(key, on) {
    this.chosen[on ? 'add' : 'delete'](key);
    this.draw();
  }

  delete(keys = [...this.chosen]) {
    for (const key of keys) this.chosen.delete(key);
    this.act({ do: 'delete', keys });
  }

  async import() {
    const [file] = this.chooser.files;
    this.chooser.value = '';
    if (!file) return;
    if (file.size > LARGEST_FILE) this.complain('The file is larger than any recipe of this app.');
    else this.act({ do: 'import', file: await file.text() });
  }

  complain(words) {
    this.problem.textContent = words;
    this.problem.hidden = !words;
  }

  confirm(asking) {
    this.asking = asking;
    this.draw();
    (asking ? this.keepThem : this.clear).focus();
  }

  // Answers

  take(value) {
    const told = JSON.parse(value || '{}');
    if (told.show === undefined ? told.turn !== this.turn : told.show !== this.shows) return; // a later wish is on its way
    this.complain(told.problem ?? told.trouble ?? '');
    if (told.opened !== undefined) {
      this.opened = this.opening;
      if (this.opened.length) requestAnimationFrame(() => this.reveal());
    }
    if (told.rows || told.nobody) this.told = { ...this.told, nobody: false, ...told };
    if (told.file) save(told.file);
    this.tell(told);
    if (told.rows && !told.rows.length && told.total && this.query.page) { this.turnTo(0); return; }
    this.draw();
  }

  tell({ said, undo, problem }) {
    if (problem) this.note = '';
    if (said === undefined) return;
    this.note = said;
    this.stamp = undo;
    clearTimeout(this.forgetting);
    this.forgetting = setTimeout(() => { this.note = ''; this.stamp = undefined; this.draw(); }, UNDO_MILLISECONDS);
  }

  reveal() {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.shown.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
  }

  draw() {
    const { told, query, chosen } = this;
    if (told.place) this.place.textContent = told.nobody
      ? 'Your browser sends no cookie to this page, so nothing here can be yours: none of your runs are kept.' : told.place;
    this.root.classList.toggle('nobody', Boolean(told.nobody));
    this.keep.checked = told.keeping;
    this.starred.setAttribute('aria-pressed', query.starred);
    this.fill(this.models, told.models, query.model);
    this.fill(this.tabs, told.tabs, query.tab);
    this.drawRows();
    this.drawBar(chosen.size);
    const first = query.page * told.size;
    const last = first + told.rows.length;
    this.pager.hidden = told.total <= told.size;
    this.newer.disabled = query.page === 0;
    this.older.disabled = last >= told.total;
    this.range.textContent = told.rows.length ? `${first + 1}–${last} of ${told.total.toLocaleString()}` : '';
    this.drawEmpty();
    this.shown.hidden = this.opened.length === 0;
    this.shownWords.textContent = this.opened.length > 1 ? 'Two records side by side' : 'One record';
  }

  fill(select, names, chosen) {
    if (select.drawn !== names.join('\n')) {
      select.drawn = names.join('\n');
      select.length = 1;
      for (const name of names) select.add(new Option(name, name));
    }
    select.value = names.includes(chosen) ? chosen : '';
  }

  drawRows() {
    const focused = this.rows.findIndex((row) => row.root === document.activeElement);
    const { rows } = this.told;
    while (this.rows.length < rows.length) {
      const row = new RecordRow(this);
      row.root.addEventListener('focus', () => this.rove(row));
      this.rows.push(row);
    }
    rows.forEach((record, at) => this.rows[at].take(record, rows[at - 1], this.opened));
    const shown = this.rows.slice(0, rows.length).map((row) => row.root);
    if (shown.length !== this.list.childElementCount) this.list.replaceChildren(...shown);
    if (!shown.some((row) => row.tabIndex === 0) && shown.length) shown[0].tabIndex = 0;
    if (focused >= 0) shown[Math.min(focused, shown.length - 1)]?.focus({ preventScroll: true });
  }

  drawBar(count) {
    const { told } = this;
    this.all.checked = told.rows.length > 0 && told.rows.every(({ key }) => this.chosen.has(key));
    this.all.indeterminate = count > 0 && !this.all.checked;
    this.all.disabled = told.rows.length === 0;
    const total = told.total === 1 ? '1 record' : `${told.total.toLocaleString()} records`;
    this.said.textContent = this.asking ? 'Delete all your records, those that are not listed here too?'
      : count ? `${count.toLocaleString()} chosen` : this.note || total;
    this.undo.hidden = this.stamp === undefined || count > 0 || this.asking;
    for (const tool of [this.compare, this.recipe, this.csv, this.remove]) tool.hidden = count === 0 || this.asking;
    this.recipe.disabled = count > MOST_LANES;
    this.recipe.title = count > MOST_LANES ? `At most ${MOST_LANES} in one file` : 'A JSON file that can be opened and run again';
    this.compare.disabled = count !== 2;
    this.compare.title = count === 2 ? '' : 'Choose two records';
    this.file.hidden = count > 0 || this.asking;
    this.clear.hidden = this.file.hidden || told.total === 0;
    this.sure.hidden = this.keepThem.hidden = !this.asking;
  }

  drawEmpty() {
    const { told, query } = this;
    const sifted = query.words || query.starred || query.model || query.tab;
    this.empty.hidden = told.rows.length > 0 || !told.place;
    this.empty.textContent = told.nobody ? '' : sifted ? 'No record is like this.'
      : told.keeping ? 'Nothing is kept yet. Whatever you run in any tab appears here when it has ended: '
        + 'open it again token by token, or choose two to see them side by side.'
        : 'Nothing is kept: “Keep my runs” is off.';
  }

  // Keys

  rove(row) {
    for (const one of this.rows) one.root.tabIndex = one === row ? 0 : -1;
  }

  key(event) {
    if (event.target === this.search && event.key === 'ArrowDown') {
      event.preventDefault();
      this.rows[0]?.root.focus();
      return;
    }
    if (event.key === 'Escape' && this.asking) { event.preventDefault(); this.confirm(false); return; }
    const at = this.rows.findIndex((row) => row.root === event.target);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.rows[at];
    const { key, star } = row.record;
    const last = this.told.rows.length - 1;
    const go = (to) => this.rows[Math.max(0, Math.min(last, to))].root.focus();
    const deeds = {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), Home: () => go(0), End: () => go(last),
      Enter: () => this.open([key]), ' ': () => this.choose(key, !this.chosen.has(key)),
      s: () => this.act({ do: 'star', key, on: !star }), l: () => row.edit(), Delete: () => this.delete([key]),
    };
    const deed = deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  }
}

function save({ name, kind, text }) {
  const link = h('a');
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

window.recordList = {
  mount(root, ways) { return new RecordList(root, ways); },
};
