// Samples of one prompt as a weighted tree: what they share stands once, with how many go that way.

function chance(value) {
  if (value === null) return 'not told';
  const percent = 100 * value;
  if (percent >= 9.5) return `${percent.toFixed(0)} %`;
  return percent >= 0.1 ? `${percent.toFixed(1)} %` : '< 0.1 %';
}

class Samples {
  constructor(root, { act, draw }) {
    Object.assign(this, { root, act, folded: new Set(), rows: [], current: '' });
    root.classList.add('bd');
    const head = h('div', 'head');
    this.count = h('input');
    Object.assign(this.count, { type: 'number', min: 2, value: 20 });
    this.count.setAttribute('aria-label', 'How many samples');
    this.go = button('', 'small draw', () => {
      if (this.running) act({ do: 'stop samples' });
      else draw({ count: Number(this.count.value) });
    });
    const tools = h('span', 'tools');
    tools.append(this.count, this.go);
    head.append(h('h2', '', 'Samples'), tools);
    this.hint = h('p', 'hint', 'Draw many answers to the prompt at once, with other dice each, and see how they '
      + 'part: “14 of 20 begin with …”.');
    this.said = h('p', 'said');
    this.said.setAttribute('role', 'status');
    this.about = h('p', 'about');
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.list = h('div', 'list');
    this.list.setAttribute('role', 'tree');
    this.list.setAttribute('aria-label', 'Samples');
    this.keys = h('p', 'keys', 'Click a row or press Enter to open its sample in a lane; Left and Right fold.');
    root.append(head, this.hint, this.said, this.about, this.problem, this.list, this.keys);
    this.count.addEventListener('input', () => this.name());
    this.list.addEventListener('keydown', (event) => this.key(event));
  }

  name() { put(this.go, this.running ? 'Stop drawing' : `Draw ${this.count.value || '…'} samples`); }

  take(message) {
    const { count, most, running } = message;
    if (!this.most) this.count.value = Math.min(20, most);
    Object.assign(this, { message, most, running: running === true });
    this.count.max = most;
    this.count.title = `From 2 to ${most}`;
    this.name();
    this.hint.hidden = count > 0;
    put(this.said, message.said ?? '');
    put(this.about, message.about ?? '');
    put(this.problem, message.problem ?? '');
    this.about.hidden = !message.about;
    this.problem.hidden = !message.problem;
    this.keys.hidden = !message.root;
    this.draw();
  }

  draw() {
    const held = this.list.contains(document.activeElement);
    this.rows = [];
    const { root } = this.message;
    if (root?.count) {
      if (root.tokens) this.collect(root, 0, '/');
      else root.next.forEach((child, k) => this.collect(child, 0, `/${k}`));
    }
    if (!this.rows.some((row) => row.path === this.current)) this.current = this.rows[0]?.path ?? '';
    this.list.replaceChildren(...this.rows.map((row) => this.row(row)));
    if (held) this.list.querySelector('[tabindex="0"]')?.focus();
  }

  collect(span, depth, path) {
    const open = span.next.length > 0 && !this.folded.has(path);
    this.rows.push({ span, depth, path, open });
    if (open) span.next.forEach((child, k) => this.collect(child, depth + 1, `${path}/${k}`));
  }

  row({ span, depth, path, open }) {
    const root = h('div', 'node');
    root.setAttribute('role', 'treeitem');
    root.setAttribute('aria-level', depth + 1);
    if (span.next.length) root.setAttribute('aria-expanded', String(open));
    root.tabIndex = path === this.current ? 0 : -1;
    root.dataset.path = path;
    root.style.setProperty('--depth', depth);
    root.style.setProperty('--share', span.count / this.message.count);
    const fold = h('span', 'fold', span.next.length ? (open ? '▾' : '▸') : '');
    fold.setAttribute('aria-hidden', 'true');
    fold.addEventListener('click', (event) => { event.stopPropagation(); this.fold(path, open); });
    const text = h('bdi', 'text');
    writeText(text, span.text);
    const several = span.count > 1;
    const counted = h('b', '', several ? `${span.count} of ${span.total}` : `sample ${span.sample}`);
    if (several) counted.title = 'Of the samples that came this far, so many go this way.';
    const figures = h('span', 'figures');
    figures.append(counted);
    if (several) {
      const expected = h('span', '', `expected ${chance(span.chance)}`);
      expected.title = 'The probability with which a sample that came this far was to go this way.';
      figures.append(expected);
    }
    if (span.ended) figures.append(h('span', '', `${span.ended} end here`));
    root.append(fold, text, figures);
    root.title = span.text;
    root.addEventListener('click', () => {
      this.current = path;
      this.act({ do: 'sample', key: span.key });
    });
    return root;
  }

  fold(path, open) {
    if (open) this.folded.add(path);
    else this.folded.delete(path);
    this.draw();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const path = event.target.closest('.node')?.dataset.path;
    const at = this.rows.findIndex((row) => row.path === path);
    if (at < 0) return;
    const row = this.rows[at];
    const goTo = (place) => {
      if (!this.rows[place]) return;
      this.current = this.rows[place].path;
      [...this.list.children].forEach((child, k) => { child.tabIndex = k === place ? 0 : -1; });
      this.list.children[place].focus();
    };
    const deeds = {
      ArrowDown: () => goTo(at + 1),
      ArrowUp: () => goTo(at - 1),
      Home: () => goTo(0),
      End: () => goTo(this.rows.length - 1),
      ArrowRight: () => { if (row.span.next.length && !row.open) this.fold(path, false); else goTo(at + 1); },
      ArrowLeft: () => { if (row.open) this.fold(path, true); else goTo(this.parentOf(at)); },
      Enter: () => this.act({ do: 'sample', key: row.span.key }),
      ' ': () => this.act({ do: 'sample', key: row.span.key }),
    };
    if (!deeds[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    deeds[event.key]();
  }

  parentOf(at) {
    for (let k = at - 1; k >= 0; k -= 1) if (this.rows[k].depth < this.rows[at].depth) return k;
    return at;
  }
}

// A text on one line, with its line breaks shown; marks that reorder it are left out.
function writeText(parent, text) {
  text.replace(/[\u202a-\u202e\u2066-\u2069]/gu, '').split('\n').forEach((part, turn) => {
    if (turn > 0) parent.append(h('i', 'mark', '⏎'));
    parent.append(part);
  });
}
