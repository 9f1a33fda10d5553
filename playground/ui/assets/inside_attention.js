// Attention over the pieces: what the focused token looks at, as tints, arcs and figures; the whole
// as a matrix; and the heads of a layer as small pictures.

const LOOKED_AT = 8;  // tokens in the list beside the text
const MOST_NAMED = 36;  // tokens whose names stand beside the matrix
const ARC = { height: 120, gap: 14 };

INSIDE.attention = (root, found, ways) => {
  const { kept } = ways;
  const size = found.pieces.length;
  kept.as ??= 'arcs';
  if (kept.size !== size) kept.focus = size - 1;
  kept.size = size;
  const view = { root, found, ways, size, weight: attentionWeights(found, size) };
  const layout = h('div', 'attention-layout');
  const main = h('div', 'attention-main');
  view.canvas = attentionMatrix(view);
  view.arcs = h('div', 'wide attention-arcs');
  view.looked = h('section', 'attention-looked');
  main.append(attentionText(view), attentionAs(view), view.arcs, view.canvas);
  layout.append(main, h('div', 'attention-side'));
  layout.lastChild.append(view.looked, attentionHeads(view));
  root.append(attentionTools(view), layout, attentionFoot(found));
  root.dataset.as = kept.as;
  focusAttention(view, Math.min(kept.focus, size - 1), false);
};

// The weight of a row and a column, from the packed 16-bit numbers.
function attentionWeights({ weights, causal }, size) {
  const bytes = Uint8Array.from(atob(weights), (char) => char.charCodeAt(0));
  const data = new DataView(bytes.buffer);
  return (row, column) => {
    if (causal && column > row) return 0;
    const place = causal ? row * (row + 1) / 2 + column : row * size + column;
    return data.getUint16(2 * place, true) / 65535;
  };
}

const attentionToken = ({ found }, place, className) => {
  const [, text, special] = found.pieces[place];
  return writeToken(h('bdi', className ?? 'tok'), text, { special: special === 1 });
};

function attentionTools(view) {
  const { found, ways } = view;
  const tools = h('div', 'tools-row');
  const wish = (change) => {
    const { layer, head } = found;
    ways.tell({ layer, head, without_first: ways.kept.withoutFirst === true, ...change });
  };
  view.wish = wish;
  const heads = found.layer === null ? 0 : found.heads[found.layers.indexOf(found.layer)];
  tools.append(
    chooser('Layer', found.layers, found.layer, `mean of ${found.layers.length}`, (layer) => wish({ layer, head: null })),
    chooser('Head', Array.from({ length: heads }, (_, n) => n + 1), found.head, heads ? `mean of ${heads}` : 'mean of all',
      (head) => wish({ head }), heads === 0),
  );
  const mask = h('label', 'attention-mask');
  const box = h('input');
  box.type = 'checkbox';
  box.checked = ways.kept.withoutFirst === true;
  box.addEventListener('change', () => {
    ways.kept.withoutFirst = box.checked;
    wish({});
  });
  mask.append(box, ' without the first token');
  mask.title = 'Heads with nothing to look for rest on the first token (the attention sink). '
    + 'Left out, each row is made to sum to 100 % again.';
  tools.append(mask);
  return tools;
}

function chooser(label, names, now, mean, chosen, disabled = false) {
  const box = h('label', 'chooser');
  const select = h('select');
  select.append(new Option(mean, ''));
  for (const name of names) select.append(new Option(String(name), name));
  select.value = now ?? '';
  select.disabled = disabled;
  select.addEventListener('change', () => chosen(select.value === '' ? null : Number(select.value)));
  box.append(h('span', '', label), select);
  return box;
}

// The text, each token tinted by how much the focused one looks at it.
function attentionText(view) {
  const text = h('div', 'attention-text');
  text.setAttribute('role', 'listbox');
  text.setAttribute('aria-label', 'Tokens; the chosen one looks at the tinted ones');
  view.tokens = view.found.pieces.map((_, place) => {
    const token = attentionToken(view, place, 'piece');
    token.setAttribute('role', 'option');
    token.dataset.place = place;
    return token;
  });
  for (const token of view.tokens) text.append(token, h('wbr'));
  const placeOf = (event) => Number(event.target.closest('[data-place]')?.dataset.place ?? NaN);
  text.addEventListener('click', (event) => {
    const place = placeOf(event);
    if (!Number.isNaN(place)) focusAttention(view, place, true);
  });
  text.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    focusAttention(view, Math.max(0, Math.min(view.size - 1, view.ways.kept.focus + step)), true);
  });
  return text;
}

function attentionAs(view) {
  return oneOf('Show', [
    ['arcs', 'arcs', 'From the chosen token to those it looks at.'],
    ['matrix', 'matrix', 'Every token’s row: what it looks at.'],
  ], view.ways.kept.as, (name) => {
    view.ways.kept.as = view.root.dataset.as = name;
    drawAttention(view);
  });
}

