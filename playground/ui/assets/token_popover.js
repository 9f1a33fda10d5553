// What else could have come: the candidates of one token, in one panel for the whole page.

const MARGIN = 8;
const UNTOLD_WORDS = 'Written on a server, which does not tell entropy, nor what the settings made of a probability.';
const SILENT_WORDS = 'Written on a server that tells no figures and no other candidates: a piece of text as it came.';

class Popover {
  constructor() {
    this.box = h('div', 'token-popover');
    this.box.id = 'token-popover';
    this.box.tabIndex = -1;
    this.box.setAttribute('role', 'dialog');
    this.lane = null;
    this.pinned = false;
    this.box.addEventListener('pointerenter', () => clearTimeout(this.closing));
    this.box.addEventListener('pointerleave', () => this.leave());
    this.box.addEventListener('keydown', (event) => this.key(event));
    this.box.addEventListener('click', (event) => this.choose(event));
    document.addEventListener('pointerdown', (event) => {
      const inside = this.box.contains(event.target) || event.target.closest?.('[data-i]');
      if (this.lane && !inside) this.close();
    });
    // In the capturing phase, so that Escape closes this panel before it stops a run.
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.lane) return;
      event.preventDefault();
      event.stopPropagation();
      this.close(this.box.contains(document.activeElement));
    }, { capture: true });
    window.addEventListener('scroll', (event) => {
      if (!this.box.contains(event.target)) this.place();
    }, { capture: true, passive: true });
    window.addEventListener('resize', () => this.place());
  }

  // Shows token `index` of `lane` beside `anchor`; a pinned panel stays until it is closed.
  show(lane, index, anchor, pinned) {
    clearTimeout(this.closing);
    clearTimeout(this.opening);
    const before = this.lane;
    Object.assign(this, { lane, index, anchor, pinned });
    if (before && before !== lane) before.released();
    this.fill();
    if (!this.box.isConnected) document.body.append(this.box);
    this.box.classList.toggle('pinned', pinned);
    this.box.hidden = false;
    this.place();
  }

  // It stays until it is closed.
  pin() {
    this.pinned = true;
    this.box.classList.add('pinned');
    this.place();
  }

  // A pointer rests on a token: shown after a moment, unless another one is pinned.
  hover(lane, index, anchor) {
    if (this.pinned) return;
    clearTimeout(this.opening);
    clearTimeout(this.closing);
    this.opening = setTimeout(() => this.show(lane, index, anchor, false), this.lane ? 20 : 110);
  }

  leave() {
    clearTimeout(this.opening);
    if (this.pinned || !this.lane) return;
    clearTimeout(this.closing);
    this.closing = setTimeout(() => this.close(), 180);
  }

  close(refocus = false) {
    clearTimeout(this.opening);
    clearTimeout(this.closing);
    const { lane, index } = this;
    this.lane = this.anchor = null;
    this.pinned = false;
    this.box.hidden = true;
    if (lane) lane.released();
    if (!lane || !refocus) return;
    this.returning = true; // Focus goes back to the token without opening what was just closed.
    lane.focusToken(index);
    this.returning = false;
  }

  key(event) {
    const writing = event.target.matches('input');
    const turn = writing ? 0 : { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const walk = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === 'Tab') {
      this.cycle(event.shiftKey ? -1 : 1);
    } else if (turn) {
      const next = this.lane.neighbour(this.index, turn);
      const anchor = next === null ? null : this.lane.elementOf(next);
      if (anchor) {
        this.lane.attend?.(next);
        this.show(this.lane, next, anchor, true);
      }
    } else if (walk) {
      const { stops } = this;
      const at = stops.indexOf(document.activeElement);
      stops[Math.min(Math.max(at + walk, 0), stops.length - 1)]?.focus();
    } else if (event.key === 'i' && !writing && this.lane.lookInside && !this.lane.lacksInside) {
      this.leaveFor((lane, index) => lane.lookInside(index));
    } else if (event.key === 'x' && !writing && this.lane.xray && !this.lane.isGiven && !this.lane.lacks.xray) {
      this.leaveFor((lane, index) => lane.xray.toggle(index));
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // All that can be pressed or written in here, in order.
  get stops() {
    return [...this.box.querySelectorAll('button:not(:disabled), input')].filter((e) => e.offsetParent);
  }

  // Tab goes round in here, as in every dialog; Escape leaves.
  cycle(turn) {
    const { stops } = this;
    const at = stops.indexOf(document.activeElement);
    const next = at < 0 && turn < 0 ? stops.length - 1 : (at + turn + stops.length) % stops.length;
    stops[next]?.focus();
  }

  choose(event) {
    const row = event.target.closest('[data-candidate]');
    if (!row || !this.lane?.canBranch || this.lane.lacks.branch) return;
    const id = Number(row.dataset.candidate);
    this.leaveFor((lane, index) => lane.fork(index, 'take', { id }));
  }

  // Closes, then does what was asked of the token.
  leaveFor(act) {
    const { lane, index } = this;
    this.close(true);
    act(lane, index);
  }

  // Inside the viewport at any width, never over the token: below it, or above it where there is
  // more room, and where neither is enough the panel scrolls.
  place() {
    if (!this.lane || !this.anchor) return;
    if (!this.anchor.isConnected) {
      this.anchor = this.lane.elementOf(this.index);
      if (!this.anchor) { if (!this.pinned) this.close(); return; }
    }
    const at = this.anchor.getClientRects()[0];
    if (!at) return;
    this.box.style.maxHeight = '';
    const { offsetWidth: width, offsetHeight: natural } = this.box;
    const { clientWidth, clientHeight } = document.documentElement;
    const roomBelow = clientHeight - MARGIN - at.bottom - 6;
    const roomAbove = at.top - 6 - MARGIN;
    const under = natural <= roomBelow || roomBelow >= roomAbove;
    const height = Math.min(natural, Math.max(under ? roomBelow : roomAbove, 160));
    this.box.style.maxHeight = `${Math.floor(height)}px`;
    const top = Math.max(MARGIN, under ? at.bottom + 6 : at.top - height - 6);
    const left = Math.max(MARGIN, Math.min(at.left - 12, clientWidth - width - MARGIN));
    this.box.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  fill() {
    const { lane, index, box } = this;
    box.replaceChildren();
    if (lane.kind === 'pieces') {
      this.fillPiece(lane.pieces[index], index);
      return;
    }
    const token = lane.tokens[index];
    box.setAttribute('aria-label', `Candidates of token ${lane.numberOf(index)}`);
    const head = h('div', 'head');
    head.append(writeToken(h('b', 'tok'), shownOf(token), { special: token.special, half: isHalf(token) }));
    head.append(h('span', 'where', `token ${lane.numberOf(index)}`));
    box.append(head, this.facts(token));
    const completes = token.piece !== shownOf(token);
    if (isHalf(token)) box.append(h('p', 'note', 'Bytes of a character that is not complete yet.'));
    if (completes) box.append(h('p', 'note', `Completes a character; by itself it is ${token.piece}.`));
    if (token.forced) box.append(h('p', 'note', 'Put there by you: nothing chose it. The figures are what the model thought of it.'));
    if (token.stood) box.append(h('p', 'note', 'It stood already when this branch began.'));
    box.append(...this.candidates(token, lane.canBranch && !lane.lacks.branch), ...tokenActions(this, token));
    box.append(h('p', 'keys', '↑ ↓ walk here · ← → other tokens · Esc closes'));
  }

  facts(token) {
    const list = h('dl', 'facts');
    const add = (name, value) => {
      if (value === UNTOLD && Number.isNaN(token.logprob)) return; // all of it: the note says so
      const pair = h('div');
      pair.append(h('dt', '', name), h('dd', '', value));
      list.append(pair);
    };
    add('probability', percent(probabilityOf(token.logprob)));
    add('rank', token.rank > 0 ? String(token.rank) : UNTOLD);
    add('log-prob', figure(token.logprob, 3));
    const bits = bitsOf(token.logprob);
    add('surprise', Number.isNaN(bits) ? UNTOLD : token.logprob === null ? '∞' : `${bits.toFixed(1)} bits`);
    add('entropy', figure(token.entropy, 2));
    add('id', token.id < 0 ? UNTOLD : String(token.id));
    if (!token.special) {
      const bytes = bytesOf(token.piece);
      add(bytes.length === 1 ? 'byte' : 'bytes', bytes.slice(0, 24).join(' ') + (bytes.length > 24 ? ' …' : ''));
    }
    return list;
  }

  candidates(token, canBranch) {
    const all = token.candidates;
    this.verb = this.lane.isGiven ? 'in the text' : token.forced ? 'put here' : 'chosen';
    const inList = all.some((c) => c.id === token.id);
    const changed = Math.abs(probabilityOf(token.logprob) - token.final) > 0.0006
      || all.some((c) => Math.abs(probabilityOf(c.logprob) - c.final) > 0.0006);
    const table = h('div', changed ? 'candidates two' : 'candidates');
    const titles = h('div', 'titles');
    const heading = canBranch ? 'click one to continue with it' : 'what could have come';
    titles.append(h('span', '', heading), h('span', 'own', 'model'));
    if (changed) titles.append(h('span', 'final', 'as chosen'));
    const list = h('ol');
    for (const c of all) list.append(this.row(c, c.id === token.id, changed, canBranch));
    if (!inList) {
      const chosen = { id: token.id, text: token.piece, logprob: token.logprob, final: token.final };
      const row = this.row(chosen, true, changed, canBranch);
      row.classList.add('outside');
      if (token.rank > 0) row.value = token.rank;
      list.append(row);
    }
    const listed = (of) => all.reduce((sum, c) => sum + of(c), 0);
    const rest = h('div', 'rest');
    rest.append(h('span', '', 'all other tokens'));
    rest.append(h('span', 'figure', percent(Math.max(0, 1 - listed((c) => probabilityOf(c.logprob))
      - (inList ? 0 : probabilityOf(token.logprob))))));
    if (changed) {
      const left = 1 - listed((c) => c.final) - (inList ? 0 : token.final);
      // What six digits of each leave over is no token that the settings left.
      rest.append(h('span', 'figure', percent(left < 1e-5 ? 0 : left)));
    }
    table.append(titles, list, rest);
    if (this.lane.isGiven) return [table];
    if (Number.isNaN(token.logprob) && !all.length) return token.forced ? [] : [h('p', 'note', SILENT_WORDS)];
    if (token.untold) return [table, h('p', 'note', UNTOLD_WORDS)];
    const words = changed
      ? '“as chosen” is what the settings made of the model’s own probability.'
      : 'The settings left these probabilities as the model gave them.';
    return [table, h('p', 'note', words)];
  }

  row(candidate, chosen, changed, canBranch) {
    const item = h('li', chosen ? 'chosen' : '');
    const line = h(canBranch ? 'button' : 'div', 'line');
    if (canBranch) {
      line.type = 'button';
      line.dataset.candidate = candidate.id;
      line.title = 'Continue with this token instead';
    }
    const own = probabilityOf(candidate.logprob);
    const bar = h('span', 'bar');
    bar.style.setProperty('--share', own);
    if (changed) {
      const final = h('span', 'bar final');
      final.style.setProperty('--share', candidate.final);
      line.append(final);
    }
    const name = writeToken(h('bdi', 'tok'), candidate.text);
    name.title = idInWords(candidate.id);
    line.append(bar, name, h('span', 'tick', chosen ? this.verb : ''), h('span', 'figure', percent(own)));
    if (changed) line.append(h('span', 'figure', percent(candidate.final)));
    item.append(line);
    return item;
  }

  fillPiece([id, text, special], index) {
    const { box } = this;
    box.setAttribute('aria-label', `Piece ${index + 1} of the prompt`);
    const head = h('div', 'head');
    head.append(writeToken(h('b', 'tok'), text, { special: special === 1 }));
    head.append(h('span', 'where', `piece ${index + 1}`));
    const words = special ? `id ${id}, a control token` : `id ${id}`;
    box.append(head, h('p', 'note', words), ...pieceActions(this));
  }
}

const popover = new Popover();
