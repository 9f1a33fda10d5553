// Beam search in its lane: the tree as it grows, a table instead, greedy laid over, other penalties.

class BeamsPanel {
  constructor(lane) {
    this.lane = lane;
    this.search = lane.search = new Search();
    this.greedy = new GreedyBeside(this);
    this.tree = new BeamTree(this);
    this.table = new BeamTable(this);
    this.ranking = new BeamRanking(this);
    this.root = h('details', 'beams');
    this.root.hidden = true;
    this.root.open = choices.get(lane.name, 'beams', lane.props.open_search === false ? 'closed' : 'open') === 'open';
    this.root.addEventListener('toggle', () => {
      choices.set(lane.name, 'beams', this.root.open ? 'open' : 'closed');
      this.draw();
    });
    this.summary = h('summary');
    this.rule = h('p', 'beam-rule');
    this.rule.setAttribute('role', 'status');
    this.room = h('div');
    this.room.append(this.tools(), this.tree.root, this.table.root, this.greedy.verdict, this.rule,
      this.ranking.root);
    this.root.append(this.summary, this.room);
    this.dock = new Dock(lane, this.room, {
      kind: 'beams', title: () => this.beamsWords(), close: () => this.fold(),
    });
    this.setView('tree');
    this.clear();
  }

  fold() {
    this.root.open = false;
    this.summary.focus();
  }

  tools() {
    const tools = h('div', 'beam-tools');
    const legend = h('span', 'beam-legend');
    for (const [state, words] of [['kept', 'goes on'], ['finished', 'ended'], ['cut', 'cut off'], ['dropped', 'dropped']]) {
      const one = h('span', '', words);
      one.prepend(h('i', 'beam-mark', BEAM_MARKS[state]));
      legend.append(one);
      if (state === 'cut') this.cutKey = one;
    }
    this.greedyKey = h('span', '', 'greedy');
    this.greedyKey.prepend(h('i', 'greedy-key'));
    this.greedyKey.hidden = true;
    legend.append(this.greedyKey);
    const views = h('div', 'switch');
    views.setAttribute('role', 'group');
    views.setAttribute('aria-label', 'The search as');
    this.buttons = ['tree', 'table'].map((view) => {
      const button = h('button', '', view === 'tree' ? 'Tree' : 'List');
      button.type = 'button';
      button.dataset.view = view;
      button.addEventListener('click', () => { this.setView(view); this.draw(); });
      views.append(button);
      return button;
    });
    tools.append(legend, this.greedy.control, views);
    return tools;
  }

  setView(view) {
    this.tree.root.hidden = view !== 'tree';
    this.table.root.hidden = view !== 'table';
    for (const button of this.buttons) button.setAttribute('aria-pressed', button.dataset.view === view);
  }

  clear() {
    if (beamCard.panel === this) beamCard.close();
    this.search.clear();
    this.leader = this.winner = null;
    this.filling = false;
    this.greedy.clear();
    this.tree.clear();
    this.table.clear();
    this.ranking.clear();
    this.root.hidden = true;
    this.dock.place(false);
  }

  take(message) {
    if (message.search) this.search.rules = message.search;
    if (!this.search.rules) return;
    if (message.beams) {
      this.search.add(message.beams.from, message.beams.rows);
      this.search.count = message.beams.n;
      if (!this.search.isWhole) this.fill(message.beams);
    }
    this.over = message.state === 'finished' || message.state === 'failed';
    this.won = message.score ?? '';
  }

  // Steps that no message brought: a hidden tab, a lost slice.
  async fill(latest) {
    if (this.filling) return;
    this.filling = true;
    const { key } = this.lane;
    while (key === this.lane.key && !this.search.isWhole) {
      const from = this.search.steps.length;
      const answer = await this.lane.ask('token_stream_tokens', { key, from, what: 'beams' });
      if (key !== this.lane.key || !answer) break;
      if (answer.gone || !answer.rows.length) {
        this.search.skipTo(latest.from);
        this.search.add(latest.from, latest.rows);
        break;
      }
      this.search.add(from, answer.rows);
      this.lane.wake();
    }
    if (key === this.lane.key) this.filling = false;
  }

