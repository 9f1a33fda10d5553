// The logit lens: layer by position, what each layer would say next. A cell opens its ten likeliest,
// and a token is watched through all of them.

const LENS_MEASURES = [
  ['probability', 'probability', 'How sure each layer is of what it would say.'],
  ['entropy', 'entropy', 'How open the choice is there, in nats: strong is wide open.'],
  ['watched', 'watched token', 'The watched token: its rank in each cell, the colour its probability.'],
];

INSIDE.lens = (root, found, ways) => {
  const { kept } = ways;
  kept.measure ??= 'probability';
  const view = { root, found, ways, cell: lensCell(found, kept) };
  const wide = h('div', 'wide lens-grid');
  wide.append(lensTable(view));
  const side = h('div', 'lens-side');
  view.side = side;
  const layout = h('div', 'lens-layout');
  layout.append(wide, side);
  root.append(lensTools(view), lensVerdict(view), layout, lensFoot(found));
  root.dataset.measure = kept.measure;
  fillLensSide(view);
  // A window is shown from its end, where the model goes on; then from where its reader left it.
  if (kept.first !== found.first || kept.count !== found.count) kept.scrolled = null;
  Object.assign(kept, { first: found.first, count: found.count });
  wide.scrollLeft = kept.scrolled?.left ?? wide.scrollWidth;
  wide.scrollTop = kept.scrolled?.top ?? 0;
  wide.addEventListener('scroll', () => {
    const atEnd = wide.scrollLeft + wide.clientWidth >= wide.scrollWidth - 4;
    kept.scrolled = { left: atEnd ? null : wide.scrollLeft, top: wide.scrollTop };
  }, { passive: true });
  if (kept.focused) lensElement(view)?.focus({ preventScroll: true });
};

// The cell that is open: the one chosen last where it is still in sight, else the last of all.
function lensCell(found, kept) {
  const row = found.layers.indexOf(kept.layer);
  const column = (kept.position ?? -1) - found.first;
  const inside = row >= 0 && column >= 0 && column < found.read.length;
  return inside ? { row, column } : { row: found.rows.length - 1, column: found.read.length - 1 };
}

const lensToken = (found, place, className = 'tok') => {
  const [, text, special] = found.tokens[place];
  return writeToken(h('bdi', className), text, { special: special === 1 });
};

const layerName = (found, row) => (found.layers[row] ? `layer ${found.layers[row]}` : 'embeddings');

function lensTools(view) {
  const { found, ways } = view;
  const tools = h('div', 'tools-row');
  tools.append(oneOf('Colour', LENS_MEASURES, ways.kept.measure, (name) => {
    ways.kept.measure = view.root.dataset.measure = name;
    for (const cell of view.root.querySelectorAll('.lens td')) paintLensCell(view, cell);
  }));
  const width = found.read.length;
  const last = found.first + width;
  const places = h('span', 'lens-places');
  if (found.count > found.read.length) {
    const go = (words, title, first) => {
      const made = button(words, title, () => {
        const { layer = found.layers.at(-1) } = ways.kept;
        Object.assign(ways.kept, { layer, position: Math.min(first + width, found.count) - 1 });
        ways.tell({ first, layer, position: ways.kept.position });
      });
      made.disabled = first === null;
      return made;
    };
    places.append(
      go('‹ earlier', 'The positions before these', found.first ? Math.max(0, found.first - width) : null),
      h('span', '', `positions ${found.first + 1}–${last} of ${found.count}`),
      go('later ›', 'The positions behind these', last < found.count ? last : null),
    );
    tools.append(places);
  }
  return tools;
}

