// The branches of a prompt as a tree, and the line above each lane. Texts come from a model or a
// reader and reach the page through textContent alone.

function h(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const put = (element, words) => { if (element.textContent !== words) element.textContent = words; };

function button(label, className, does, help) {
  const made = h('button', className, label);
  made.type = 'button';
  if (help) made.title = help;
  made.addEventListener('click', does);
  return made;
}

// Where letters are written or looked for; a slider or a tick takes none.
const typing = (target) => target.closest?.('input:not([type=range], [type=checkbox], [type=radio]), '
  + 'textarea, select, [contenteditable="true"]');

// The lane that takes what the reader walks to; all parts of the page agree on it.
const focus = {
  lane: 0,
  said: null,
  set(lane) {
    this.lane = lane;
    for (const strip of Strip.all) strip.attend();
  },
  // The server moves it when a branch comes; in between it is the reader's.
  hear(lane) {
    if (lane !== this.said) this.set(lane);
    this.said = lane;
  },
};

class Strip {
  static all = new Set();

  constructor(root, act) {
    this.root = root;
    root.classList.add('bs');
    this.about = h('span', 'about');
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.stop = button('Stop', 'small', () => act({ do: 'stop', key: this.key }), 'Stop this lane; what was written stays');
    this.close = button('Close', 'small', () => act({ do: 'close', lane: this.lane }), 'Put this lane away; its branch stays in the tree');
    const line = h('div', 'line');
    line.append(this.about, this.stop, this.close);
    root.append(line, this.problem);
    Strip.all.add(this);
  }

  take(message) {
    this.lane = message.lane;
    this.key = message.key;
    this.stop.hidden = !message.live;
    this.close.hidden = !message.several;
    put(this.about, message.about ?? '');
    this.about.title = message.about ?? '';
    put(this.problem, message.problem ?? '');
    this.problem.hidden = !message.problem;
    this.listen();
    this.attend();
  }

  listen() {
    const column = this.root.closest('.branch-lane');
    if (!column || this.column === column) return;
    this.column = column;
    for (const kind of ['pointerdown', 'focusin']) {
      column.addEventListener(kind, () => { if (focus.lane !== this.lane) focus.set(this.lane); });
    }
  }

  attend() {
    if (!this.root.isConnected) { Strip.all.delete(this); return; }
    this.column?.classList.toggle('attended', focus.lane === this.lane);
  }
}

class Tree {
  constructor(root, act) {
    Object.assign(this, { root, act, rows: new Map(), current: null });
    root.classList.add('bt');
    const head = h('div', 'head');
    this.undo = button('Undo', 'small undo', () => act({ do: 'undo' }));
    head.append(h('h2', '', 'Branches'), this.undo);
    this.hint = h('p', 'hint', 'Click a token, then a candidate: the answer goes on from there in a '
      + 'lane of its own. Every way on stays here, to walk, name, compare or prune.');
    this.list = h('div', 'list');
    this.list.setAttribute('role', 'tree');
    this.list.setAttribute('aria-label', 'Branches');
    this.said = h('p', 'said');
    this.said.setAttribute('role', 'status');
    this.keys = h('p', 'keys', 'Up and Down walk, Enter shows, F2 renames, C compares, Delete prunes.');
    root.append(head, this.hint, this.list, this.said, this.keys);
    this.list.addEventListener('keydown', (event) => this.key(event));
  }

  take({ nodes, undo, let_go: letGo, focus: lane, said }) {
    focus.hear(lane);
    this.nodes = nodes;
    this.hint.hidden = nodes.length > 0;
    this.keys.hidden = nodes.length < 2;
    put(this.undo, undo ? `Undo ${undo}` : 'Nothing to undo');
    this.undo.title = this.undo.textContent;
    this.undo.disabled = !undo;
    const gone = letGo ? ` ${letGo} older ${letGo === 1 ? 'branch was' : 'branches were'} let go to make room.` : '';
    put(this.said, `${said}${gone}`.trim());
    const known = new Set(nodes.map((node) => node.key));
    for (const [key, row] of this.rows) if (!known.has(key)) this.drop(key, row);
    if (!known.has(this.current)) this.current = nodes[0]?.key ?? null;
    nodes.forEach((node, place) => this.draw(node, place));
  }

  drop(key, row) {
    const held = row.root.contains(document.activeElement);
    row.root.remove();
    this.rows.delete(key);
    if (held) requestAnimationFrame(() => this.rows.get(this.current)?.root.focus());
  }

  draw(node, place) {
    let row = this.rows.get(node.key);
    if (!row) this.rows.set(node.key, row = this.row(node.key));
    if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
    const { root } = row;
    root.style.setProperty('--depth', node.depth);
    root.setAttribute('aria-level', node.depth + 1);
    root.setAttribute('aria-selected', String(node.lane >= 0));
    root.tabIndex = node.key === this.current ? 0 : -1;
    root.classList.toggle('shown', node.lane >= 0);
    root.classList.toggle('compared', node.compared);
    root.dataset.state = node.state;
    put(row.title, node.title);
    row.title.title = node.title;
    put(row.state, node.state);
    put(row.tokens, node.tokens ? `${node.tokens} tokens` : '');
    put(row.mean, node.mean ? `mean ${node.mean}` : '');
    put(row.where, node.lane >= 0 ? `lane ${node.lane + 1}` : '');
    row.compare.setAttribute('aria-pressed', String(node.compared));
    put(row.compare, node.compared ? 'Compared' : 'Compare');
    const told = [row.title, row.state, row.tokens, row.mean, row.where].map((part) => part.textContent);
    root.setAttribute('aria-label', [...told, node.compared ? 'compared' : ''].filter(Boolean).join(', '));
    for (const [does, one] of [['Compare', row.compare], ['Rename', row.rename], ['Prune', row.prune]]) {
      one.setAttribute('aria-label', `${does} ${node.title}`);
    }
  }

  row(key) {
    const root = h('div', 'node');
    root.setAttribute('role', 'treeitem');
    root.setAttribute('aria-keyshortcuts', 'F2 C Delete');
    root.dataset.key = key;
    const row = {
      root, title: h('span', 'title'), state: h('span', 'doing'), tokens: h('span', 'tokens'),
      mean: h('span', 'mean'), where: h('span', 'where'),
      compare: button('Compare', 'small', () => this.act({ do: 'compare', key }), 'Choose two to see where they part'),
      rename: button('Rename', 'small', () => this.rename(key), 'Give it a name of your own'),
      prune: button('Prune', 'small', () => this.act({ do: 'prune', key }), 'Take it out, with all that grew from it; Undo brings it back'),
    };
    row.mean.title = 'Mean log-probability in nats a token; nearer to 0 is surer.';
    const figures = h('span', 'figures');
    figures.append(row.state, row.tokens, row.mean);
    const tools = h('span', 'tools');
    tools.append(row.compare, row.rename, row.prune);
    for (const one of tools.children) one.tabIndex = -1;
    root.append(row.title, row.where, figures, tools);
    root.addEventListener('click', (event) => {
      if (event.target.closest('button, input')) return;
      this.go(key);
      this.show(key);
    });
    return row;
  }

  show(key) { this.act({ do: 'show', key, lane: focus.lane }); }

  go(key) {
    const before = this.rows.get(this.current);
    if (before) before.root.tabIndex = -1;
    this.current = key;
    const row = this.rows.get(key);
    row.root.tabIndex = 0;
    row.root.focus();
  }

  key(event) {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.target.closest('.node')?.dataset.key;
    if (!key || (event.target.tagName === 'BUTTON' && event.key === 'Enter')) return;
    const at = this.nodes.findIndex((node) => node.key === key);
    const goTo = (place) => { const node = this.nodes[place]; if (node) this.go(node.key); };
    const deeds = {
      ArrowDown: () => goTo(at + 1),
      ArrowUp: () => goTo(at - 1),
      Home: () => goTo(0),
      End: () => goTo(this.nodes.length - 1),
      ArrowLeft: () => goTo(this.parentOf(at)),
      ArrowRight: () => { if (this.nodes[at + 1]?.depth > this.nodes[at].depth) goTo(at + 1); },
      Enter: () => this.show(key),
      ' ': () => this.show(key),
      F2: () => this.rename(key),
      c: () => this.act({ do: 'compare', key }),
      Delete: () => this.act({ do: 'prune', key }),
    };
    if (!deeds[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    deeds[event.key]();
  }

  parentOf(at) {
    for (let k = at - 1; k >= 0; k -= 1) if (this.nodes[k].depth < this.nodes[at].depth) return k;
    return at;
  }

  rename(key) {
    const { root, title } = this.rows.get(key);
    const node = this.nodes.find((one) => one.key === key);
    if (root.querySelector('input')) return;
    const box = h('input', 'name');
    box.value = node.named;
    box.maxLength = 60;
    box.placeholder = node.title;
    box.setAttribute('aria-label', `A name for ${node.title}`);
    let over = false; // Taking the box away makes it blur.
    const end = (keep) => {
      if (over) return;
      over = true;
      const name = box.value.trim();
      const held = document.activeElement === box;
      box.remove();
      title.hidden = false;
      if (held) root.focus();
      if (keep && name !== node.named) this.act({ do: 'rename', key, name });
    };
    box.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Enter') end(true);
      if (event.key === 'Escape') { event.preventDefault(); end(false); }
    });
    box.addEventListener('blur', () => end(true));
    title.hidden = true;
    title.before(box);
    box.focus();
    box.select();
  }
}
