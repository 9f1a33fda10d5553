// What one tokenizer or two made of a text: a lane each, in which pointing at a token marks the
// same characters in the other lane.

INSIDE.tokenizer = (root, { lanes }, ways) => {
  const { kept } = ways;
  kept.under ??= 'ids';
  kept.open ??= new Set();
  const made = lanes.map((lane) => tokenizerLane(lane, ways));
  const columns = h('div', 'tz-lanes');
  columns.append(...made.map((one) => one.root));
  const under = oneOf('Under each piece', [
    ['ids', 'its id'], ['bytes', 'its bytes', 'In hexadecimal, as the tokenizer has them'],
    ['span', 'its characters', 'The first and the last character of the text that it stands for'],
  ], kept.under, (name) => {
    kept.under = columns.dataset.under = name;
  });
  columns.dataset.under = kept.under;
  const tools = h('div', 'tools-row');
  tools.append(under);
  if (lanes.length > 1 && lanes.every(({ text }) => text?.tokens)) tools.append(compared(lanes));
  root.append(tools, columns);
  made.forEach((one, place) => one.listen((token) => {
    made.forEach((other, at) => { if (at !== place) other.mark(token); });
  }));
};

const NUMBER = new Intl.NumberFormat('en-US');
const counted = (count, word) => `${NUMBER.format(count)} ${word}${count === 1 ? '' : 's'}`;

// Which tokenizer needs fewer tokens for the same text, or that both give the same ids.
function compared([first, second]) {
  const [a, b] = [first.text, second.text];
  const same = a.count === b.count && a.tokens.every(([id], n) => id === b.tokens[n][0]);
  const [less, more] = a.count <= b.count ? [first, second] : [second, first];
  return h('p', 'said', same ? 'Both give the same ids.'
    : a.count === b.count ? `Both need ${counted(a.count, 'token')}, and not the same.`
      : `${less.label} needs ${counted(more.text.count - less.text.count, 'token')} fewer.`);
}

function tokenizerLane(lane, ways) {
  const root = h('section', 'tz-lane');
  root.setAttribute('aria-label', `Tokenizer of ${lane.label}`);
  const { facts, text, batch, back } = lane;
  const head = h('h3', '', lane.label);
  const kind = facts.open ? `${facts.model}, ${counted(facts.size, 'token')}` : counted(facts.size, 'token');
  head.append(h('small', '', kind));
  root.append(head);
  const listens = [];
  const marks = [];
  const show = (taken, title) => {
    const strip = tokenStrip(taken, lane, ways, title);
    root.append(...strip.parts);
    return strip;
  };
  if (typeof text === 'string') root.append(h('p', 'problem', text));
  else if (text) {
    const strip = show(text, 'Tokens');
    listens.push(strip.listen);
    marks.push(strip.mark);
    root.append(...remarks(text, facts));
    if (text.steps.length) root.append(folded('steps', 'How the text was cut', ways, () => stepsOf(text)));
  }
  root.append(folded('facts', 'This tokenizer', ways, () => factsOf(facts)));
  if (typeof back === 'string') root.append(h('h4', '', 'Ids back to text'), h('p', 'problem', back));
  else if (back) {
    root.append(h('h4', '', 'Ids back to text'));
    const whole = h('p', 'tz-decoded');
    whole.append(quoted(back.text));
    root.append(whole);
    show(back, 'Tokens of the ids');
  }
  if (typeof batch === 'string') root.append(h('h4', '', 'A batch of two'), h('p', 'problem', batch));
  else if (batch) root.append(h('h4', '', 'A batch of two'), ...batchOf(batch));
  return {
    root,
    listen: (told) => listens.forEach((listen) => listen(told)),
    mark: (token) => marks.forEach((mark) => mark(token)),
  };
}