function focusAttention(view, place, move) {
  view.ways.kept.focus = place;
  view.tokens.forEach((token, n) => {
    const weight = view.weight(place, n);
    token.style.setProperty('--share', Math.sqrt(weight).toFixed(3));
    token.classList.toggle('after', view.found.causal && n > place);
    token.setAttribute('aria-selected', n === place);
    token.tabIndex = n === place ? 0 : -1;
    token.title = n > place && view.found.causal ? 'Comes later: it cannot be looked at' : `position ${n + 1}: ${percent(weight)}`;
  });
  if (move) view.tokens[place].focus({ preventScroll: true });
  bringIntoSight(view.tokens[place]);
  fillLooked(view, place);
  drawAttention(view);
}

// Scrolls the box that a token stands in, and never the page.
function bringIntoSight(token) {
  const box = token.parentNode;
  const [outer, inner] = [box, token].map((one) => one.getBoundingClientRect());
  if (inner.top >= outer.top && inner.bottom <= outer.bottom) return;
  box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
}

const strongest = (view, place) => view.found.pieces
  .map((_, n) => [n, view.weight(place, n)])
  .filter(([, weight]) => weight > 0)
  .sort((a, b) => b[1] - a[1]);

function fillLooked(view, place) {
  const title = h('h3', '', '');
  title.append(attentionToken(view, place), h('small', '', `position ${place + 1}, looks at`));
  const list = h('ol', 'lens-list');
  for (const [n, weight] of strongest(view, place).slice(0, LOOKED_AT)) {
    const item = h('li');
    const name = button('', 'See what this token looks at', () => focusAttention(view, n, true), 'name');
    name.append(attentionToken(view, n));
    item.append(name, lensBar(weight), h('span', 'share', percent(weight)), h('span', 'rank', n === place ? 'itself' : `position ${n + 1}`));
    list.append(item);
  }
  view.looked.replaceChildren(title, list);
}

function drawAttention(view) {
  if (view.ways.kept.as === 'arcs') drawArcs(view);
  else drawMatrix(view);
}

// The tokens on one line, and an arc to each that the focused one looks at.
function drawArcs(view) {
  const { found, size, ways: { kept } } = view;
  const line = h('div', 'arc-line');
  const tokens = found.pieces.map((_, n) => {
    const token = attentionToken(view, n, n === kept.focus ? 'piece here' : 'piece');
    token.addEventListener('click', () => focusAttention(view, n, false));
    line.append(token);
    return token;
  });
  const box = h('div', 'arc-box');
  const left = view.arcs.scrollLeft;
  box.append(line);
  view.arcs.replaceChildren(box);
  const middle = (n) => tokens[n].offsetLeft + tokens[n].offsetWidth / 2;
  const svg = document.createElementNS(INSIDE_SVG, 'svg');
  svg.setAttribute('width', line.scrollWidth);
  svg.setAttribute('height', ARC.height);
  svg.setAttribute('aria-hidden', 'true');
  const from = middle(kept.focus);
  const furthest = Math.max(1, ...tokens.map((_, n) => (view.weight(kept.focus, n) > 0.004 ? Math.abs(middle(n) - from) : 0)));
  for (let n = 0; n < size; n += 1) {
    const weight = view.weight(kept.focus, n);
    if (weight < 0.004) continue;
    const arc = document.createElementNS(INSIDE_SVG, 'path');
    const to = middle(n);
    const rise = n === kept.focus ? 26 : 22 + (ARC.height - ARC.gap - 22) * Math.sqrt(Math.abs(to - from) / furthest);
    const top = ARC.height - 1.34 * rise;
    arc.setAttribute('d', n === kept.focus
      ? `M${from - 5} ${ARC.height}C${from - 16} ${ARC.height - rise} ${from + 16} ${ARC.height - rise} ${from + 5} ${ARC.height}`
      : `M${from} ${ARC.height}C${from} ${top} ${to} ${top} ${to} ${ARC.height}`);
    arc.style.strokeWidth = `${(0.75 + 7 * weight).toFixed(2)}px`;
    arc.style.opacity = (0.25 + 0.75 * Math.sqrt(weight)).toFixed(2);
    svg.append(arc);
  }
  box.prepend(svg);
  view.arcs.scrollLeft = kept.arcsSeen ? left : from - view.arcs.clientWidth / 2;
  kept.arcsSeen = true;
  const [at, width] = [from - view.arcs.scrollLeft, view.arcs.clientWidth];
  if (width && (at < 0 || at > width)) view.arcs.scrollLeft = from - width / 2;
}

const INSIDE_SVG = 'http://www.w3.org/2000/svg';

