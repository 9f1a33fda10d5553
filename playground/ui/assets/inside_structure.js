// The tree of a model's modules, walked by keys; the way of a text through it; what a head adds.

INSIDE.structure = (root, found, ways) => {
  root.append(...new Structure(found, ways.kept).parts());
};

const grouped = (n) => n.toLocaleString('en-US');
const shapeOf = (shape) => `[${shape.join(', ')}]`;

function sizeOf(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`;
}

class Structure {
  constructor(found, kept) {
    this.found = found;
    this.kept = kept;
    this.rows = [];
    this.index(found.tree, '', null, 1);
    const shown = new Set(this.rows.map((row) => row.path));
    // What a reader opened stays open for the next text, and for the next model where it has it.
    kept.open ??= new Set(this.rows.filter((row) => this.atFirst(row)).map((row) => row.path));
    kept.chosen = shown.has(kept.chosen) ? kept.chosen : '';
    kept.wanted ??= '';
  }

  get wanted() {
    return this.kept.wanted;
  }

  index(node, path, above, level) {
    const row = { node, path, above, level, inner: [] };
    this.rows.push(row);
    above?.inner.push(row);
    for (const part of node.parts) {
      const first = part.count > 1 ? part.name.split('-')[0] : part.name;
      this.index(part, path ? `${path}.${first}` : first, row, level + 1);
    }
  }

  atFirst({ node }) {
    return ['whole', 'base', 'trunk', 'layers'].includes(node.role);
  }

  parts() {
    const { tree, notices, bare } = this.found;
    const parts = [this.totals(tree), ...notices.map((words) => said(words)), this.way(), this.tools()];
    const both = h('div', 'tree-and-part');
    this.tree = h('div', 'tree wide');
    this.tree.setAttribute('role', 'tree');
    this.tree.setAttribute('aria-label', 'Modules of the model');
    this.tree.addEventListener('keydown', (event) => this.key(event));
    this.part = h('section', 'part');
    this.part.setAttribute('aria-live', 'polite');
    both.append(this.tree, this.part);
    parts.push(both);
    if (bare) parts.push(headAdds(bare, this.found));
    this.draw();
    return parts.filter(Boolean);
  }

  totals(tree) {
    const line = h('p', 'verdict');
    const weights = this.rows.flatMap(({ node }) => node.weights.filter((w) => !w.buffer));
    const each = (name) => [...new Set(weights.map((w) => w[name]))].join(', ');
    line.append(h('b', '', tree.kind),
      `: ${grouped(tree.parameters)} parameters, ${sizeOf(tree.bytes)}, ${each('dtype')} on ${each('device')}.`);
    return line;
  }

  // The shapes of the pass, one after another.
  way() {
    const { shapes } = this.found;
    if (!shapes) return null;
    const box = h('div', 'way');
    const title = h('h3', '', 'The way of this text ');
    const short = shapes.read < shapes.tokens
      ? `the first ${shapes.read} of its ${shapes.tokens} tokens` : `${shapes.tokens} tokens`;
    title.append(h('small', '', `measured by one real pass: [texts, ${short}, numbers of each]`));
    const list = h('ol');
    const step = (name, kind, shape, path) => {
      const item = h('li');
      const one = path === null ? h('span', 'stop') : button('', `Show ${path} in the tree`, () => this.reveal(path), 'stop');
      one.append(h('b', '', name), h('small', '', kind), h('code', '', shape));
      item.append(one);
      list.append(item);
    };
    step('token ids', 'of the text', `[1, ${shapes.read}]`, null);
    for (const [path, kind, count] of shapes.spine) {
      const name = count > 1 ? `${count} × ${kind}` : path.split('.').pop();
      step(name, count > 1 ? 'each' : kind, shapes.flows[path].gave.slice(0, 2).join(' '), path);
    }
    box.append(title, list);
    return box;
  }

  tools() {
    const row = h('div', 'tools-row');
    const find = h('input', 'find');
    find.type = 'search';
    find.placeholder = 'Find a module: q_proj, norm …';
    find.setAttribute('aria-label', 'Find a module by its name or class');
    find.value = this.wanted;
    find.addEventListener('input', () => { this.kept.wanted = find.value.trim().toLowerCase(); this.draw(); });
    this.find = find;
    find.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowDown' && event.key !== 'Enter') return;
      event.preventDefault();
      event.stopPropagation();
      this.choose((this.visible().find((one) => this.fits(one)) ?? this.rows[0]).path, true);
    });
    this.count = h('span', 'said');
    this.count.setAttribute('role', 'status');
    const all = (open) => {
      this.kept.open = new Set(this.rows.filter((one) => open || this.atFirst(one)).map((one) => one.path));
      this.draw();
    };
    const copy = button('Copy print(model)', 'The text that print(model) prints', async () => {
      const done = await copyText(this.found.printed);
      this.count.textContent = done ? 'Copied.' : 'This browser does not let the page copy.';
    });
    row.append(find, button('Open all', '', () => all(true)), button('Fold', '', () => all(false)), copy, this.count);
    return row;
  }

  fits({ node, path }) {
    return `${path} ${node.kind}`.toLowerCase().includes(this.wanted);
  }

  // The rows in sight: what is open, or while something is looked for all that leads to it.
  visible() {
    if (!this.wanted) {
      const seen = (row) => !row.above || (this.kept.open.has(row.above.path) && seen(row.above));
      return this.rows.filter(seen);
    }
    const kept = new Set();
    for (const row of this.rows.filter((one) => this.fits(one))) {
      for (let one = row; one; one = one.above) kept.add(one);
    }
    return this.rows.filter((row) => kept.has(row));
  }

  draw() {
    const rows = this.visible();
    const head = h('div', 'row head');
    head.setAttribute('aria-hidden', 'true');
    for (const [name, words] of [['name', 'module'], ['flow', 'gives'], ['parameters', 'parameters'], ['bytes', 'bytes'], ['share', 'share']]) {
      head.append(h('span', name, words));
    }
    if (!rows.some((row) => row.path === this.kept.chosen)) this.kept.chosen = rows[0]?.path ?? '';
    this.tree.replaceChildren(head, ...rows.map((row) => this.row(row)));
    if (!rows.length) this.tree.append(h('p', 'said nothing', 'No module is called so.'));
    this.count.textContent = this.wanted
      ? `${grouped(this.rows.filter((one) => this.fits(one)).length)} found` : '';
    this.tell();
  }

  isOpen(row) {
    return this.wanted ? row.inner.length > 0 : this.kept.open.has(row.path);
  }

  row(row) {
    const { node, path, level, inner } = row;
    const line = h('div', 'row');
    line.setAttribute('role', 'treeitem');
    line.setAttribute('aria-level', level);
    if (inner.length) line.setAttribute('aria-expanded', this.isOpen(row));
    const chosen = path === this.kept.chosen;
    line.setAttribute('aria-selected', chosen);
    line.tabIndex = chosen ? 0 : -1;
    line.dataset.path = path;
    const name = h('span', 'name');
    name.style.setProperty('--level', level - 1);
    const arrow = h('i', inner.length ? 'arrow' : 'arrow none', inner.length ? '▸' : '');
    name.append(arrow, h('b', '', node.name || node.kind));
    if (node.name) name.append(h('span', 'kind', node.count > 1 ? `${node.count} × ${node.kind}` : node.kind));
    if (row.above?.node.count > 1) name.append(h('em', 'each', 'in each'));
    if (this.isAlias(node)) name.append(h('em', 'alias', 'tied'));
    const flow = this.found.shapes?.flows[path];
    line.append(name, h('span', 'flow', flow ? flow.gave[0] ?? '' : ''),
      h('span', 'parameters', node.parameters ? grouped(node.parameters) : '·'),
      h('span', 'bytes', node.bytes ? sizeOf(node.bytes) : '·'), this.share(node));
    line.addEventListener('click', (event) => {
      const again = path === this.kept.chosen;
      if (inner.length && (again || event.target === arrow)) this.turn(row);
      this.choose(path, true);
    });
    return line;
  }

  share(node) {
    const whole = this.found.tree.bytes || 1;
    const cell = h('span', 'share');
    const bar = h('i', 'bar');
    bar.style.setProperty('--share', node.bytes / whole);
    cell.append(bar, h('span', '', node.bytes ? percent(node.bytes / whole) : '·'));
    return cell;
  }

  isAlias(node) {
    return node.weights.some((w) => w.same_as);
  }

  turn(row) {
    if (this.wanted || !row.inner.length) return;
    if (!this.kept.open.delete(row.path)) this.kept.open.add(row.path);
    this.draw();
  }

  reveal(path) {
    this.kept.wanted = this.find.value = '';
    for (let row = this.rows.find((one) => one.path === path)?.above; row; row = row.above) this.kept.open.add(row.path);
    this.draw();
    this.choose(path, true);
  }

  choose(path, focus = false) {
    this.kept.chosen = path;
    let line = null;
    for (const one of this.tree.querySelectorAll('[role="treeitem"]')) {
      const is = one.dataset.path === path;
      if (is) line = one;
      one.setAttribute('aria-selected', is);
      one.tabIndex = is ? 0 : -1;
    }
    this.tell();
    if (!focus) return;
    line?.focus({ preventScroll: true });
    line?.scrollIntoView({ block: 'nearest' });
  }

  // As in every tree: up and down walk, right opens, left folds or goes to what is around.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = this.visible();
    const at = rows.findIndex((row) => row.path === this.kept.chosen);
    const row = rows[at];
    if (!row) return;
    const go = (one) => { if (one) this.choose(one.path, true); };
    const open = row.inner.length > 0 && this.isOpen(row);
    switch (event.key) {
      case 'ArrowDown': go(rows[at + 1]); break;
      case 'ArrowUp': go(rows[at - 1]); break;
      case 'Home': go(rows[0]); break;
      case 'End': go(rows.at(-1)); break;
      case 'ArrowRight':
        if (open) go(row.inner.find((one) => rows.includes(one)));
        else { this.turn(row); go(row); }
        break;
      case 'ArrowLeft':
        if (open && !this.wanted) { this.turn(row); go(row); } else go(row.above);
        break;
      case 'Enter': case ' ': this.turn(row); go(row); break;
      case '*':
        for (const one of row.above?.inner ?? [row]) this.kept.open.add(one.path);
        this.draw();
        go(row);
        break;
      default: {
        if (event.key.length !== 1) return;
        const named = (one) => (one.node.name || one.node.kind).toLowerCase().startsWith(event.key.toLowerCase());
        go([...rows.slice(at + 1), ...rows.slice(0, at)].find(named));
      }
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // What is said of the chosen module.
  tell() {
    const row = this.rows.find((one) => one.path === this.kept.chosen);
    if (!row) return;
    const { node, path } = row;
    const title = h('h3', '', node.name ? path : node.kind);
    const print = h('code', 'print', `${node.count > 1 ? `${node.count} × ` : ''}${node.kind}(${node.given})`);
    this.part.replaceChildren(title, print, h('p', 'note', this.found.notes[node.note]));
    if (node.count > 1) {
      this.part.append(said(`${node.count} equal modules, ${node.name}: each ${grouped(node.parameters / node.count)} parameters, ${sizeOf(node.bytes / node.count)}. What is inside is that of the first.`));
    }
    const flow = this.flowOf(path, node);
    if (flow) this.part.append(flow);
    if (node.weights.length) this.part.append(weightsOf(node));
  }

  flowOf(path, node) {
    const { shapes } = this.found;
    if (!shapes) return null;
    const flow = shapes.flows[path];
    if (!flow) {
      const lists = ['ModuleList', 'ModuleDict'].includes(node.kind) || node.role === 'layers';
      return said(lists ? 'A list is not called itself: what is in it is.'
        : 'It was not called in this pass: it is passed by, or its weights are used directly.');
    }
    const facts = h('dl', 'facts');
    fact(facts, 'takes', flow.given.join(', ') || 'no tensor');
    fact(facts, 'gives', `${flow.gave.join(', ') || 'no tensor'} ${flow.dtype}`);
    if (flow.calls > 1) fact(facts, 'called', `${flow.calls} times in this pass`);
    for (const one of flow.heads) {
      const shared = one.shared > 1 ? `, each read by ${one.shared} query heads` : '';
      fact(facts, one.what, `${one.heads} heads × ${one.size} = ${one.heads * one.size}${shared}`);
    }
    return facts;
  }
}

function fact(list, name, value) {
  const pair = h('div');
  pair.append(h('dt', '', name), h('dd', '', value));
  list.append(pair);
}

function weightsOf(node) {
  const box = h('div', 'weights');
  for (const one of node.weights) {
    const line = h('div', 'weight');
    line.append(h('b', '', one.name), h('code', '', shapeOf(one.shape)));
    const size = one.same_as ? '' : `, ${sizeOf(one.bytes)}`;
    const what = one.buffer ? 'a buffer: numbers that are not trained' : `${grouped(one.numbers)} parameters`;
    line.append(h('span', '', `${what}, ${one.dtype} on ${one.device}${size}`));
    if (one.same_as) line.append(h('em', '', `the same tensor as ${one.same_as}: counted there`));
    if (one.extra) line.append(h('span', '', `and ${sizeOf(one.extra)} of scales beside it`));
    box.append(line);
  }
  return box;
}