  draw() {
    const { search } = this;
    this.root.hidden = !search.rules;
    const isOpen = !this.root.hidden && this.root.open;
    if (isOpen !== this.dock.open) this.dock.place(isOpen);
    if (!search.rules) return;
    putLine(this.summary, ...this.summaryLine());
    if (!this.root.open) return;
    this.findLeader();
    this.cutKey.hidden = !search.finished.some((place) => isCut(search.at(...place)));
    const last = search.steps.length - 1;
    put(this.rule, (search.steps[last]?.ends.length && endOf(search, last)) || ruleOf(search.rules));
    this.greedy.draw();
    if (!this.tree.root.hidden) this.tree.draw();
    else this.table.draw();
    this.ranking.draw();
  }

  findLeader() {
    const { search, lane } = this;
    if (this.over && !this.winner && lane.tokens.length && lane.tokens.length === lane.total) {
      this.winner = search.winner(lane.tokens.map((token) => token?.id), lane.first + lane.tokens.length - 1);
    }
    const best = this.winner ? null : search.contenders(search.rules.penalty)[0];
    this.leader = this.winner ?? (best ? [best.s, best.r] : null);
  }

  beamsWords() {
    const { beams, groups } = this.search.rules;
    return `${beams} beams${groups > 1 ? ` in ${groups} groups` : ''}`;
  }

  summaryLine() {
    const { steps, count } = this.search;
    const how = this.beamsWords();
    if (!count) return [`The search · ${how}`];
    if (!this.over) return [`The search · ${how} · step ${steps.length}`];
    const won = this.won ? ` · won with ${this.won}` : '';
    return [`The search · ${how} · ${count} ${count === 1 ? 'step' : 'steps'}`, [won]];
  }

  score(beam) { return scoreOf(beam, this.search.rules.penalty); }

  // A node in words, for those who do not see it.
  label(s, r) {
    const beam = this.search.at(s, r);
    return `${spoken(beam.piece)}, step ${s + 1}. ${fateOf(this.search, s, r, this.winner)} Score ${figure(finite(this.score(beam)), 3)}: `
      + `${figure(beam.total, 3)} over ${beam.length} to the power of ${this.search.rules.penalty}.`;
  }

  // The same as elements, for the card.
  told(s, r) {
    const { search } = this;
    const beam = search.at(s, r);
    const parent = search.at(s - 1, beam.parent);
    const head = h('div', 'head');
    head.append(writeToken(h('bdi', 'tok'), beam.piece), h('span', 'where', `step ${s + 1} · id ${beam.id}`));
    const text = h('p', 'so-far');
    const whole = search.text(s, r);
    text.append(writeVisibleNewlines(h('bdi'), (whole.length > 130 ? '…' : '') + whole.slice(-130)));
    const sum = h('p', 'sum');
    sum.append(arithmetic(beam, search.rules.penalty));
    const meaning = h('p', 'note', 'Score = sum of log-probabilities ÷ length to the power of the length penalty.');
    const parts = [head, text, sum, meaning, h('p', 'fate', fateOf(search, s, r, this.winner))];
    const before = s === 0 ? 0 : parent?.total;
    if (beam.total !== null && before !== undefined && before !== null) {
      const own = beam.total - before;
      parts.splice(3, 0, h('p', 'note own', `${figure(own, 3)} of the sum is this token’s own (${percent(Math.exp(own))}).`));
    }
    return parts;
  }
}

const finite = (value) => (Number.isFinite(value) ? value : null);

// "−3.42 = −10.26 ÷ 3^1.0", with the power raised.
function arithmetic(beam, penalty) {
  const words = h('span', 'arithmetic');
  const power = h('sup');
  power.append(h('span', 'unseen', ' to the power of '), Number.isInteger(penalty) ? penalty.toFixed(1) : String(Number(penalty.toFixed(2))));
  words.append(h('b', '', figure(finite(scoreOf(beam, penalty)), 3)), ` = ${figure(beam.total, 3)} ÷ ${beam.length}`, power);
  return words;
}

PANELS.push((lane) => new BeamsPanel(lane));