function lensTable(view) {
  const { found } = view;
  const table = h('table', 'lens');
  table.setAttribute('role', 'grid');
  table.setAttribute('aria-label', 'What each layer would say next, by position');
  const head = h('tr');
  const corner = h('th', 'layer', 'read');
  corner.title = 'The token that the model has just read';
  head.append(corner);
  found.read.forEach((place, column) => {
    const cell = h('th');
    cell.scope = 'col';
    cell.title = `Position ${found.first + column + 1}`;
    cell.append(lensToken(found, place, ''));
    head.append(cell);
  });
  const thead = h('thead');
  thead.append(head);
  const body = h('tbody');
  for (let row = found.rows.length - 1; row >= 0; row -= 1) {
    const line = h('tr');
    const name = h('th', 'layer', layerName(found, row));
    name.scope = 'row';
    line.append(name);
    found.rows[row].forEach((_, column) => line.append(lensCellElement(view, row, column)));
    body.append(line);
  }
  table.append(thead, body);
  table.addEventListener('click', (event) => openLensCell(view, event.target.closest('td')));
  table.addEventListener('keydown', (event) => moveInLens(view, event));
  table.addEventListener('focusin', () => { view.ways.kept.focused = true; });
  table.addEventListener('focusout', (event) => {
    if (event.relatedTarget) view.ways.kept.focused = false;
  });
  return table;
}

function lensCellElement(view, row, column) {
  const { found } = view;
  const [token, probability] = found.rows[row][column];
  const cell = h('td');
  // An encoder guesses what stands at the place, any other model what comes after it.
  const behind = column + 1 < found.read.length ? found.read[column + 1] : found.next;
  const next = found.masked ? found.read[column] : behind;
  if (next === token) cell.classList.add('right');
  cell.dataset.row = row;
  cell.dataset.column = column;
  const open = row === view.cell.row && column === view.cell.column;
  cell.tabIndex = open ? 0 : -1;
  cell.setAttribute('aria-selected', open);
  cell.setAttribute('aria-label', `${layerName(found, row)}, position ${found.first + column + 1}: `
    + `${spoken(found.tokens[token][1])}, ${percent(probability)}`);
  cell.append(lensToken(found, token, 'top'), h('span', 'rank'));
  paintLensCell(view, cell);
  return cell;
}

function paintLensCell({ found, ways }, cell) {
  const [, probability, entropy, watched, rank] = found.rows[cell.dataset.row][cell.dataset.column];
  const share = { probability, entropy: Math.min(1, (entropy ?? 0) / 7), watched }[ways.kept.measure];
  cell.style.setProperty('--share', (share ?? 0).toFixed(3));
  cell.lastChild.textContent = rank > 9999 ? `${Math.round(rank / 1000)}k` : rank;
  cell.title = `${percent(probability)}, entropy ${figure(entropy, 2)} nats; watched token ${percent(watched)}, rank ${rank}`;
}

const lensElement = ({ root, cell: { row, column } }) => (
  root.querySelector(`td[data-row="${row}"][data-column="${column}"]`));

function openLensCell(view, element) {
  if (!element) return;
  const { found, ways } = view;
  const before = lensElement(view);
  before.tabIndex = -1;
  before.setAttribute('aria-selected', false);
  view.cell = { row: Number(element.dataset.row), column: Number(element.dataset.column) };
  element.tabIndex = 0;
  element.setAttribute('aria-selected', true);
  ways.kept.layer = found.layers[view.cell.row];
  ways.kept.position = found.first + view.cell.column;
  view.root.querySelector('.verdict').replaceWith(lensVerdict(view));
  fillLensSide(view);
  ways.tell({ layer: ways.kept.layer, position: ways.kept.position });
}

function moveInLens(view, event) {
  const at = event.target.closest('td');
  const step = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0],
  }[event.key];
  if (!at) return;
  if (step) {
    const [row, column] = [Number(at.dataset.row) + step[0], Number(at.dataset.column) + step[1]];
    const next = view.root.querySelector(`td[data-row="${row}"][data-column="${column}"]`);
    if (!next) return;
    at.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  } else if (event.key === 'Enter' || event.key === ' ') {
    openLensCell(view, at);
  } else {
    return;
  }
  event.preventDefault();
}

