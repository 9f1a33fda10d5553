// One cell of a grid: what is known of it, and how it is drawn, wherever it stands.

const PROMPT = 0;
const STATES = {
  planned: 'Planned', waiting: 'Waiting', loading: 'Loading', writing: 'Writing', done: 'Done',
  stopped: 'Stopped', failed: 'Failed',
};
const figureNamed = (name) => FIGURES.find((one) => one.name === name);
const CUT_BY_LIMIT = 1;
const CUT_HERE = 2;

class GridCell {
  constructor(board, place, at) {
    Object.assign(this, { board, place, at, state: 'planned', text: '', figures: {}, marks: 0, problem: '' });
    this.root = null;
  }

  take([, state, text, figures, marks, problem]) {
    Object.assign(this, { state, text, figures, marks, problem });
    if (this.root) this.draw();
  }

  // What a filter's words are looked for in.
  has(words) {
    return [this.text, this.problem, ...this.at.map((value, axis) => this.board.axes[axis][1][value])]
      .some((text) => text.toLowerCase().includes(words));
  }

  figure(name) { return this.figures[name] ?? null; }

  build() {
    if (this.root) return this.root;
    this.root = h('div', 'cell');
    this.open = h('button', 'open');
    this.open.type = 'button';
    this.open.addEventListener('click', () => this.board.openCell(this.place));
    this.words = h('span', 'words');
    this.open.append(this.words);
    this.said = h('span', 'state');
    this.line = h('span', 'figures');
    this.beside = h('button', 'beside', '⇄');
    this.beside.type = 'button';
    this.beside.title = 'Compare with the open cell';
    this.beside.addEventListener('click', () => this.board.openBeside(this.place));
    const foot = h('div', 'foot');
    foot.append(this.said, this.line, this.beside);
    this.root.append(this.open, foot);
    this.draw();
    return this.root;
  }

  draw() {
    const { state, problem } = this;
    const words = problem || (this.text.trimStart() + (this.marks & CUT_HERE ? '…' : ''));
    this.root.dataset.state = state;
    if (this.words.textContent !== words) this.words.textContent = words;
    if (this.said.textContent !== STATES[state]) this.said.textContent = STATES[state];
    this.line.textContent = this.lineOf();
    this.mark();
  }

  // Its length, and the figure that the reader chose for all cells.
  lineOf() {
    const { length } = this.figures;
    if (!length) return '';
    const count = `${length}${this.marks & CUT_BY_LIMIT ? '+' : ''} ${length === 1 ? 'token' : 'tokens'}`;
    const shown = figureNamed(this.board.figure);
    const value = this.figure(this.board.figure);
    return shown && shown.name !== 'length' && value !== null
      ? `${count} · ${SHORT[shown.name] ?? shown.label.toLowerCase()} ${written(shown, value)}` : count;
  }

  mark() {
    const at = this.board.opened.indexOf(this.place);
    const name = this.at.map((value, axis) => this.board.axes[axis][1][value]).join(', ');
    this.root.classList.toggle('first', at === 0);
    this.root.classList.toggle('second', at === 1);
    this.open.setAttribute('aria-pressed', String(at >= 0));
    this.open.setAttribute('aria-label', `${STATES[this.state]}: ${name}. Open its tokens`);
    this.beside.setAttribute('aria-pressed', String(at === 1));
    this.beside.setAttribute('aria-label', `Compare with the open cell: ${name}`);
    this.beside.hidden = this.board.opened.length === 0 || at === 0;
  }
}

const SHORT = { mean_logprob: 'log-prob', perplexity: 'ppl', distinct_1: 'dist-1', distinct_2: 'dist-2', rep_4: 'repeated', seconds: 's', forwards: 'forwards' };
