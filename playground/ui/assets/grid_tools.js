// The line above the table: how it is laid out, what of it is shown, which figure; and the files.

const MOST_COLUMNS = 24;

class GridTools {
  constructor(board) {
    this.board = board;
    this.root = h('div', 'tools-line');
    this.words = h('input', 'filter');
    this.words.type = 'search';
    this.words.placeholder = 'Filter by text';
    this.words.setAttribute('aria-label', 'Filter the cells by text');
    this.words.addEventListener('input', () => board.filterBy());
    this.words.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.words.value) return;
      event.preventDefault(); // Escape also stops a run.
      this.words.value = '';
      board.filterBy();
    });
    this.said = h('span', 'told');
    this.said.setAttribute('role', 'status');
    this.selects = new Map();
    this.chosen = new Map(); // by the reader; it stays where the next grid has it too
  }

  // Anew for each grid: its axes decide what there is to choose.
  build() {
    const { board } = this;
    this.selects.clear();
    const parts = [
      this.select('view', 'View', [['table', 'Table'], ['list', 'List']], () => board.sortBy('', null)),
      this.select('across', 'Columns', this.layouts(), () => board.sortBy('', null)),
      this.select('figure', 'Figure', FIGURES.map(({ name, label }) => [name, label]), () => board.showFigure()),
      this.words,
      this.select('by-state', 'State', [['', 'any state'], ...Object.entries(STATES)], () => board.filterBy()),
    ];
    for (const axis of board.varying()) {
      const [, values] = board.axes[axis];
      const options = values.map((value, n) => [String(n), value.length > 50 ? `${value.slice(0, 49)}…` : value]);
      parts.push(this.select(`axis:${axis}`, AXES[axis], [['', `any ${AXES[axis].toLowerCase()}`], ...options], () => board.filterBy()));
    }
    const files = h('span', 'files');
    files.append(this.said, this.file('csv', 'CSV'), this.file('json', 'JSON'));
    this.root.replaceChildren(...parts, files);
    this.selects.get('figure').value = board.figure;
    this.selects.get('across').value = this.fitting();
    for (const [name, value] of this.chosen) {
      const select = this.selects.get(name);
      if (select && [...select.options].some((option) => option.value === value)) select.value = value;
    }
  }

  layouts() {
    const { board } = this;
    const varying = board.varying().filter((axis) => axis !== PROMPT);
    const rest = [2, 3, 4].filter((axis) => varying.includes(axis));
    const one = [...rest, ...varying.filter((axis) => !rest.includes(axis))].map((axis) => [String(axis), AXES[axis]]);
    const every = rest.length > 1 ? [[rest.join(), board.named(rest)]] : [];
    return [...every, ...one, ...(one.length ? [] : [['3', AXES[3]]])];
  }

  // The first layout whose columns a screen can hold, or the one with the fewest.
  fitting() {
    const wide = [...this.selects.get('across').options].map(({ value }) => {
      const axes = value.split(',').map(Number);
      const columns = new Set(this.board.cells.map(({ at }) => axes.map((axis) => at[axis]).join()));
      return { value, count: columns.size };
    });
    const fits = wide.find(({ count }) => count <= MOST_COLUMNS);
    return (fits ?? wide.reduce((a, b) => (b.count < a.count ? b : a))).value;
  }

  select(name, label, options, changed) {
    const box = h('label', `choice ${name.split(':')[0]}`, '');
    const select = h('select');
    select.setAttribute('aria-label', label);
    for (const [value, words] of options) select.add(new Option(words, value));
    select.addEventListener('change', () => { this.chosen.set(name, select.value); changed(); });
    box.append(h('span', 'name', label), select);
    this.selects.set(name, select);
    return box;
  }

  value(name) { return this.selects.get(name)?.value ?? ''; }

  // Whether a cell is among those that are shown.
  passes(cell) {
    const words = this.words.value.trim().toLowerCase();
    const state = this.value('by-state');
    if ((state && cell.state !== state) || (words && !cell.has(words))) return false;
    return cell.at.every((value, axis) => ['', String(value)].includes(this.value(`axis:${axis}`)));
  }

  get filters() {
    return Boolean(this.words.value.trim() || this.value('by-state'));
  }

  file(form, label) {
    const button = h('button', 'small', label);
    button.type = 'button';
    button.title = `Save all cells as ${label}: text, settings, ids, figures`;
    button.addEventListener('click', () => this.save(form).catch(() => { this.said.textContent = 'It could not be saved.'; }));
    return button;
  }

  async save(form) {
    const parts = [];
    for (let from = 0; from !== null;) {
      const page = JSON.parse(await this.board.ask('grid_file', { form, from }));
      if (page.gone) { this.said.textContent = 'This grid is no longer kept.'; return; }
      parts.push(page.text);
      from = page.next;
    }
    const csv = form === 'csv';
    // The mark at its beginning tells spreadsheets that it is UTF-8.
    const text = csv ? `\ufeff${parts.join('')}` : `{"format":"grid","version":1,"cells":[\n${parts.join(',\n')}\n]}\n`;
    const link = h('a');
    link.href = URL.createObjectURL(new Blob([text], { type: csv ? 'text/csv;charset=utf-8' : 'application/json' }));
    link.download = `grid.${form}`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
