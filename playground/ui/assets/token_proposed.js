// Speculative decoding: what was proposed for each forward, what the model accepted, and what it
// took instead. Green and ✓ is accepted, struck through is rejected, grey was thrown away unread.

const PROPOSED_WIDTH = 118;
const SOURCES = { 'prompt lookup': 'prompt lookup', draft: 'a draft model' };

// The order is that of encode_proposed in token_forwards.py.
const readProposed = ([position, source, accepted, pieces]) => ({ position, source, accepted, pieces });

class ProposedPanel {
  constructor(lane) {
    this.lane = lane;
    lane.proposed = this;
    this.root = h('details', 'proposed');
    this.root.hidden = true;
    this.root.open = choices.get(lane.name, 'proposed', 'open') === 'open';
    this.root.addEventListener('toggle', () => {
      choices.set(lane.name, 'proposed', this.root.open ? 'open' : 'closed');
      this.draw();
    });
    this.summary = h('summary');
    this.reel = new Reel(PROPOSED_WIDTH, (k) => this.column(k));
    this.reel.root.classList.add('proposals');
    this.reel.root.tabIndex = 0;
    this.reel.root.setAttribute('role', 'group');
    this.reel.root.setAttribute('aria-label', 'Proposals, forward by forward');
    const legend = h('p', 'proposed-legend');
    for (const [kind, mark, words] of [['accepted', '✓', 'accepted'], ['rejected', '✗', 'rejected'],
      ['unread', '·', 'thrown away with it'], ['own', '→', 'the model’s own choice']]) {
      const one = h('span', kind, `${mark} `);
      one.append(h('span', 'tok', words));
      legend.append(one);
    }
    this.root.append(this.summary, legend, this.reel.root);
    this.clear();
  }

  clear() {
    this.figures = null;
    this.forwards = [];
    this.at = new Map();
    this.count = 0;
    this.filling = false;
    this.tallest = 0;
    this.reel.clear();
    this.root.hidden = true;
  }

  take(message) {
    this.figures = message.speculation ?? null;
    if (!message.proposals) return;
    this.add(message.proposals.from, message.proposals.rows);
    this.count = message.proposals.n;
    if (this.forwards.length < this.count) this.fill();
  }

  add(from, rows) {
    if (from > this.forwards.length) return;
    for (const row of rows.slice(this.forwards.length - from)) {
      const forward = readProposed(row);
      this.forwards.push(forward);
      forward.pieces.slice(0, forward.accepted).forEach((_, n) => {
        this.at.set(forward.position + n, { accepted: true, forward });
      });
      this.at.set(forward.position + forward.accepted, { accepted: false, forward });
    }
  }

  // Forwards that no message brought; tokens that were drawn without them are drawn again.
  async fill() {
    if (this.filling) return;
    this.filling = true;
    const { key } = this.lane;
    while (key === this.lane.key && this.forwards.length < this.count) {
      const from = this.forwards.length;
      const answer = await this.lane.ask('token_stream_tokens', { key, from, what: 'proposals' });
      if (key !== this.lane.key || !answer || answer.gone || !answer.rows.length) break;
      this.add(from, answer.rows);
    }
    if (key !== this.lane.key) return;
    this.filling = false;
    this.reel.renew();
    if (this.lane.viewName === 'tokens') this.lane.makeView();
    this.lane.wake();
  }

  draw() {
    this.root.hidden = !this.figures;
    if (!this.figures) return;
    put(this.summary, this.words());
    this.summary.title = this.summary.textContent;
    this.reel.root.hidden = !this.forwards.length;
    if (!this.root.open) return;
    const most = this.forwards.slice(this.reel.count).reduce((n, one) => Math.max(n, one.pieces.length), this.tallest);
    if (most !== this.tallest) {
      this.tallest = most;
      this.reel.root.style.height = `${20 + 19 * (most + 1) + 18}px`;
    }
    this.reel.reach(this.forwards.length);
  }

  words() {
    const { proposed, accepted, a_forward: each } = this.figures;
    if (!proposed) return `Proposed tokens · none${this.lane.state === 'running' ? ' yet' : ''}`;
    return `Proposed tokens · ${accepted} of ${proposed} accepted (${percent(accepted / proposed)}) · ${each.toFixed(2)} tokens a forward`;
  }

  column(k) {
    const { position, source, accepted, pieces } = this.forwards[k];
    const column = h('div', 'forward');
    column.append(h('div', 'beam-head', `token ${position + 1}`));
    column.title = `Proposed by ${SOURCES[source]}: ${accepted} of ${pieces.length} accepted.`;
    const row = (kind, mark, words, piece, special) => {
      const line = h('div', kind);
      const unseen = h('span', 'unseen', `${words} `);
      const name = writeToken(h(kind === 'rejected' ? 's' : 'bdi', 'tok'), piece, { special });
      const sign = h('i', 'beam-mark', mark);
      sign.setAttribute('aria-hidden', 'true');
      line.append(unseen, sign, name);
      column.append(line);
    };
    pieces.slice(0, accepted).forEach(([, text, special]) => row('accepted', '✓', 'accepted', text, special === 1));
    const rest = pieces.slice(accepted);
    if (rest.length) row('rejected', '✗', 'rejected', rest[0][1], rest[0][2] === 1);
    const own = this.lane.tokens[position + accepted - this.lane.first];
    if (own) row('own', '→', rest.length ? 'instead' : 'then', own.piece, own.special);
    rest.slice(1).forEach(([, text, special]) => row('unread', '·', 'thrown away', text, special === 1));
    return column;
  }

  // What the tokens view shows at token `i`: a mark on it, and before it what it was taken instead of.
  markToken(span, i) {
    const told = this.at.get(i + this.lane.first);
    if (!told) return null;
    if (told.accepted) {
      span.classList.add('accepted');
      span.append(h('i', 'accepted-mark', '✓'));
      return null;
    }
    const rest = told.forward.pieces.slice(told.forward.accepted);
    if (!rest.length) return null;
    const box = h('span', 'instead');
    rest.forEach(([, text, special], n) => {
      box.append(writeToken(h('s', n ? 'tok unread' : 'tok rejected'), text, { special: special === 1 }));
    });
    box.title = `Proposed and rejected; the model took the next token instead.`;
    return box;
  }

  // The same in words, for a label that is read aloud.
  say(i) {
    const told = this.at.get(i + this.lane.first);
    if (!told) return '';
    if (told.accepted) return ', proposed and accepted';
    const rejected = told.forward.pieces[told.forward.accepted];
    return rejected ? `, instead of the proposed ${spoken(rejected[1])}` : '';
  }
}

PANELS.push((lane) => new ProposedPanel(lane));
