// Embeddings: one word in several sentences (a picture, a matrix, a figure for each layer), and the
// tokens of the text as the model stores them.

// Okabe and Ito's colours, which colour-blind people tell apart; a label beyond them begins again.
const SENSES = ['#0072b2', '#d55e00', '#009e73', '#b5508f', '#b8860b', '#5b7db1'];
const UNNAMED = '#7a818c';
const PICTURE = 400;

INSIDE.vectors = (root, found, ways) => {
  if (found.word) root.append(wordOf(found.word, ways.kept));
  if (found.static) root.append(staticOf(found.static, ways.kept));
};

function wordOf(word, kept) {
  const box = h('section', 'word');
  const labels = word.occurrences.map(([line]) => word.lines[line][1]);
  const names = [...new Set(labels.filter(Boolean))];
  const colours = labels.map((label) => (label ? SENSES[names.indexOf(label) % SENSES.length] : UNNAMED));
  const view = { word, labels, names, colours };
  const facts = h('ul', 'facts');
  for (const words of word.said) facts.append(h('li', '', words));
  const chosen = h('div', 'chosen');
  const spot = (place) => {
    for (const one of chosen.querySelectorAll('[data-place]')) one.classList.toggle('spot', Number(one.dataset.place) === place);
  };
  const show = (layer) => {
    const plane = h('div', 'plane-and-list');
    plane.append(pictureOf(view, layer, spot), sentencesOf(view, layer, spot));
    const matrix = matrixOf(view, layer, kept);
    chosen.replaceChildren(plane, matrix.box);
    matrix.draw();
  };
  const start = Math.min(kept.layer ?? word.best, word.layers.length - 1);
  box.append(h('h3', '', 'One word, one vector for each place it stands in'), facts, layersOf(view, start, show, kept), chosen);
  return box;
}

// A bar for each layer, and the slider that walks over them.
function layersOf({ word }, start, show, kept) {
  const box = h('div', 'layers');
  const count = word.layers.length;
  const bars = h('div', 'layer-bars');
  const labelled = word.chance !== null;
  const slider = h('input');
  Object.assign(slider, { type: 'range', min: 0, max: count - 1, step: 1, value: start });
  slider.setAttribute('aria-label', 'Layer');
  const line = h('p', 'said');
  line.setAttribute('role', 'status');
  const pick = (layer) => {
    slider.value = layer;
    bars.childNodes.forEach((bar, n) => bar.classList.toggle('now', n === layer));
    const [, , shares, accuracy, within, between] = word.layers[layer];
    const parts = [h('b', '', layer ? `layer ${layer} of ${count - 1}` : 'embeddings, before the first layer')];
    if (accuracy !== null) parts.push(` · nearest neighbour right ${percent(accuracy)}`);
    if (between !== null) parts.push(` · mean cosine ${figure(within, 3)} in a sense, ${figure(between, 3)} between senses`);
    parts.push(shares[0] ? ` · the picture shows ${percent(shares[0] + shares[1])} of the variance` : ' · all vectors are the same here: nothing has read the context yet');
    line.replaceChildren(...parts);
    slider.setAttribute('aria-valuetext', line.textContent);
    show(layer);
  };
  // A reader's wish stays for the next look; without one it is the layer that separates best.
  const wish = (layer) => { kept.layer = layer; pick(layer); };
  word.layers.forEach(([, , , accuracy], layer) => {
    const bar = button('', `layer ${layer}${accuracy === null ? '' : `: ${percent(accuracy)}`}`, () => wish(layer), 'layer-bar');
    bar.tabIndex = -1;  // the slider is the way for keys
    bar.style.setProperty('--share', accuracy ?? 0.5);
    bars.append(bar);
  });
  slider.addEventListener('input', () => wish(Number(slider.value)));
  const track = h('div', 'layer-track');
  track.style.setProperty('--count', count);
  track.append(bars, slider);
  box.append(h('p', 'said', labelled ? `Nearest neighbour of the same sense, layer by layer (by chance ${percent(word.chance)})` : 'Layer'), track, line);
  if (labelled) bars.style.setProperty('--chance', word.chance);
  queueMicrotask(() => pick(start));
  return box;
}