// The figures, the tokens, and the line that tells of the one under the pointer.
function tokenStrip(taken, lane, ways, title) {
  const { tokens } = taken;
  const figures = h('p', 'tz-figures');
  figures.append(h('b', '', counted(taken.count, 'token')));
  const said = taken.per
    ? ` · ${taken.per[0]} characters a token · ${taken.per[1]} bytes a token` : '';
  figures.append(`${said} · ${counted(taken.characters, 'character')} · ${counted(taken.bytes, 'byte')}`);
  const strip = h('div', 'tz-strip');
  strip.setAttribute('role', 'group');
  strip.setAttribute('aria-label', `${title}; arrows move, Enter opens one in the vocabulary`);
  const chips = tokens.map((token, place) => chipOf(token, place));
  for (const [place, chip] of chips.entries()) {
    strip.append(chip);
    if (tokens[place][1].includes('\n')) strip.append(h('i', 'tz-break'));
  }
  if (taken.count > tokens.length) {
    strip.append(h('span', 'said', `… and ${NUMBER.format(taken.count - tokens.length)} more`));
  }
  const detail = h('p', 'said tz-detail', 'Point at a token to see its bytes and characters; a click opens it in the vocabulary.');
  let told = () => {};
  const point = (chip) => {
    const place = chip ? Number(chip.dataset.i) : -1;
    for (const one of chips) one.classList.toggle('on', one === chip);
    if (chip) detail.replaceChildren(...detailOf(tokens[place], place, taken));
    told(chip ? tokens[place] : null);
  };
  const chipAt = (event) => event.target.closest('.tz-token');
  strip.addEventListener('pointerover', (event) => { if (chipAt(event)) point(chipAt(event)); });
  strip.addEventListener('pointerleave', () => point(null));
  strip.addEventListener('focusin', (event) => { if (chipAt(event)) point(chipAt(event)); });
  strip.addEventListener('focusout', () => point(null));
  strip.addEventListener('click', (event) => {
    const chip = chipAt(event);
    if (chip) ways.tell({ value: `${tokens[chip.dataset.i][0]} ${lane.model}`, model: lane.model });
  });
  roving(strip, chips);
  return {
    parts: [figures, strip, detail],
    listen: (wanted) => { told = wanted; },
    mark: (token) => chips.forEach((chip, place) => {
      chip.classList.toggle('linked', token !== null && overlaps(tokens[place], token));
    }),
  };
}

// Whether two tokens hold the same characters, or bytes of them.
function overlaps([, , , start, end], [, , , from, to]) {
  return start >= 0 && from >= 0 && start < to && from < end;
}

function chipOf([id, piece, special, start, end], place) {
  const chip = h('button', 'tz-token');
  chip.type = 'button';
  chip.dataset.i = place;
  chip.tabIndex = place === 0 ? 0 : -1;
  chip.setAttribute('aria-label', `${spoken(piece)}, id ${id}`);
  const bytes = special ? ['—'] : bytesOf(piece);
  chip.append(
    writeToken(h('bdi', 'tz-piece'), piece, { special: special === 1 }),
    h('small', 'ids', String(id)),
    h('small', 'bytes', bytes.length > 6 ? `${bytes.slice(0, 6).join(' ')} …` : bytes.join(' ')),
    h('small', 'span', end > start ? spanOf(start, end) : '—'),
  );
  return chip;
}

const spanOf = (start, end) => (end - start > 1 ? `${start}–${end - 1}` : String(start));

function detailOf([id, piece, special, start, end], place, { tokens }) {
  const told = h('span', '', `Token ${place + 1} · id ${id} · `);
  const bytes = special ? [] : bytesOf(piece);
  const shared = end > start && !special && tokens.some((other, n) => n !== place && overlaps(other, tokens[place]));
  const rest = [
    special ? 'a special token' : `${counted(bytes.length, 'byte')}: ${bytes.slice(0, 40).join(' ')}`,
    start < 0 ? 'this tokenizer does not tell its characters'
      : end > start ? `character${end - start > 1 ? 's' : ''} ${spanOf(start, end)}${shared ? ', shared with a neighbour' : ''}`
        : 'put there by the tokenizer',
  ];
  return [told, quoted(piece, { special: special === 1 }), h('span', '', ` · ${rest.join(' · ')}`)];
}

// One tab stop for all; the arrows move within.
function roving(group, items) {
  group.addEventListener('keydown', (event) => {
    const turn = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = items.indexOf(document.activeElement);
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? items.length - 1 : turn ? at + turn : -1;
    if (at < 0 || !items[to]) return;
    event.preventDefault();
    items[at].tabIndex = -1;
    items[to].tabIndex = 0;
    items[to].focus();
  });
}

// What a reader should know of the tokens: control tokens, and whether decoding gives the text again.
function remarks(taken, { open }) {
  const lines = [];
  const inside = taken.tokens.filter(([, , special, start, end]) => special && end > start);
  if (inside.length) {
    const names = [...new Set(inside.map(([, piece]) => piece))].slice(0, 5);
    const one = names.length === 1;
    lines.push(said('Control tokens in a text are read as such here: ', ...names.flatMap((name) => [quoted(name, { special: true }), ' ']), `${one ? 'is one token' : 'are one token each'}. In a chat the same characters of a message are plain text.`));
  }
  if (taken.around) lines.push(said(`The tokenizer puts ${counted(taken.around, 'special token')} around every text.`));
  if (taken.decoded) {
    lines.push(said('Decoding the ids gives another text: ', quoted(taken.decoded.length > 200 ? `${taken.decoded.slice(0, 200)}…` : taken.decoded)));
  } else lines.push(said('Decoding the ids gives exactly this text again.'));
  if (!open) lines.push(said('This tokenizer is written in Python and does not tell its normalizer or its pre-tokenizer.'));
  return lines;
}

