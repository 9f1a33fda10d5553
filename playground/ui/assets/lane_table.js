// All lanes and all figures as one table, which sorts by its heads and is copied as CSV.

class LaneTable {
  constructor(root, tab) {
    this.root = root;
    this.rows = new Map();
    const head = h('div', 'top');
    this.said = h('span', 'words');
    this.said.setAttribute('role', 'status');
    const copy = h('button', 'small', 'Copy as CSV');
    copy.type = 'button';
    copy.addEventListener('click', () => this.copy());
    head.append(h('h2', '', 'All lanes'), this.said, copy);
    const scroll = h('div', 'scroll');
    this.table = h('table');
    this.table.append(h('caption', 'unseen', 'The figures of all lanes; the best of each column is marked.'));
    const row = h('tr');
    this.heads = new Map();
    row.append(this.headOf({ name: '', label: 'Lane', help: 'In the order of the lanes.' }));
    for (const figure of [...FIGURES, LEAVES]) row.append(this.headOf(figure));
    const thead = h('thead');
    thead.append(row);
    this.body = h('tbody');
    this.table.append(thead, this.body);
    scroll.append(this.table);
    const key = h('p', 'key', ' the best of its column. Distinct and Repetition favour short answers: those under half '
      + 'the longest are not compared there. A length with + was cut off by a limit.');
    key.prepend(h('i', 'dot'));
    this.root.append(head, scroll, key);
    this.root.hidden = true;
    tab.board?.draw();
  }

  headOf({ name, label, help }) {
    const cell = h('th');
    cell.scope = 'col';
    const button = h('button', '', label);
    button.type = 'button';
    button.title = help;
    button.addEventListener('click', () => {
      const { sort } = this.board;
      this.board.sortBy(name, sort.by === name && name ? !sort.turned : false);
    });
    cell.append(button);
    this.heads.set(name, cell);
    return cell;
  }

  draw(board) {
    this.board = board;
    const { lanes, sort, order } = board;
    this.root.hidden = lanes.length === 0;
    for (const [name, cell] of this.heads) {
      const figure = FIGURES.find((one) => one.name === name);
      const falls = ((figure?.best ?? -1) > 0) !== sort.turned;
      if (name && name === sort.by) cell.setAttribute('aria-sort', falls ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    }
    for (const [column, row] of this.rows) {
      if (!lanes.some((lane) => lane.column === column)) { row.root.remove(); this.rows.delete(column); }
    }
    const place = (lane) => { const at = order.indexOf(lane.column); return at < 0 ? 1000 + lane.column : at; };
    const inOrder = [...lanes].sort((a, b) => place(a) - place(b));
    inOrder.forEach((lane, at) => {
      const row = this.rowOf(lane);
      if (this.body.children[at] !== row.root) this.body.insertBefore(row.root, this.body.children[at] ?? null);
    });
    const wrote = lanes.filter(({ figures }) => figures.length > 0);
    for (const figure of [...FIGURES, LEAVES]) this.drawColumn(figure, lanes, bestOf(figure, wrote));
    for (const lane of lanes) this.drawName(lane);
  }

  rowOf(lane) {
    let row = this.rows.get(lane.column);
    if (row) return row;
    const root = h('tr');
    const name = h('th');
    name.scope = 'row';
    root.append(name);
    const cells = {};
    for (const figure of [...FIGURES, LEAVES]) root.append(cells[figure.name] = h('td'));
    row = { root, name, cells };
    this.rows.set(lane.column, row);
    return row;
  }

  drawName(lane) {
    const { name } = this.rows.get(lane.column);
    if (name.textContent !== lane.title) name.textContent = lane.title;
  }

  drawColumn(figure, lanes, best) {
    for (const lane of lanes) {
      const cell = this.rows.get(lane.column).cells[figure.name];
      const value = valueOf(lane, figure.name);
      const words = this.words(figure, lane, value);
      const marked = best !== null && words === best && !(figure.fair && isShort(lane, lanes));
      if (cell.firstChild?.textContent === words && marked === cell.classList.contains('best')) continue;
      cell.classList.toggle('best', marked);
      cell.replaceChildren(words, ...(marked ? [h('span', 'unseen', ' (best)')] : []));
    }
  }

  words(figure, lane, value) {
    if (figure.name === 'length' && lane.cut) return `${written(figure, value)}+`;
    if (figure !== LEAVES || value !== null) return written(figure, value);
    return lane.column === this.board.message.reference ? 'compared' : lane.same ? 'never' : '–';
  }

  csv() {
    const cell = (value) => {
      const text = String(value ?? '');
      const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = [['lane', 'settings', ...FIGURES.map(({ name }) => name), 'parts_at_token']];
    for (const column of [...this.body.children].map((row) => [...this.rows].find(([, one]) => one.root === row)[0])) {
      const lane = this.board.lanes.find((one) => one.column === column);
      lines.push([lane.title, lane.sub, ...FIGURES.map(({ name }) => lane.figures[name]), lane.at === null ? '' : lane.at + 1]);
    }
    return lines.map((line) => line.map(cell).join(',')).join('\r\n');
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.csv());
      this.said.textContent = 'Copied.';
    } catch {
      this.said.textContent = 'This browser does not let the page copy.';
    }
    setTimeout(() => { this.said.textContent = ''; }, 3000);
  }
}
