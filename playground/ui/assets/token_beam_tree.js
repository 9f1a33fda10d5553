// The tree of a beam search: one column a step, one node a hypothesis, an edge from its parent.

const BEAM_MARKS = { kept: '●', finished: '■', cut: '◧', dropped: '○' };
// How a hypothesis is marked: one that the limit ended is not shown as complete.
const markOf = (beam) => (beam.state === 'finished' && isCut(beam) ? 'cut' : beam.state);
const BEAM_WIDTH = 132;
const BEAM_GAP = 22;
const BEAM_ROW = 23;
const BEAM_HEAD = 20;
const BEAM_LABEL = 15;
const BEAM_TALLEST = 262;
const SVG = 'http://www.w3.org/2000/svg';

class BeamTree {
  constructor(panel) {
    this.panel = panel;
    this.search = panel.search;
    this.reel = new Reel(BEAM_WIDTH, (s) => this.column(s));
    this.reel.changed = () => this.style();
    this.root = this.reel.root;
    this.root.classList.add('beam-tree');
    this.root.setAttribute('role', 'group');
    this.root.setAttribute('aria-label', 'Tree of the search. Arrows: left to the parent, right to the best child, up and down within a step.');
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.root.addEventListener('focusin', (event) => this.entered(event, true));
    this.root.addEventListener('pointerover', (event) => {
      if (event.pointerType !== 'touch') this.entered(event, false);
    });
    this.root.addEventListener('pointerout', () => beamCard.leave());
    this.root.addEventListener('focusout', () => beamCard.leave());
    this.root.addEventListener('click', (event) => this.entered(event, true, true));
    this.clear();
  }

  clear() {
    this.current = null;
    this.looked = null;
    this.rows = [];
    this.reel.clear();
  }

  // Rows of each group, one below the other; a group that needs more moves those below it.
  lay() {
    const { rules, each, steps } = this.search;
    const need = Array.from({ length: rules.groups }, (_, g) => Math.max(this.rows[g] ?? 0, 2 * each));
    for (let s = this.laid ?? 0; s < steps.length; s += 1) {
      const count = need.map(() => 0);
      for (const beam of steps[s]?.beams ?? []) count[beam.group] += 1;
      count.forEach((n, g) => { need[g] = Math.max(need[g], n); });
    }
    this.laid = steps.length;
    if (need.length === this.rows.length && need.every((n, g) => n === this.rows[g])) return;
    this.rows = need;
    this.label = need.length > 1 ? BEAM_LABEL : 0;
    this.tops = need.map((_, g) => BEAM_HEAD + need.slice(0, g).reduce((sum, n) => sum + n * BEAM_ROW + BEAM_LABEL, 0) + this.label);
    const height = this.tops.at(-1) + need.at(-1) * BEAM_ROW + 4;
    this.reel.sheet.style.height = `${height}px`;
    this.root.style.height = `${Math.min(height, BEAM_TALLEST) + 14}px`;
    this.reel.renew();
    if (this.label) this.tops.forEach((top, g) => this.reel.sheet.append(this.groupLine(top, g)));
  }

  // Groups lie below each other, each under its name, which stays in sight.
  groupLine(top, g) {
    const line = h('div', 'beam-group');
    line.style.top = `${top - BEAM_LABEL}px`;
    line.append(h('span', '', `group ${g + 1}`));
    return line;
  }

  draw() {
    if (!this.search.rules) return;
    if (this.search.steps.length < (this.laid ?? 0)) { this.laid = 0; this.rows = []; }
    this.lay();
    this.reel.reach(this.search.steps.length);
    this.style();
  }

  // The middle of a hypothesis's row, from the top.
  middle(s, r) {
    const { beams } = this.search.steps[s];
    const { group } = beams[r];
    const before = beams.slice(0, r).filter((beam) => beam.group === group).length;
    return this.tops[group] + (before + 0.5) * BEAM_ROW;
  }

  column(s) {
    const column = h('div', 'beam-step');
    const step = this.search.steps[s];
    const head = h('div', 'beam-head', step ? `step ${s + 1}` : 'no longer kept');
    column.append(head);
    if (!step) return column;
    if (step.ends.length) column.classList.add('last');
    const lines = document.createElementNS(SVG, 'svg');
    lines.setAttribute('class', 'edges');
    lines.setAttribute('width', BEAM_GAP);
    lines.setAttribute('aria-hidden', 'true');
    column.append(lines);
    step.beams.forEach((beam, r) => {
      column.append(this.node(beam, s, r));
      const edge = this.edge(beam, s, r);
      if (edge) lines.append(edge);
    });
    return column;
  }

  node(beam, s, r) {
    const node = h('button', `node ${beam.state} ${markOf(beam)}`);
    node.type = 'button';
    node.tabIndex = -1;
    node.dataset.s = s;
    node.dataset.r = r;
    node.style.top = `${this.middle(s, r) - BEAM_ROW / 2 + 1}px`;
    node.append(h('i', 'beam-mark', BEAM_MARKS[markOf(beam)]), writeToken(h('bdi', 'tok'), beam.piece));
    node.append(h('span', 'figure', figure(Number.isFinite(this.panel.score(beam)) ? this.panel.score(beam) : null, 2)));
    return node;
  }

  edge(beam, s, r) {
    const from = s === 0 ? this.tops[0] + BEAM_ROW / 2
      : this.search.at(s - 1, beam.parent) ? this.middle(s - 1, beam.parent) : null;
    if (from === null) return null;
    const to = this.middle(s, r);
    const edge = document.createElementNS(SVG, 'path');
    const half = BEAM_GAP / 2;
    edge.setAttribute('d', `M0 ${from}C${half} ${from} ${half} ${to} ${BEAM_GAP} ${to}`);
    edge.setAttribute('class', beam.state);
    edge.dataset.r = r;
    return edge;
  }