function pictureOf({ word, labels, names, colours }, layer, spot) {
  const box = h('figure', 'picture');
  const [, points, shares] = word.layers[layer];
  const svg = document.createElementNS(SVG_NAMES, 'svg');
  svg.setAttribute('viewBox', `0 0 ${PICTURE} ${PICTURE}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `The ${points.length} vectors in two dimensions; the sentences are listed beside it.`);
  const places = placed(points);
  const draw = (tag, values, parent = svg) => {
    const element = document.createElementNS(SVG_NAMES, tag);
    for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  };
  places.forEach(({ x, y, atX, atY }, n) => {
    if (Math.hypot(x - atX, y - atY) > 3) draw('line', { class: 'away', x1: atX, y1: atY, x2: x, y2: y });
    const dot = draw('g', { 'data-place': n, class: 'dot' });
    draw('circle', { cx: x, cy: y, r: 11, fill: colours[n] }, dot);
    draw('text', { x, y: y + 4 }, dot).textContent = String(n + 1);
    const title = draw('title', {}, dot);
    title.textContent = word.lines[word.occurrences[n][0]].toReversed().filter(Boolean).join(': ');
    dot.addEventListener('pointerenter', () => spot(n));
    dot.addEventListener('pointerleave', () => spot(-1));
  });
  const key = h('figcaption', 'said');
  for (const name of names) {
    const one = h('span', 'sense', name);
    one.style.setProperty('--colour', SENSES[names.indexOf(name) % SENSES.length]);
    key.append(one);
  }
  if (labels.some((label) => !label) && names.length) key.append(h('span', 'sense', 'no label'));
  key.append(`first component ${percent(shares[0])} → right, second ${percent(shares[1])} ↑`);
  box.append(svg, key);
  return box;
}

const SVG_NAMES = 'http://www.w3.org/2000/svg';

// Points to pixels with one scale for both axes, and then apart where they would cover each other;
// `at` is where each really is.
function placed(points) {
  const edge = 22;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const middle = (some) => (Math.min(...some) + Math.max(...some)) / 2;
  const span = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)) || 1;
  const scale = (PICTURE - 2 * edge) / span;
  const found = points.map(([x, y]) => {
    const at = { atX: PICTURE / 2 + (x - middle(xs)) * scale, atY: PICTURE / 2 - (y - middle(ys)) * scale };
    return { ...at, x: at.atX, y: at.atY };
  });
  for (let round = 0; round < 60; round += 1) {
    for (let n = 0; n < found.length; n += 1) {
      for (let m = 0; m < n; m += 1) {
        const [one, other] = [found[n], found[m]];
        const apart = Math.hypot(one.x - other.x, one.y - other.y);
        if (apart >= 24) continue;
        // Of two at one place, each has a way of its own to go.
        const way = apart > 0.01 ? Math.atan2(one.y - other.y, one.x - other.x) : 2.4 * n;
        const push = (24 - apart) / 2;
        one.x += push * Math.cos(way);
        one.y += push * Math.sin(way);
        other.x -= push * Math.cos(way);
        other.y -= push * Math.sin(way);
      }
    }
    for (const one of found) {
      one.x = Math.max(13, Math.min(PICTURE - 13, one.x));
      one.y = Math.max(13, Math.min(PICTURE - 13, one.y));
    }
  }
  return found;
}

// The sentences with the numbers of the picture, and the nearest other vector of each.
function sentencesOf({ word, labels, colours }, layer, spot) {
  const list = h('ol', 'sentences');
  const [cosines] = word.layers[layer];
  const count = word.occurrences.length;
  word.occurrences.forEach(([line, start, end, pieces], n) => {
    const item = h('li');
    item.dataset.place = n;
    const [text] = word.lines[line];
    const number = h('b', 'number', String(n + 1));
    number.style.background = colours[n];
    const words = h('span', 'text');
    // What the browser counts are UTF-16 units; the places are of characters.
    const chars = Array.from(text);
    const hit = h('mark');
    writeReadable(hit, chars.slice(start, end).join(''));
    hit.title = `${pieces.length} token${pieces.length === 1 ? '' : 's'}: ${pieces.map(([, piece]) => spoken(piece)).join(' | ')}`;
    const before = writeReadable(h('span'), chars.slice(0, start).join(''));
    const after = writeReadable(h('span'), chars.slice(end).join(''));
    words.append(before, hit, after);
    let near = null;
    for (let m = 0; m < count; m += 1) {
      if (m !== n && (near === null || cosineOf(cosines, count, n, m) > cosineOf(cosines, count, n, near))) near = m;
    }
    const same = labels[n] && labels[near] ? labels[n] === labels[near] : null;
    const told = h('small', same === null ? '' : same ? 'right' : 'wrong',
      `nearest ${near + 1}${same === null ? '' : same ? ' ✓' : ' ✗'} ${figure(cosineOf(cosines, count, n, near), 3)}`);
    item.append(number, words, told);
    item.addEventListener('pointerenter', () => spot(n));
    item.addEventListener('pointerleave', () => spot(-1));
    list.append(item);
  });
  return list;
}

// From the rows of a triangle: each with each later one.
function cosineOf(cosines, count, n, m) {
  if (n === m) return 1;
  const [a, b] = n < m ? [n, m] : [m, n];
  return cosines[a * count - (a * (a + 1)) / 2 + (b - a - 1)];
}

function matrixOf({ word, labels, names }, layer, kept) {
  const [cosines] = word.layers[layer];
  const count = labels.length;
  // Those of one sense side by side, so that it shows as a block.
  const order = labels.map((_, n) => n).sort((a, b) => names.indexOf(labels[a]) - names.indexOf(labels[b]) || a - b);
  const least = Math.min(...cosines);
  const name = (n) => (labels[n] ? `${labels[n]} ${n + 1}` : String(n + 1));
  kept.word ??= {};
  const field = heat({
    label: 'Cosines between the occurrences', square: true, widest: 34, head: 64,
    rows: order.map(name), columns: order.map((n) => String(n + 1)),
    first: [0, Math.min(1, count - 1)],
    level: (row, column) => (cosineOf(cosines, count, order[row], order[column]) - least) / (1 - least || 1),
    told: (row, column) => {
      const cell = document.createDocumentFragment();
      cell.append(`${name(order[row])} and ${name(order[column])}: cosine `, h('b', '', figure(cosineOf(cosines, count, order[row], order[column]), 3)));
      return cell;
    },
  }, kept.word);
  const box = h('div');
  box.append(h('h3', '', 'Cosines between the places'), heatLegend(figure(least, 2), '1.00'), field.box);
  return { box, draw: field.draw };
}

function staticOf(found, kept) {
  const box = h('section', 'static');
  const facts = h('ul', 'facts');
  for (const words of found.said) facts.append(h('li', '', words));
  const both = h('div', 'beside');
  const cosines = found.cosines;
  const others = cosines.flatMap((row, n) => row.filter((_, m) => m !== n));
  const least = others.length ? Math.min(...others) : 0;
  const most = others.length ? Math.max(...others) : 1;
  kept.static ??= {};
  const tokens = found.tokens.map(([piece]) => piece);
  const field = heat({
    label: 'Cosines between the tokens', square: true, widest: 34, rows: tokens, columns: tokens,
    first: [0, Math.min(1, tokens.length - 1)],
    level: (row, column) => (row === column ? 1 : (cosines[row][column] - least) / (most - least || 1)),
    told: (row, column) => {
      const cell = document.createDocumentFragment();
      cell.append(quoted(tokens[row][1], { special: tokens[row][2] === 1 }), ' and ', quoted(tokens[column][1], { special: tokens[column][2] === 1 }),
        ': cosine ', h('b', '', figure(cosines[row][column], 3)));
      return cell;
    },
  }, kept.static);
  const right = h('div');
  right.append(heatLegend(`cosine ${figure(least, 2)}`, `${figure(most, 2)} (the diagonal is 1)`), field.box);
  both.append(tokensOf(found), right);
  box.append(h('h3', '', 'The tokens of the text, without context'), facts, both);
  queueMicrotask(field.draw);
  return box;
}

function tokensOf({ tokens, width }) {
  const table = h('table', 'figures tokens');
  const head = h('tr');
  for (const name of ['token', 'norm', 'first values', `values 1–${tokens[0][2].length} of ${width}`]) {
    const cell = h('th', '', name);
    cell.scope = 'col';
    head.append(cell);
  }
  const [top, body] = [h('thead'), h('tbody')];
  top.append(head);
  const largest = Math.max(...tokens.flatMap(([, , values]) => values.map(Math.abs))) || 1;
  for (const [[id, text, special], norm, values] of tokens) {
    const line = h('tr');
    const name = h('th');
    name.scope = 'row';
    name.append(quoted(text, { special: special === 1 }));
    name.title = `id ${id}`;
    const first = h('td', 'values', `[${values.slice(0, 3).map(threeDigits).join(', ')}, …]`);
    const strip = h('td');
    strip.append(barsOf(values, largest));
    line.append(name, h('td', '', threeDigits(norm)), first, strip);
    body.append(line);
  }
  table.append(top, body);
  const wide = h('div', 'wide');
  wide.append(table);
  return wide;
}

// Bars up and down from a line, all tokens with one scale.
function barsOf(values, largest) {
  const svg = document.createElementNS(SVG_NAMES, 'svg');
  svg.setAttribute('class', 'value-bars');
  svg.setAttribute('viewBox', `0 0 ${values.length} 24`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG_NAMES, 'path');
  path.setAttribute('d', values.map((value, n) => `M${n + 0.1} 12V${12 - (11.5 * value) / largest}H${n + 0.9}V12Z`).join(''));
  svg.append(path);
  return svg;
}
