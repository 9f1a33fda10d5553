// One text through two copies of a model: what each costs, what each expects, how far they are apart.

INSIDE.quantized = (root, found) => {
  const facts = h('ul', 'facts');
  for (const words of found.said) facts.append(h('li', '', words));
  root.append(costsOf(found), facts);
  if (found.sides.every(Boolean)) root.append(expectedOf(found));
};

const COSTS = [
  ['weights in memory', ({ weights }) => bytesInWords(weights), 'What the weights of this copy take.'],
  ['numbers', ({ dtype, device }) => `${dtype} · ${device}`, 'What is computed in, and where.'],
  ['one pass over the text', ({ seconds }) => `${(1000 * seconds).toFixed(seconds < 0.1 ? 1 : 0)} ms`, 'One measurement of this look, no benchmark.'],
  ['perplexity of the text', ({ perplexity }) => (perplexity === null ? '—' : threeDigits(perplexity)), 'As if each token of the text was one of so many equally likely ones.'],
];

function bytesInWords(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let place = 0;
  let value = bytes;
  while (value >= 1000 && place < units.length - 1) { value /= 1000; place += 1; }
  return `${value.toFixed(place && value < 100 ? 1 : 0)} ${units[place]}`;
}

function costsOf({ sides }) {
  const table = h('table', 'figures costs');
  const head = h('tr');
  for (const name of ['', ...sides.map((side, n) => side?.name ?? ['one copy', 'the other'][n])]) {
    const cell = h('th', '', name);
    cell.scope = 'col';
    head.append(cell);
  }
  const [top, body] = [h('thead'), h('tbody')];
  top.append(head);
  for (const [name, words, title] of COSTS) {
    const line = h('tr');
    const label = h('th', '', name);
    label.scope = 'row';
    line.title = title;
    line.append(label, ...sides.map((side) => h('td', '', side ? words(side) : '…')));
    body.append(line);
  }
  table.append(top, body);
  const wide = h('div', 'wide fit');
  wide.append(table);
  return wide;
}

function expectedOf({ pieces, first, sides, between }) {
  const box = h('section', 'expected');
  const largest = Math.max(...between.map(([forward]) => forward ?? 0), 1e-9);
  const table = h('table', 'figures expected');
  const head = h('tr');
  for (const name of ['', 'after', `${sides[0].name} expects`, `${sides[1].name} expects`, 'apart, in nats']) {
    const cell = h('th', '', name);
    cell.scope = 'col';
    head.append(cell);
  }
  const [top, body] = [h('thead'), h('tbody')];
  top.append(head);
  between.forEach(([forward, backward, shannon, agree], n) => {
    const line = h('tr', agree ? '' : 'differs');
    const [, text, special] = pieces[first + n];
    const name = h('th');
    name.scope = 'row';
    name.append(quoted(text, { special: special === 1 }));
    const bar = h('td', 'apart');
    bar.title = `KL of the other from the first ${figure(forward, 4)}, the other way ${figure(backward, 4)}, Jensen-Shannon ${figure(shannon, 4)} nats`;
    const size = h('i', 'bar');
    size.style.setProperty('--share', (forward ?? largest) / largest);
    bar.append(figure(forward, forward !== null && forward < 0.01 ? 5 : 3), size);
    line.append(h('td', 'place', String(first + n + 1)), name, topOf(sides[0].tops[n]), topOf(sides[1].tops[n]), bar);
    body.append(line);
  });
  table.append(top, body);
  const wide = h('div', 'wide');
  wide.append(table);
  box.append(h('h3', '', 'What each expects next'), said('Where the first choices differ, the line is marked. The bar is KL(first ‖ second); point at it for the other ways to measure.'), wide);
  return box;
}

function topOf(top) {
  const cell = h('td', 'top');
  for (const [, text, special, logprob] of top) {
    const one = h('span', 'likely');
    one.append(quoted(text, { special: special === 1 }), ` ${percent(probabilityOf(logprob))}`);
    cell.append(one, ' ');
  }
  return cell;
}
