// Tokens as a table: step, sentence so far, what was chosen, and the likeliest. Only the rows in
// sight exist, so that a thousand steps weigh as much as twenty.

const ROW = 30;

class TableView {
  constructor(lane) {
    this.lane = lane;
    this.root = h('div', 'steps');
    this.root.setAttribute('role', 'table');
    this.root.setAttribute('aria-label', 'Steps');
    this.head = h('div', 'row head');
    this.head.setAttribute('role', 'row');
    this.sheet = h('div', 'sheet');
    this.sheet.setAttribute('role', 'rowgroup');
    this.root.append(this.head, this.sheet);
    this.rows = new Map();
    this.columns = 0;
    this.widest = 0;
    this.offsets = [0];
    this.text = '';
  }

  draw() {
    const { tokens } = this.lane;
    for (let i = this.offsets.length - 1; i < tokens.length; i += 1) {
      const token = tokens[i];
      this.text += token && !token.special ? token.text : '';
      this.offsets.push(this.text.length);
      this.widest = Math.max(this.widest, token ? token.candidates.length : 0);
    }
    this.drawHead();
    this.sheet.style.height = tokens.length * ROW + 'px';
    this.root.setAttribute('aria-rowcount', tokens.length + 1);
    this.scroll();
    return false;
  }

  drawHead() {
    const columns = Math.min(this.lane.top, this.widest);
    if (columns === this.columns && this.head.childElementCount) return;
    this.columns = columns;
    this.root.style.setProperty('--columns', columns);
    const names = ['Step', 'Text so far', 'Chosen'];
    for (let k = 1; k <= columns; k += 1) names.push('Top ' + k);
    this.head.replaceChildren(...names.map((name) => {
      const cell = h('div', 'cell', name);
      cell.setAttribute('role', 'columnheader');
      return cell;
    }));
    this.sheet.replaceChildren();
    this.rows.clear();
  }

  // Makes the rows that came into sight and drops those that left it.
  scroll() {
    const { scrollTop, clientHeight } = this.lane.body;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - 6);
    const last = Math.min(this.lane.tokens.length, Math.ceil((scrollTop + clientHeight) / ROW) + 6);
    for (const [i, row] of this.rows) {
      if ((i < first || i >= last) && row !== document.activeElement) {
        row.remove();
        this.rows.delete(i);
      }
    }
    for (let i = first; i < last; i += 1) if (!this.rows.has(i)) this.addRow(i);
    this.keepStop(Math.ceil(scrollTop / ROW));
  }

  // The one tab stop is always a row that exists: the current one, or the first in sight.
  keepStop(top) {
    if (this.rows.has(this.lane.current)) return;
    const index = Math.min(top, this.lane.tokens.length - 1);
    if (!this.rows.has(index)) return;
    this.lane.current = index;
    this.rows.get(index).tabIndex = 0;
  }

  addRow(i) {
    const token = this.lane.tokens[i];
    const row = h('div', 'row');
    row.setAttribute('role', 'row');
    row.setAttribute('aria-rowindex', i + 2);
    row.style.top = i * ROW + 'px';
    row.dataset.i = i;
    const cells = [h('div', 'cell step', String(this.lane.numberOf(i)))];
    if (token) {
      cells.push(this.sentence(token, i), this.chosen(token));
      for (const c of token.candidates.slice(0, this.columns)) cells.push(this.candidate(c, token));
    } else {
      cells.push(h('div', 'cell lost', 'no longer kept'));
    }
    for (const cell of cells) cell.setAttribute('role', 'cell');
    row.append(...cells);
    this.sheet.append(row);
    this.rows.set(i, row);
    this.lane.styleCurrent(i, row);
    this.lane.parts.mark(row, i);
  }

  sentence(token, i) {
    const cell = h('div', 'cell sentence');
    const before = this.text.slice(Math.max(0, this.offsets[i] - 160), this.offsets[i]);
    const inner = h('span', 'inner');
    inner.append(writeVisibleNewlines(h('bdi'), before));
    inner.append(writeToken(h('bdi', 'tok new'), shownOf(token), { special: token.special, half: isHalf(token) }));
    cell.append(inner);
    cell.title = this.text.slice(0, this.offsets[i + 1]);
    return cell;
  }

  chosen(token) {
    const cell = h('div', 'cell chosen');
    const far = !token.candidates.some((c) => c.id === token.id);
    const bar = h('span', 'bar');
    bar.style.setProperty('--share', probabilityOf(token.logprob));
    const name = markOrigin(tint(h('bdi', 'tok'), token), token);
    cell.append(bar, writeToken(name, shownOf(token), { special: token.special, half: isHalf(token) }));
    cell.append(h('span', far ? 'figure far' : 'figure',
      this.figureOf(token.logprob) + (token.rank > 1 ? ` · #${token.rank}` : '')));
    cell.title = token.forced ? 'Put there by you' : far ? 'Chosen from below the listed candidates' : '';
    return cell;
  }

  candidate(c, token) {
    const cell = h('div', c.id === token.id ? 'cell candidate hit' : 'cell candidate');
    const bar = h('span', 'bar');
    bar.style.setProperty('--share', probabilityOf(c.logprob));
    cell.append(bar, writeToken(h('bdi', 'tok'), c.text), h('span', 'figure', this.figureOf(c.logprob)));
    return cell;
  }

  figureOf(logprob) {
    return this.lane.figures === 'logprob' ? figure(logprob, 2) : percent(probabilityOf(logprob));
  }

  has(index) { return index >= 0 && index < this.lane.tokens.length && this.lane.tokens[index] !== null; }

  elementOf(index) {
    if (!this.has(index)) return null;
    if (!this.rows.has(index)) {
      const { body } = this.lane;
      body.scrollTop = Math.max(0, index * ROW - body.clientHeight / 2);
      this.scroll();
    }
    return this.rows.get(index) ?? null;
  }

  vertical(index, turn) { return this.has(index + turn) ? index + turn : null; }
}

// Running text on one line: only what would break the line is marked.
function writeVisibleNewlines(parent, text) {
  text.split('\n').forEach((part, turn) => {
    if (turn > 0) parent.append(h('i', 'mark', '⏎'));
    parent.append(writeReadable(h('span'), part));
  });
  return parent;
}
