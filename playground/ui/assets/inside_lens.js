// The logit lens: layer by position, what each layer would say next; a cell opens its ten likeliest.

INSIDE.lens = (root, found, ways) => {
  const table = h('table', 'lens');
  const head = h('tr');
  head.append(h('th', 'layer', 'after'));
  for (const place of found.read) head.append(headOf(found, place));
  table.append(head);
  for (let layer = found.rows.length - 1; layer >= 0; layer -= 1) {
    const line = h('tr');
    const name = h('th', 'layer', found.layers[layer] ? `layer ${found.layers[layer]}` : 'embeddings');
    name.scope = 'row';
    line.append(name, ...found.rows[layer].map(([token, probability]) => {
      const cell = h('td');
      const [, text, special] = found.tokens[token];
      cell.style.setProperty('--share', probability);
      cell.append(quoted(text, { special: special === 1 }));
      return cell;
    }));
    table.append(line);
  }
  const wide = h('div', 'wide');
  wide.append(table);
  root.append(wide);
};

function headOf(found, place) {
  const cell = h('th');
  const [, text, special] = found.tokens[place];
  cell.scope = 'col';
  cell.append(quoted(text, { special: special === 1 }));
  return cell;
}