function attentionMatrix(view) {
  const { size } = view;
  const box = h('div', 'attention-matrix');
  const frame = h('div', 'matrix-frame');
  const canvas = h('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'A row for each token, a column for each that it looks at; the darker the more.');
  const said = h('p', 'said', 'Rows: who looks. Columns: at whom. Point at a cell to read it, click to choose its row.');
  const cell = (event) => {
    const at = canvas.getBoundingClientRect();
    const one = (value, from, length) => Math.max(0, Math.min(size - 1, Math.floor((value - from) / length * size)));
    return [one(event.clientY, at.top, at.height), one(event.clientX, at.left, at.width)];
  };
  canvas.addEventListener('pointermove', (event) => {
    const [row, column] = cell(event);
    said.replaceChildren(attentionToken(view, row), ` (position ${row + 1}) looks at `, attentionToken(view, column),
      ` (position ${column + 1}): ${percent(view.weight(row, column))}`);
  });
  canvas.addEventListener('click', (event) => focusAttention(view, cell(event)[0], false));
  frame.append(canvas);
  if (size <= MOST_NAMED) {
    for (const side of ['matrix-columns', 'matrix-rows']) {
      const names = h('div', side);
      names.setAttribute('aria-hidden', 'true');
      names.append(...view.found.pieces.map((_, n) => attentionToken(view, n, 'name')));
      frame.append(names);
    }
  }
  box.append(said, frame);
  view.matrix = canvas;
  return box;
}

function drawMatrix(view) {
  const { size, matrix, ways: { kept } } = view;
  const scale = Math.max(1, Math.floor(480 / size));
  matrix.width = matrix.height = size * scale;
  matrix.style.aspectRatio = '1';
  const context = matrix.getContext('2d');
  const colour = inkOf(matrix, '--accent');
  context.fillStyle = colour;
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const weight = view.weight(row, column);
      if (weight === 0) continue;
      context.globalAlpha = Math.sqrt(weight);
      context.fillRect(column * scale, row * scale, scale, scale);
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = inkOf(matrix, '--ink');
  context.strokeRect(0.5, kept.focus * scale + 0.5, size * scale - 1, Math.max(1, scale - 1));
}

const inkOf = (element, name) => {
  const probe = h('i');
  probe.style.color = `var(${name})`;
  element.parentElement.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
};

// Small pictures: of a layer's heads, or of the layers; a click shows that one.
function attentionHeads(view) {
  const { found } = view;
  const part = h('section', 'attention-heads');
  const { pictures } = found;
  const of = found.layer === null ? 'Layers' : `Heads of layer ${found.layer}`;
  const title = h('h3', '', of);
  title.append(h('small', '', found.layer === null ? 'each the mean of its heads; click one to see its heads' : 'click one'));
  const grid = h('div', 'mosaic');
  part.append(title, grid);
  if (!pictures) return part;
  const bytes = Uint8Array.from(atob(pictures.bytes), (char) => char.charCodeAt(0));
  requestAnimationFrame(() => {
    if (!grid.isConnected) return;
    const [red, green, blue] = inkOf(grid, '--accent').match(/[\d.]+/g).map(Number);
    pictures.names.forEach((name, n) => {
      const canvas = h('canvas');
      canvas.width = canvas.height = pictures.size;
      const image = new ImageData(pictures.size, pictures.size);
      for (let i = 0; i < pictures.size ** 2; i += 1) {
        image.data.set([red, green, blue, bytes[n * pictures.size ** 2 + i]], 4 * i);
      }
      canvas.getContext('2d').putImageData(image, 0, 0);
      const kind = found.layer === null ? 'layer' : 'head';
      const chosen = kind === 'head' && name === found.head;
      const one = button('', `${kind} ${name}: ${percent(pictures.sinks[n])} on the first token`, () => (
        view.wish(kind === 'head' ? { head: chosen ? null : name } : { layer: name, head: null })), 'thumb');
      one.setAttribute('aria-pressed', chosen);
      one.append(canvas, h('span', '', String(name)), h('small', '', percent(pictures.sinks[n])));
      grid.append(one);
    });
  });
  return part;
}

function attentionFoot(found) {
  const foot = h('div', 'foot');
  const what = found.layer === null ? 'The mean over all layers and heads' : found.head === null
    ? `The mean over the heads of layer ${found.layer}` : `Head ${found.head} of layer ${found.layer}`;
  foot.append(...found.notices.map((words) => said(words)));
  foot.append(said(`${what} gives ${percent(found.sink)} to the first token, on the mean of the tokens behind it `
    + '(the share under each picture). Colours show the square root, so that small weights are seen. '
    + (found.causal ? 'A token sees itself and what is before it.' : 'Each token sees all others.')));
  return foot;
}
