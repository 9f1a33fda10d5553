// Where the settings of a run were changed on its way: said in the text, before the first token that
// was chosen with them.

class Amended {
  constructor(lane) {
    this.lane = lane;
    this.root = h('div');
    this.root.hidden = true;
    this.clear();
  }

  clear() { this.changes = []; }

  take(message) { this.changes = message.amended ?? []; }

  draw() {
    const { lane } = this;
    if (lane.viewName === 'table') return;
    for (const [position, words] of this.changes) {
      const index = position - lane.first;
      if (index >= lane.tokens.length) continue;
      const token = lane.view.has(index) ? lane.view.elementOf(index) : null;
      if (!token) requestAnimationFrame(() => lane.wake()); // The view draws after its panels.
      else if (!token.previousElementSibling?.classList.contains('amended')) {
        token.before(h('span', 'amended', `${words} from here`));
      }
    }
  }
}

PANELS.push((lane) => new Amended(lane));