// When the watched token came first, in a sentence, at the position that is open.
function lensVerdict(view) {
  const { found, cell: { column } } = view;
  const line = h('p', 'verdict');
  const came = found.came[column];
  const ranks = found.rows.map((row) => row[column][4]);
  const last = found.layers.at(-1);
  const place = found.first + column + 1;
  const after = place === found.count ? 'at the last position, after ' : `at position ${place}, after `;
  const masked = place === found.count ? 'at the last position, where there stands '
    : `at position ${place}, where there stands `;
  line.append(lensToken(found, found.watched));
  if (came === null) {
    const best = Math.min(...ranks);
    const places = ranks.flatMap((rank, row) => (rank === best ? [layerName(found, row)] : []));
    line.append(best === 1 ? ` is first after ${places.join(', ')}, but not at the end: rank ${ranks.at(-1)} there, `
      : best === ranks.at(-1) ? ` is never first: its best rank is ${best}, at the end, `
        : ` is never first: its best rank is ${best}, after ${places[0]}, and ${ranks.at(-1)} at the end, `);
  } else if (found.layers[came] === 0) {
    line.append(' is first from the embeddings on, ');
  } else if (found.layers[came] === last) {
    line.append(` comes first only in the last layer, ${last}, `);
  } else {
    line.append(` is first from layer ${found.layers[came]} of ${last} on, `);
  }
  line.append(found.masked ? masked : after, lensToken(found, found.read[column]), '.');
  return line;
}

function fillLensSide(view) {
  const { found, side, cell: { row, column } } = view;
  const position = found.first + column;
  const watched = h('section');
  const title = h('h3', '', 'Watched: ');
  title.append(lensToken(found, found.watched), h('small', '', `by layer, at position ${position + 1}`));
  const list = h('ol', 'lens-list');
  for (let n = found.rows.length - 1; n >= 0; n -= 1) {
    const [, , , share, rank] = found.rows[n][column];
    const item = h('li', n === row ? 'here' : '');
    item.append(h('span', 'name', layerName(found, n)), lensBar(share), h('span', 'share', percent(share)),
      h('span', 'rank', `rank ${rank}`));
    list.append(item);
  }
  watched.append(title, list);
  side.replaceChildren(watched, lensTop(view, position));
}

function lensTop({ found, ways, cell: { row } }, position) {
  const part = h('section', 'lens-top');
  const title = h('h3', '', 'Ten likeliest');
  title.append(h('small', '', `${layerName(found, row)}, position ${position + 1}`));
  const list = h('ol', 'lens-list');
  const { top } = found;
  if (top && top.layer === found.layers[row] && top.position === position) {
    for (const [id, text, special, share] of top.rows) {
      const item = h('li');
      const name = button('', 'Watch this token', () => ways.tell({ watch: id, text }), 'name');
      name.append(quoted(text, { special: special === 1 }));
      if (id === found.tokens[found.watched][0]) item.classList.add('here');
      item.append(name, lensBar(share), h('span', 'share', percent(share)));
      list.append(item);
    }
  }
  part.append(title, list, said('A click on a token watches it.'));
  return part;
}

function lensBar(share) {
  const track = h('span', 'track');
  const bar = h('i', 'bar');
  bar.style.setProperty('--share', share ?? 0);
  track.append(bar);
  return track;
}

function lensFoot(found) {
  const foot = h('div', 'foot');
  foot.append(...found.notices.map((words) => said(words)));
  const end = found.end ? `${found.end}, then the head` : 'the head alone, as no norm stands before it';
  foot.append(said(
    `Each layer’s state is put through the model’s own end: ${end}. The last layer is what the model says. `
    + (found.masked ? 'An encoder guesses the token of each place itself; a line under it: that stands there.'
      : 'A line under a token: the text really goes on so.'),
  ));
  return foot;
}
