// Beam search while it searches: the hypotheses of the last steps. All steps are kept in `steps`.

const SHOWN_STEPS = 6;
const STATES = { kept: '●', finished: '■', dropped: '○' };

class BeamsPanel {
  constructor() {
    this.steps = [];
    this.root = h('details', 'beams');
    this.root.open = true;
    this.summary = h('summary');
    this.strip = h('div', 'strip');
    this.strip.tabIndex = 0;
    this.strip.setAttribute('role', 'group');
    this.strip.setAttribute('aria-label', 'The last steps of the search');
    this.root.append(this.summary, this.strip);
    this.root.hidden = true;
    this.drawn = 0;
  }

  clear() {
    this.steps = [];
    this.drawn = 0;
    this.strip.replaceChildren();
    this.root.hidden = true;
    this.root.open = true;
  }

  // Steps since the last slice; steps that were missed in between stay undefined.
  take({ n, from, rows }) {
    rows.forEach((row, k) => { this.steps[from + k] = row; });
    this.steps.length = n;
  }

  draw(searching, score) {
    if (!this.steps.length) return;
    this.root.hidden = false;
    if (!searching && this.searching) this.root.open = false;
    this.searching = searching;
    this.summary.textContent = searching
      ? 'Hypotheses with score: ● kept  ■ finished  ○ dropped'
      : `The search: last of ${this.steps.length} steps${score ? `, won with ${score}` : ''}`;
    this.summary.title = 'A score is the log-probability over the length to the length penalty.';
    const first = Math.max(this.drawn, this.steps.length - SHOWN_STEPS);
    for (let i = first; i < this.steps.length; i += 1) if (this.steps[i]) this.strip.append(this.column(this.steps[i]));
    this.drawn = this.steps.length;
    while (this.strip.childElementCount > SHOWN_STEPS) this.strip.firstElementChild.remove();
    this.strip.scrollLeft = this.strip.scrollWidth;
  }

  column([position, rows]) {
    const column = h('div', 'column');
    column.append(h('div', 'step', `step ${position + 1}`));
    for (const [parent, id, piece, total, score, state] of rows) {
      const row = h('div', 'beam ' + state);
      row.title = `${state}; grew from hypothesis ${parent + 1}; id ${id}; log-probability ${figure(total, 3)}`;
      row.append(h('span', 'state', STATES[state]), writeToken(h('bdi', 'tok'), piece));
      row.append(h('span', 'figure', figure(score, 2)));
      column.append(row);
    }
    return column;
  }
}