  // What stands out now: the leader's path, the one that is looked at, and the greedy one.
  style() {
    const rowsOf = (places) => new Map(places ?? []);
    const lead = rowsOf(this.panel.leader && this.search.path(...this.panel.leader));
    const looked = rowsOf(this.looked && this.search.path(...this.looked));
    for (const [s, column] of this.reel.columns) {
      const greedy = this.panel.greedy.rowAt(s);
      for (const one of column.querySelectorAll('[data-r]')) {
        const r = Number(one.dataset.r);
        one.classList.toggle('lead', lead.get(s) === r);
        one.classList.toggle('looked', looked.get(s) === r);
        one.classList.toggle('greedy', greedy === r);
      }
      this.panel.greedy.mark(column, s);
    }
    this.keepStop();
  }

  // The one tab stop is a node that exists: the current one, or the leader in the last column.
  keepStop() {
    const { columns } = this.reel;
    let stop = this.current && this.nodeOf(...this.current);
    if (!stop) {
      const last = Math.max(...columns.keys());
      stop = columns.get(last)?.querySelector('.node.lead, .node');
    }
    if (stop === this.stop) return;
    if (this.stop) this.stop.tabIndex = -1;
    if (stop) stop.tabIndex = 0;
    this.stop = stop;
  }

  nodeOf(s, r) { return this.reel.columns.get(s)?.querySelector(`.node[data-r="${r}"]`) ?? null; }

  entered(event, focused, pinned = false) {
    const node = event.target.closest?.('.node');
    if (!node) return;
    const place = [Number(node.dataset.s), Number(node.dataset.r)];
    if (focused) {
      this.current = place;
      node.setAttribute('aria-label', this.panel.label(...place));
      if (event.type === 'focusin' && !node.matches(':focus-visible')) return;
    }
    beamCard.show(this.panel, node, place, pinned);
  }

  look(place) {
    this.looked = place;
    this.style();
  }

  focus([s, r]) {
    this.reel.show(s);
    this.current = [s, r];
    this.style();
    this.nodeOf(s, r)?.focus({ preventScroll: false });
  }

  key(event) {
    const node = event.target.closest?.('.node');
    if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = this.next(event.key, Number(node.dataset.s), Number(node.dataset.r));
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (to) this.focus(to);
  }

  // Where a key leads from a node: a place, null for nowhere, undefined for another key.
  next(key, s, r) {
    const { search } = this;
    const beam = search.at(s, r);
    const beams = search.steps[s].beams;
    const inSight = beams.map((_, k) => k).sort((a, b) => this.middle(s, a) - this.middle(s, b));
    const children = (search.steps[s + 1]?.beams ?? []).map((one, k) => [one, k])
      .filter(([one]) => beam.state === 'kept' && one.parent === r);
    switch (key) {
      case 'ArrowLeft': return search.at(s - 1, beam.parent) ? [s - 1, beam.parent] : null;
      case 'ArrowRight': return children.length ? [s + 1, children[0][1]] : null;
      case 'ArrowUp': case 'ArrowDown': {
        const to = inSight[inSight.indexOf(r) + (key === 'ArrowUp' ? -1 : 1)];
        return to === undefined ? null : [s, to];
      }
      case 'Home': return search.steps[0] ? [0, 0] : null;
      case 'End': return [search.steps.length - 1, 0];
      default: return undefined;
    }
  }
}

// What a node of the tree says of itself, beside it.
class BeamCard {
  constructor() {
    this.panel = null;
    this.box = h('div', 'token-popover beam-card');
    this.box.hidden = true;
    this.box.setAttribute('role', 'dialog');
    this.box.setAttribute('aria-label', 'Hypothesis');
    this.box.addEventListener('pointerenter', () => clearTimeout(this.closing));
    this.box.addEventListener('pointerleave', () => this.leave());
    document.addEventListener('pointerdown', (event) => {
      if (!this.box.hidden && !this.box.contains(event.target) && !event.target.closest?.('.node')) this.close();
    });
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.box.hidden) return;
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }, { capture: true });
    window.addEventListener('scroll', (event) => {
      if (!this.box.hidden && event.target !== this.box) this.place();
    }, { capture: true, passive: true });
  }

  show(panel, node, place, pinned) {
    clearTimeout(this.closing);
    if (this.pinned && !pinned && document.activeElement !== node) return;
    if (this.panel && this.panel !== panel) this.panel.tree.look(null);
    this.panel = panel;
    this.node = node;
    this.pinned = pinned;
    this.box.replaceChildren(...this.panel.told(...place));
    if (!this.box.isConnected) document.body.append(this.box);
    this.box.hidden = false;
    this.place();
    this.panel.tree.look(place);
  }

  leave() {
    clearTimeout(this.closing);
    if (this.pinned || this.box.hidden) return;
    this.closing = setTimeout(() => this.close(), 160);
  }

  close() {
    if (this.box.hidden) return;
    this.box.hidden = true;
    this.pinned = false;
    this.node = null;
    this.panel.tree.look(null);
  }

  place() {
    const at = this.node?.isConnected ? this.node.getBoundingClientRect() : null;
    if (!at) {
      this.close();
      return;
    }
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const { clientWidth, clientHeight } = document.documentElement;
    const under = at.bottom + 6 + height <= clientHeight - MARGIN || at.top < height + 6 + MARGIN;
    const left = Math.max(MARGIN, Math.min(at.left, clientWidth - width - MARGIN));
    const top = Math.max(MARGIN, under ? at.bottom + 6 : at.top - height - 6);
    this.box.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}

const beamCard = new BeamCard();
