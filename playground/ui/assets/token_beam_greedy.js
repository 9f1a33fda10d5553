// The greedy path laid over a search: where they part, and who ended ahead.

class GreedyBeside {
  constructor(panel) {
    this.panel = panel;
    this.control = h('label', 'beam-greedy');
    this.check = h('input');
    this.check.type = 'checkbox';
    this.check.addEventListener('change', () => this.toggle());
    this.control.append(this.check, ' Lay greedy over');
    this.control.title = 'Runs the same prompt with one beam, and marks its path in the tree.';
    this.verdict = h('p', 'beam-verdict');
    this.verdict.setAttribute('role', 'status');
    this.clear();
  }

  clear() {
    this.check.checked = false;
    this.tokens = [];
    this.rows = [];
    this.answer = null;
    this.asking = false;
    this.verdict.replaceChildren();
    this.verdict.hidden = true;
    if (this.panel.greedyKey) this.panel.greedyKey.hidden = true;
  }

  get on() { return this.check.checked; }

  toggle() {
    this.verdict.hidden = this.panel.greedyKey.hidden = !this.on;
    if (this.on) {
      this.verdict.textContent = 'Running greedy on the same prompt …';
      this.ask();
    }
    this.panel.lane.wake();
  }

  // Asks until greedy has ended and, once the search has, until both are compared.
  async ask() {
    if (this.asking) return;
    this.asking = true;
    const { lane } = this.panel;
    const { key } = lane;
    while (key === lane.key && this.on && !this.isSettled()) {
      const answer = await lane.ask('token_stream_greedy', { key, from: this.tokens.length });
      if (key !== lane.key) return;
      this.answer = answer ?? { problem: 'The server does not answer.' };
      if (this.answer.problem) break;
      if (answer.from === this.tokens.length) this.tokens.push(...answer.rows);
      lane.wake();
    }
    this.asking = false;
  }

  isSettled() {
    return this.answer !== null && (this.answer.settled || (this.answer.ended && !this.panel.over));
  }

  draw() {
    if (!this.on) return;
    const { search } = this.panel;
    // The row on greedy's path after each step, or −1 once none is.
    for (let s = this.rows.length; s < Math.min(search.steps.length, this.tokens.length); s += 1) {
      const before = s === 0 ? 0 : this.rows[s - 1];
      const beams = search.steps[s]?.beams ?? [];
      this.rows.push(before < 0 ? -1
        : beams.findIndex((beam) => beam.parent === before && beam.id === this.tokens[s][0]));
    }
    if (this.answer) this.say();
    if (!this.isSettled() && !this.answer?.problem) this.ask();
  }

  rowAt(s) { return this.on ? this.rows[s] ?? -1 : -1; }

  // In the head of a step: what greedy took where no hypothesis is on its path.
  mark(column, s) {
    const known = column.querySelector('.greedy-token');
    const off = this.on && this.rows[s] === -1 && this.tokens[s];
    if (!off) {
      known?.remove();
      return;
    }
    if (known) return;
    const mark = h('span', 'greedy-token');
    mark.title = 'What greedy took at this step; no hypothesis here is on its path.';
    mark.append(h('span', 'unseen', 'greedy took '), writeToken(h('bdi', 'tok'), this.tokens[s][1]));
    column.firstChild.append(mark);
  }

  say() {
    const { problem, compared, ended } = this.answer;
    const parts = problem ? [problem] : compared ? this.compare(compared)
      : [ended ? 'Greedy is done; the comparison comes when the search is.' : `Greedy has written ${this.tokens.length} tokens.`];
    this.verdict.replaceChildren(...parts);
  }

  compare({ left, beam, greedy }) {
    const tokens = (count) => `${count} ${count === 1 ? 'token' : 'tokens'}`;
    const sums = `${figure(beam.total, 2)} over ${tokens(beam.length)} against ${figure(greedy.total, 2)} over ${tokens(greedy.length)}`;
    if (left === null && beam.length === greedy.length) return ['The search found what greedy finds, token for token.'];
    const ahead = beam.total === null || greedy.total === null ? null : beam.total - greedy.total;
    const end = ahead === null ? '.' : ` and ended ${Math.abs(ahead).toFixed(2)} nats ${ahead < 0 ? 'behind' : 'ahead'}: ${sums}.`;
    if (left === null) return [`The search and greedy agree until one of them ends${end.replace(' and', '; the search')}`];
    return [`The search left greedy at step ${left + 1}, with `, writeToken(h('bdi', 'tok'), beam.piece),
      ' where greedy took ', writeToken(h('bdi', 'tok'), greedy.piece), `,${end}`];
  }
}
