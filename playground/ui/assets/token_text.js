// Tokens as text: running text to read, or every token by itself with its tint. One block element
// per line of text, so that a new token lays out one line and not the whole answer.

class RunningView {
  constructor(lane, everyToken) {
    this.lane = lane;
    this.everyToken = everyToken;
    this.root = h('div', everyToken ? 'running every' : 'running plain');
    this.elements = [];
    this.done = 0;
    this.line = null;
  }

  // Draws at most `most` of the tokens that are not drawn yet.
  draw(most) {
    const { tokens } = this.lane;
    const end = Math.min(tokens.length, this.done + most);
    const tail = this.tail;
    if (tail) { tail.remove(); this.tail = null; }
    for (; this.done < end; this.done += 1) this.add(tokens[this.done], this.done);
    if (this.done === tokens.length && this.lane.tail && !this.everyToken) this.addTail();
    return this.done < tokens.length;
  }

  newLine() {
    this.line = h('div', 'line');
    this.line.dir = 'auto';
    this.root.append(this.line);
  }

  add(token, index) {
    if (!this.line) this.newLine();
    if (token === null) {
      this.line.append(h('span', 'lost', '…'));
    } else if (this.everyToken) {
      this.addMarked(token, index);
    } else if (!token.special && token.text) {
      this.addPlain(this.started ? token.text : token.text.replace(/^ /, ''), index, token);
    }
  }

  addMarked(token, index) {
    const shown = shownOf(token);
    const span = tint(h('span', 'tok'), token);
    span.dataset.i = index;
    writeToken(span, shown, { special: token.special, half: isHalf(token) });
    if (token.piece !== shown) span.classList.add('joined');
    markOrigin(span, token);
    this.lane.parts.mark(span, index);
    const instead = this.lane.proposed.markToken(span, index);
    if (instead) this.line.append(instead);
    this.line.append(span, h('wbr'));
    this.elements[index] = span;
    if (shown.includes('\n')) this.newLine();
  }

  addPlain(text, index, token) {
    this.started = true;
    text.split('\n').forEach((part, turn) => {
      if (turn > 0) this.newLine();
      if (!part && turn > 0) return;
      const span = markOrigin(writeReadable(h('span', 'tok'), part), token);
      span.dataset.i = index;
      this.lane.parts.mark(span, index);
      this.line.append(span);
      this.elements[index] ??= span;
    });
  }

  addTail() {
    if (!this.line) this.newLine();
    this.tail = h('span', 'tail', this.lane.tail);
    this.line.append(this.tail);
  }

  has(index) { return this.elements[index] !== undefined; }

  elementOf(index) { return this.elements[index] ?? null; }

  // The token nearest above or below, for the arrow keys.
  vertical(index, turn) {
    const here = this.elements[index].getBoundingClientRect();
    let best = null;
    let row = null;
    for (let i = index + turn; i >= 0 && i < this.elements.length; i += turn) {
      if (!this.elements[i]) continue;
      const box = this.elements[i].getBoundingClientRect();
      if (Math.abs(box.top - here.top) < 4) continue;
      row ??= box.top;
      if (Math.abs(box.top - row) > 4) break;
      const distance = Math.abs(box.left - here.left);
      if (best === null || distance < best.distance) best = { i, distance };
    }
    return best ? best.i : null;
  }
}
