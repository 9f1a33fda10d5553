// Where this lane and those beside it part, in its own tokens: what they share is grey, the token
// that differs has a flag with what each gave it. The server compares; see lane_report.py.

class LaneParting {
  constructor(lane) {
    lane.parts = this;
    this.lane = lane;
    this.root = h('div');
    this.root.hidden = true;
    this.chips = [];
    this.twin = null;
    this.clear();
  }

  clear() {
    this.shared = 0;
    this.flags = new Map();
    this.told = '';
    for (const chip of this.chips.splice(0)) chip.remove();
  }

  take({ parting = null }) {
    const told = JSON.stringify(parting);
    if (told === this.told) return;
    this.told = told;
    const before = this.shared;
    const changed = [...this.flags.keys()];
    this.shared = parting?.shared ?? 0;
    this.flags = new Map(parting?.flags ?? []);
    for (const chip of this.chips.splice(0)) chip.remove();
    for (let i = Math.min(before, this.shared); i < Math.max(before, this.shared); i += 1) this.remark(i);
    for (const i of [...changed, ...this.flags.keys()]) this.remark(i);
  }

  remark(i) {
    const element = this.lane.view?.elementOf(i);
    if (element) this.mark(element, i);
  }

  // How token `i` is drawn; also when a view draws it anew.
  mark(element, i) {
    element.classList.toggle('shared', i < this.shared);
    element.classList.toggle('leaves', this.flags.has(i));
    element.classList.toggle('twin', i === this.twin);
  }

  // The token that stands for one that somebody points at in another lane; null for none.
  point(i) {
    const before = this.twin;
    this.twin = i;
    for (const one of [before, i]) if (one !== null) this.remark(one);
  }

  draw() {
    const { lane } = this;
    if (lane.viewName === 'table') return;
    for (const [i, words] of this.flags) {
      if (!words || i >= lane.tokens.length) continue;
      const token = lane.view.has(i) ? lane.view.elementOf(i) : null;
      if (!token) {
        if (lane.view.done <= i) requestAnimationFrame(() => lane.wake()); // The view draws after its panels.
      } else if (!token.nextElementSibling?.classList.contains('flag')) {
        const chip = h('span', 'flag', words);
        chip.title = 'Here this lane and the compared one part: what each gave this token.';
        token.after(chip);
        this.chips.push(chip);
      }
    }
  }

  say(i) { return this.flags.has(i) ? `, here it parts${this.flags.get(i) ? `: ${this.flags.get(i)}` : ''}` : ''; }
}

PANELS.push((lane) => new LaneParting(lane));