// Folded away until it is asked for, and then open until it is closed, whatever is typed.
function folded(name, title, { kept }, fill) {
  const box = h('details', 'tz-more');
  box.append(h('summary', '', title));
  let filled = false;
  const open = () => {
    if (box.open && !filled) { filled = true; box.append(...fill()); }
  };
  box.open = kept.open.has(name);
  open();
  box.addEventListener('toggle', () => {
    kept.open[box.open ? 'add' : 'delete'](name);
    open();
  });
  return box;
}

function stepsOf({ steps, stepped, characters }) {
  const list = h('ol', 'tz-steps');
  for (const [stage, name, settings, about, texts] of steps) {
    const item = h('li');
    const line = h('p');
    line.append(h('b', '', name), h('span', 'said', ` ${stage}${about ? ': ' + about : ''}`));
    if (settings) line.append(h('code', 'tz-settings', settings));
    const parts = h('div', 'tz-words');
    for (const text of texts.slice(0, 400)) parts.append(quoted(text));
    if (texts.length > 400) parts.append(h('span', 'said', `… and ${texts.length - 400} more`));
    item.append(line, parts);
    list.append(item);
  }
  const note = stepped < characters ? [said(`Shown for the first ${NUMBER.format(stepped)} characters.`)] : [];
  return [list, ...note, said('Then each of these parts is turned into tokens by itself: no token crosses a cut.')];
}

function factsOf(facts) {
  const list = h('dl', 'tz-facts');
  const row = (term, ...parts) => {
    const value = h('dd');
    value.append(...parts);
    list.append(h('dt', '', term), value);
  };
  row('Class', facts.kind);
  if (facts.open) row('Model', facts.model, h('span', 'said', facts.about ? ` ${facts.about}` : ''));
  row('Vocabulary', `${counted(facts.size, 'token')}, ${NUMBER.format(facts.added)} of them added: looked for in the text before anything else`);
  const specials = facts.specials.flatMap(([name, id, piece]) => [
    h('span', 'tz-special', name), quoted(piece, { special: true }), h('span', 'said', ` ${id}  `)]);
  row('Special', ...(specials.length ? [...specials, h('span', 'said', 'Written in the text, each is read as the one token that it is.')] : ['none has a name']));
  for (const [name, settings, about] of facts.decoder) {
    row('Decoder', h('b', '', name), h('span', 'said', ` ${[about, settings].filter(Boolean).join('; ')}`));
  }
  return [list];
}

// The grid that the engine would read: a row of pieces, one of the mask, one of positions, for each.
function batchOf({ rows, together, side, pad }) {
  const table = h('table', 'tz-batch');
  const name = pad ? pad[1] : 'padding';
  rows.forEach((row, number) => {
    const padding = row.mask.length - row.pieces.length;
    const lines = [
      [`text ${number + 1}`, (n) => (n < padding ? h('span', 'tz-pad', name)
        : writeToken(h('bdi', 'tz-piece'), row.pieces[n - padding][1], { special: row.pieces[n - padding][2] === 1 }))],
      ['id', (n) => (n < padding ? (pad ? String(pad[0]) : '·') : String(row.pieces[n - padding][0]))],
      ['attention mask', (n) => String(row.mask[n])],
      ['position id', (n) => String(row.positions[n])],
    ];
    const body = h('tbody');
    for (const [title, cell] of lines) {
      const line = h('tr');
      const head = h('th', '', title);
      head.scope = 'row';
      line.append(head);
      row.mask.forEach((mask, n) => {
        const one = h('td', mask ? '' : 'padded');
        one.append(cell(n));
        line.append(one);
      });
      body.append(line);
    }
    table.append(body);
  });
  const wide = h('div', 'wide');
  wide.tabIndex = 0;
  wide.append(table);
  const notes = [
    'Padding stands on the left, so that both texts end in the same column: that is where the next token is predicted. A mask of 0 hides it, and positions count from the text’s own first token.',
    together ? '' : 'The engine reads this model’s texts one at a time and so never pads them.',
    side === 'left' ? '' : `By itself this tokenizer pads on the ${side}; the engine does not ask it to.`,
  ];
  return [wide, ...notes.filter(Boolean).map((words) => said(words))];
}
