// Hidden states: a strip of every layer and position, the ends in words, and a table by layer.

const HIDDEN_MEASURES = {
  norm: ['norm', 'The length (L2 norm) of the state, on a logarithmic scale over all layers.'],
  own: ['norm in its layer', 'The length against the longest state of the same layer: which token a layer makes big.'],
  turn: ['turn', 'How far the next layer turns the state: 1 minus their cosine.'],
};

INSIDE.states = (root, found, ways) => {
  const kept = ways.kept;
  kept.measure ??= 'norm';
  const place = h('div');
  const show = () => {
    const strip = heat(hiddenField(found, kept.measure), kept);
    place.replaceChildren(hiddenLegend(found, kept.measure), strip.box);
    strip.draw();
  };
  const tools = h('div', 'tools-row');
  tools.append(oneOf('Colour', Object.entries(HIDDEN_MEASURES).map(([name, [words, title]]) => [name, words, title]),
    kept.measure, (name) => { kept.measure = name; show(); }));
  const ends = h('ul', 'facts');
  for (const words of [...found.said, ...found.notices]) ends.append(h('li', '', words));
  const both = h('div', found.pieces.length <= 12 ? 'beside' : '');
  both.append(place, ends);
  root.append(tools, both, hiddenTable(found));
  show();
};

// The last layer is at the top, as in a picture of the stack.
const stateOf = (found, row) => found.norms.length - 1 - row;

function hiddenField(found, measure) {
  const [low, high] = found.scale;
  const span = Math.log(high / low) || 1;
  const longest = found.norms.map((norms) => Math.max(...norms) || 1);
  return {
    label: 'Hidden states by layer and position', rows: found.labels.toReversed(), columns: found.pieces,
    first: [0, found.pieces.length - 1],
    level(row, column) {
      const layer = stateOf(found, row);
      const norm = found.norms[layer][column];
      if (measure === 'norm') return norm > 0 ? Math.log(norm / low) / span : 0;
      if (measure === 'own') return norm / longest[layer];
      const cosine = found.cosines[layer]?.[column] ?? null;
      return cosine === null ? null : 1 - cosine;
    },
    marked: (row, column) => measure === 'norm' && found.norms[stateOf(found, row)][column] > high,
    told: (row, column) => hiddenCell(found, stateOf(found, row), column),
  };
}

function hiddenCell(found, layer, position) {
  const cell = document.createDocumentFragment();
  const [, text, special] = found.pieces[position];
  const cosine = found.cosines[layer]?.[position] ?? null;
  const firsts = found.firsts[layer][position];
  cell.append(h('b', '', found.labels[layer]), ' · position ', String(position + 1), ' ', quoted(text, { special: special === 1 }),
    ' · norm ', h('b', '', threeDigits(found.norms[layer][position])));
  if (cosine !== null) cell.append(' · cosine with the next ', h('b', '', figure(cosine, 3)));
  const values = h('span', 'values', `[${firsts.map(threeDigits).join(', ')}${found.widths[layer] > firsts.length ? ', …' : ''}]`);
  cell.append(h('br'), `first ${firsts.length} of ${found.widths[layer]} values `, values);
  return cell;
}

function hiddenLegend(found, measure) {
  const [low, high] = found.scale;
  if (measure === 'norm') {
    const over = found.norms.some((norms) => norms.some((norm) => norm > high));
    return heatLegend(`norm ${threeDigits(low)}`, threeDigits(high), over ? '; a hole marks a longer one, which would hide the rest' : '');
  }
  return measure === 'own' ? heatLegend('short', 'the longest of its layer')
    : heatLegend('stays as it is', 'turned by 90° or more');
}

function hiddenTable(found) {
  const box = h('details', 'by-layer');
  box.append(h('summary', '', 'By layer, in figures'));
  const table = h('table', 'figures');
  const head = h('tr');
  for (const name of ['state', 'shape', 'mean norm', 'mean cosine with the next', 'value farthest from 0', 'where']) {
    const cell = h('th', '', name);
    cell.scope = 'col';
    head.append(cell);
  }
  const [top, body] = [h('thead'), h('tbody')];
  top.append(head);
  table.append(top, body);
  for (let layer = found.norms.length - 1; layer >= 0; layer -= 1) {
    const [norm, turn, position, dimension, value, massive] = found.table[layer];
    const line = h('tr', massive ? 'massive' : '');
    const name = h('th', '', found.labels[layer]);
    name.scope = 'row';
    const where = h('td');
    where.append(`dimension ${dimension} at position ${position + 1} `, quoted(found.pieces[position][1], { special: found.pieces[position][2] === 1 }));
    line.append(name, h('td', '', `[1, ${found.pieces.length}, ${found.widths[layer]}]`), h('td', '', threeDigits(norm)),
      h('td', '', turn === null ? '' : figure(turn, 3)), h('td', '', threeDigits(value) + (massive ? ' massive' : '')), where);
    body.append(line);
  }
  const wide = h('div', 'wide');
  wide.append(table);
  box.append(wide);
  return box;
}
