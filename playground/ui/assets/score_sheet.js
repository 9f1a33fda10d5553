// What one scoring comes to: figures, surprise along the text, and the most surprising tokens.

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 64;

function drawSheet(root, sheet) {
  root.replaceChildren();
  if (!sheet) return;
  root.append(figuresOf(sheet), stripOf(root, sheet), surprisesOf(root, sheet));
}

function figuresOf({ figures }) {
  const list = h('dl', 'figures');
  for (const { label, shown, help } of figures) {
    const pair = h('div');
    pair.title = help;
    pair.append(h('dt', '', label), h('dd', '', shown));
    list.append(pair);
  }
  return list;
}

// Bars: the surprise of each token in bits. Line: their mean so far, whose power of two is the
// running perplexity. Both have one scale.
function stripOf(root, { bits, top, running, pieces }) {
  const box = h('div', 'strip');
  const count = bits.length;
  const y = (value) => HEIGHT - (HEIGHT - 2) * Math.min(1, (value ?? top) / top);
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${count} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  const gap = count > 200 ? 0 : 0.08;
  svg.append(
    path('bars', bits.map((b, i) => `M${i + gap} ${HEIGHT}V${y(b)}H${i + 1 - gap}V${HEIGHT}Z`)),
    path('mean', running.map((p, i) => (
      `${i ? 'L' : 'M'}${i + 0.5} ${y(p === null ? null : Math.log2(p))}`))),
  );
  const here = h('i', 'here');
  here.hidden = true;
  const chart = h('div', 'chart');
  chart.append(svg, here, h('span', 'top', `${top.toFixed(0)} bits`));
  const last = running[count - 1];
  const whole = `Running perplexity: ${short(running[0])} after the first token, ${short(last)} at the end.`;
  const said = h('p', 'said', whole);
  svg.setAttribute('aria-label', whole);
  const indexAt = (event) => {
    const at = svg.getBoundingClientRect();
    return Math.min(count - 1, Math.max(0, Math.floor((event.clientX - at.left) / at.width * count)));
  };
  chart.addEventListener('pointermove', (event) => {
    const i = indexAt(event);
    here.hidden = false;
    here.style.left = `${100 * i / count}%`;
    here.style.width = `max(2px, ${100 / count}%)`;
    said.replaceChildren(`token ${i + 1} `, quoted(pieces[i]),
      `: ${short(bits[i])} bits; running perplexity ${short(running[i])}`);
  });
  chart.addEventListener('pointerleave', () => { here.hidden = true; said.textContent = whole; });
  chart.addEventListener('click', (event) => openToken(root, indexAt(event)));
  const title = h('h3', '', 'Surprise along the text ');
  title.append(h('small', '', 'bars: bits of each token; line: their mean so far'));
  box.append(title, chart, said);
  return box;
}

function path(name, parts) {
  const element = document.createElementNS(SVG, 'path');
  element.setAttribute('class', name);
  element.setAttribute('d', parts.join(''));
  element.setAttribute('vector-effect', 'non-scaling-stroke');
  return element;
}

function surprisesOf(root, { surprises }) {
  const box = h('div', 'surprises');
  box.append(h('h3', '', 'Most surprising'));
  if (!surprises.length) {
    box.append(h('p', 'said', 'Nothing: the model gave every token at least 50 %.'));
    return box;
  }
  const list = h('ol');
  for (const one of surprises) {
    const item = h('li');
    const button = h('button');
    button.type = 'button';
    button.title = `Token ${one.place + 1}: show its candidates`;
    button.append(quoted(one.piece), ' was the ');
    if (one.expected === null) button.append(`likeliest, at only ${one.probability}`);
    else button.append(`${one.choice} choice, ${one.probability}; `, quoted(one.expected), ` was expected, ${one.instead}`);
    button.addEventListener('click', () => openToken(root, one.place));
    item.append(button);
    list.append(item);
  }
  box.append(list);
  return box;
}

// A token between words: monospace, its spaces visible.
function quoted(piece) {
  return writeToken(h('bdi', 'tok'), piece);
}

const short = (value) => (
  value === null ? '∞' : value >= 10000 ? value.toExponential(1) : value.toFixed(value < 10 ? 2 : 1));

// Opens a token in the token view of the same column, as a tap on it would.
function openToken(root, place) {
  const column = root.closest('.lane-column');
  const token = column?.querySelector(`.token-stream .body [data-i="${place}"]`);
  if (!token) return;
  token.scrollIntoView({ block: 'nearest' });
  token.click();
}
