// A beam search in lists: the hypotheses of one step, and what other length penalties would choose.

class BeamTable {
  constructor(panel) {
    this.panel = panel;
    this.root = h('div', 'beam-table');
    const walk = h('div', 'beam-walk');
    this.back = this.button('‹', 'The step before', -1);
    this.on = this.button('›', 'The next step', 1);
    this.where = h('span');
    this.where.setAttribute('aria-live', 'polite');
    walk.append(this.back, this.where, this.on);
    const scroll = h('div', 'beam-scroll');
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'group');
    scroll.setAttribute('aria-label', 'Hypotheses of the step');
    this.sheet = h('table');
    scroll.append(this.sheet);
    this.root.append(walk, scroll);
    this.clear();
  }

  button(words, label, turn) {
    const button = h('button', 'small', words);
    button.type = 'button';
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => this.turn(turn));
    return button;
  }

  clear() {
    this.step = null;
    this.drawn = null;
  }

  turn(by) {
    const last = this.panel.search.steps.length - 1;
    const to = Math.min(Math.max((this.step ?? last) + by, 0), last);
    this.step = to === last ? null : to;
    this.draw();
  }

  draw() {
    const { search, winner } = this.panel;
    const last = search.steps.length - 1;
    const s = this.step ?? last;
    put(this.where, last < 0 ? 'No step yet' : `step ${s + 1} of ${last + 1}`);
    this.back.disabled = s <= 0;
    this.on.disabled = s >= last;
    const state = `${s} ${winner} ${search.finished.length}`;
    if (state === this.drawn) return;
    this.drawn = state;
    const head = h('tr');
    for (const name of ['', 'Text so far', 'Score', 'What became of it']) {
      const cell = h('th', '', name);
      cell.scope = 'col';
      head.append(cell);
    }
    head.firstChild.append(h('span', 'unseen', 'State'));
    this.sheet.replaceChildren(head, ...(search.steps[s]?.beams ?? []).map((beam, r) => this.row(beam, s, r)));
  }

  row(beam, s, r) {
    const { search, winner } = this.panel;
    const row = h('tr', beam.state);
    const text = h('td', 'so-far');
    const before = search.text(s, r).slice(0, -beam.piece.length || undefined).slice(-60);
    const inner = h('span', 'inner');
    inner.append(writeVisibleNewlines(h('bdi'), before), writeToken(h('bdi', 'tok'), beam.piece));
    text.append(inner);
    const score = h('td', 'figure');
    score.append(arithmetic(beam, search.rules.penalty));
    const mark = h('td', 'beam-mark', BEAM_MARKS[markOf(beam)]);
    mark.title = markOf(beam) === 'cut' ? 'cut off' : beam.state;
    row.append(mark, text, score, h('td', 'fate', fateOf(search, s, r, winner)));
    return row;
  }
}

class BeamRanking {
  constructor(panel) {
    this.panel = panel;
    this.root = h('details', 'beam-ranking');
    this.root.append(h('summary', '', 'What would other length penalties choose?'));
    this.root.addEventListener('toggle', () => this.draw());
    const line = h('label', 'beam-penalty', 'Length penalty ');
    this.range = h('input');
    Object.assign(this.range, { type: 'range', min: -2, max: 4, step: 0.1 });
    this.value = h('output');
    line.append(this.range, this.value);
    this.back = h('button', 'small', 'Back to the run’s own');
    this.back.type = 'button';
    this.back.addEventListener('click', () => { this.tried = null; this.draw(); });
    const top = h('div', 'beam-slider');
    top.append(line, this.back);
    this.list = h('ol');
    this.list.setAttribute('aria-live', 'polite');
    this.root.append(top, this.list, h('p', 'note', 'Ranked among the hypotheses that this search has '
      + 'stored, those that ended and those still open. With another penalty it might have kept others.'));
    this.range.addEventListener('input', () => { this.tried = Number(this.range.value); this.draw(); });
    this.clear();
  }

  clear() {
    this.tried = null;
    this.list.replaceChildren();
  }

  draw() {
    const { search, leader } = this.panel;
    if (!this.root.open || !search.rules) return;
    const penalty = this.tried ?? search.rules.penalty;
    if (this.tried === null) this.range.value = penalty;
    put(this.value, penalty.toFixed(1).replace('-', '−'));
    this.back.disabled = this.tried === null || this.tried === search.rules.penalty;
    const all = search.contenders(penalty);
    this.list.replaceChildren(...all.slice(0, 6).map((one, n) => this.item(one, penalty, leader, n === 0)));
  }

  item({ s, r, beam }, penalty, leader, first) {
    const item = h('li');
    const text = h('span', 'so-far');
    const inner = h('span', 'inner');
    const whole = this.panel.search.text(s, r);
    inner.append(writeVisibleNewlines(h('bdi'), (whole.length > 140 ? '…' : '') + whole.slice(-140)));
    text.append(inner);
    item.append(arithmetic(beam, penalty), text);
    const mine = leader && leader[0] === s && leader[1] === r;
    const { winner, search: { rules } } = this.panel;
    const would = first && !mine && penalty !== rules.penalty;
    const words = mine ? (winner ? 'won' : 'leads') : would ? (winner ? 'would win' : 'would lead')
      : beam.state === 'kept' ? 'open' : '';
    item.append(h('span', mine || would ? 'tag mine' : 'tag', words));
    return item;
  }
}
