// The cells as a table: prompts against the rest, or a list with a row a cell, as on a phone.

const MOST_DRAWN = 600; // cells, until somebody asks for the rest
const ROW_HEAD = 200; // pixels
const COLUMN = 200;

class GridSheet {
  constructor(board) {
    this.board = board;
    this.root = h('div', 'sheet');
    this.root.tabIndex = -1;
    this.all = false;
  }

  draw() {
    const { board } = this;
    const focused = document.activeElement;
    const cells = board.filtered();
    const list = board.isList();
    this.root.classList.toggle('list', list);
    const table = h('table');
    const made = list ? this.list(table, cells) : this.pivot(table, cells);
    this.root.replaceChildren(table);
    if (made < cells.length) this.root.append(this.more(cells.length));
    if (!cells.length && board.cells.length) this.root.append(h('p', 'none', 'No cell passes the filters.'));
    if (focused && this.root.contains(focused)) focused.focus({ preventScroll: true });
  }

  more(count) {
    const button = h('button', 'small', `Draw all ${count} cells`);
    button.type = 'button';
    button.addEventListener('click', () => { this.all = true; this.draw(); });
    return button;
  }

  // Rows are what the columns leave over: the prompt first.
  pivot(table, cells) {
    const across = this.board.across();
    const down = [...AXES.keys()].filter((axis) => !across.includes(axis));
    const rows = new Map();
    const columns = new Map();
    for (const cell of cells) {
      const [row, column] = [down, across].map((axes) => axes.map((axis) => cell.at[axis]).join());
      if (!rows.has(row)) rows.set(row, new Map());
      if (!columns.has(column)) columns.set(column, cell);
      rows.get(row).set(column, cell);
    }
    table.style.minWidth = `${ROW_HEAD + COLUMN * columns.size}px`;
    this.headRow(table, columns, across, down);
    const body = h('tbody');
    table.append(body);
    let made = 0;
    for (const row of this.inOrder([...rows.values()])) {
      if (made >= MOST_DRAWN && !this.all) break;
      const line = h('tr');
      line.append(this.rowHead([...row.values()][0], down));
      for (const column of columns.keys()) {
        const place = h('td');
        const cell = row.get(column);
        if (cell) { place.append(cell.build()); made += 1; }
        line.append(place);
      }
      body.append(line);
    }
    return made;
  }

  headRow(table, columns, across, down) {
    const head = h('thead');
    const line = h('tr');
    const corner = h('th', 'corner', this.board.named(down));
    corner.scope = 'col';
    line.append(corner);
    for (const [key, cell] of columns) {
      const th = h('th');
      th.scope = 'col';
      const words = this.board.valuesOf(cell, across);
      const button = h('button', 'sorts');
      button.type = 'button';
      button.title = 'Sort the rows by this column';
      button.append(...words.map((one) => h('span', '', one)));
      button.addEventListener('click', () => this.board.sortBy(this.board.figure, key));
      this.showOrder(th, this.board.sort.column === key);
      th.append(button);
      line.append(th);
    }
    head.append(line);
    table.append(h('caption', 'unseen', 'The cells of the grid; a column head sorts the rows.'), head);
  }

  showOrder(th, on) {
    if (on) th.setAttribute('aria-sort', this.board.sort.turned ? 'descending' : 'ascending');
  }

  rowHead(cell, down) {
    const th = h('th', 'row');
    th.scope = 'row';
    const [first, ...rest] = this.board.valuesOf(cell, down);
    const prompt = h('span', 'prompt', first);
    prompt.title = first;
    th.append(prompt, ...rest.map((one) => h('span', 'and', one)));
    return th;
  }

  // Rows of the pivot by the chosen figure in one column; those without it last.
  inOrder(rows) {
    const { column, turned } = this.board.sort;
    if (!column) return rows;
    const rank = (row) => row.get(column)?.figure(this.board.figure) ?? null;
    return rows.map((row, n) => ({ row, n, rank: rank(row) })).sort((a, b) => byRank(a, b, turned)).map(({ row }) => row);
  }

  list(table, cells) {
    const { board } = this;
    const axes = board.varying();
    const shown = FIGURES.filter(({ name }) => LISTED.includes(name));
    const heads = [...axes.map((axis) => [`axis:${axis}`, AXES[axis]]), ['text', 'Answer'], ...shown.map(({ name, label, help }) => [name, label, help])];
    const line = h('tr');
    for (const [by, label, help] of heads) {
      const th = h('th', by.startsWith('axis:') ? 'axis' : by === 'text' ? 'answer' : 'number');
      th.scope = 'col';
      const button = h('button', 'sorts', label);
      button.type = 'button';
      if (help) button.title = help;
      button.addEventListener('click', () => board.sortBy(by, null));
      this.showOrder(th, board.sort.by === by && !board.sort.column);
      th.append(button);
      line.append(th);
    }
    const head = h('thead');
    head.append(line);
    const body = h('tbody');
    table.append(h('caption', 'unseen', 'A row for each cell; a column head sorts.'), head, body);
    const ranked = board.sort.by && !board.sort.column
      ? cells.map((row, n) => ({ row, n, rank: this.rankOf(row) })).sort((a, b) => byRank(a, b, board.sort.turned)).map(({ row }) => row) : cells;
    const drawn = this.all ? ranked : ranked.slice(0, MOST_DRAWN);
    body.append(...drawn.map((cell) => this.listRow(cell, axes, shown)));
    return drawn.length;
  }

  rankOf(cell) {
    const { by } = this.board.sort;
    if (by.startsWith('axis:')) return cell.at[Number(by.slice(5))];
    return by === 'text' ? cell.problem || cell.text || null : cell.figure(by);
  }

  listRow(cell, axes, shown) {
    const row = h('tr');
    for (const axis of axes) {
      const [, values] = this.board.axes[axis];
      const td = h('td', axis === PROMPT ? 'axis prompt' : 'axis', values[cell.at[axis]]);
      row.append(td);
    }
    row.append(h('td', 'brief', this.board.valuesOf(cell, [1, 2, 3, 4]).join(' · '))); // on a phone
    const answer = h('td', 'answer');
    answer.append(cell.build());
    row.append(answer);
    for (const figure of shown) {
      const value = cell.figure(figure.name);
      row.append(h('td', 'number', value === null ? '–' : written(figure, value)));
    }
    return row;
  }
}

const LISTED = ['length', 'mean_logprob', 'perplexity', 'rep_4', 'seconds'];

function byRank(a, b, turned) {
  if (a.rank === null || b.rank === null) return (a.rank === null) - (b.rank === null) || a.n - b.n;
  const way = typeof a.rank === 'string' ? a.rank.localeCompare(b.rank) : a.rank - b.rank;
  return (turned ? -way : way) || a.n - b.n;
}
