// The X-ray of a step as a picture: one row a processor, one column a token; it asks nobody.


const count = (n) => n.toLocaleString('en-US');
const many = (n) => `${count(n)} ${n === 1 ? 'token' : 'tokens'}`;
const nameOf = (text) => writeToken(h('bdi', 'tok'), text);

// The columns: the model's likeliest, and always what was chosen, now and in the run itself.
function columnsOf(watched, ids, most) {
  const first = watched.slice(0, most).map(([id]) => id);
  for (const id of ids) {
    if (first.includes(id) || !watched.some(([own]) => own === id)) continue;
    if (first.length >= most) first.splice(most - ids.length, 1);
    first.push(id);
  }
  return first.map((id) => watched.find(([own]) => own === id));
}

// All processors as a table of `most` tokens; `chosen` is the id that came of them.
function drawStages(stages, chosen, told, most) {
  const columns = columnsOf(stages[0].watched, [...new Set([chosen, told])], most);
  const highest = Math.max(1e-9, ...stages.flatMap(({ watched }) => (
    watched.flatMap(([, , before, after]) => [before ?? 0, after ?? 0]))));
  const table = h('div', 'stages');
  table.setAttribute('role', 'table');
  table.setAttribute('aria-label', 'What each setting did, in order');
  table.style.setProperty('--tokens', columns.length);
  const head = rowOf('head', [h('div', 'what'), ...columns.map(([id, text]) => {
    const cell = h('div', id === chosen ? 'cell name chosen' : 'cell name');
    cell.append(nameOf(text));
    cell.title = text;
    return cell;
  })], 'columnheader');
  head.firstChild.textContent = 'in the order in which they act';
  table.append(head, ...stages.map((stage, k) => stageRow(stage, k, columns, chosen, highest)));
  return table;
}

function rowOf(className, cells, kind = 'cell') {
  const row = h('div', `row ${className}`);
  row.setAttribute('role', 'row');
  cells.forEach((cell, k) => cell.setAttribute('role', k ? kind : kind === 'cell' ? 'rowheader' : kind));
  row.append(...cells);
  return row;
}

function stageRow(stage, k, columns, chosen, highest) {
  const what = h('div', 'what');
  const name = h('div', 'processor');
  name.append(h('b', '', stage.label));
  if (stage.value) name.append(' ', h('span', 'value', stage.value));
  what.append(name);
  what.title = stage.help;
  what.append(...(k === 0 ? [h('p', 'did', stage.help)] : didWhat(stage)));
  const cells = columns.map(([id]) => {
    const [, text, before, after] = stage.watched.find(([own]) => own === id) ?? [id, '', 0, 0];
    return shiftCell(text, before, after, id === chosen, highest, k === 0);
  });
  const idle = k > 0 && !stage.removed && !stage.moved && !stage.whole;
  return rowOf(idle ? 'idle' : '', [what, ...cells]);
}

// One token at one processor: before and after as two bars, what is left as a figure.
function shiftCell(text, before, after, chosen, highest, single) {
  const gone = before > 0 && after === 0;
  const absent = !before && !after;
  const cell = h('div', `cell${gone ? ' gone' : ''}${chosen ? ' chosen' : ''}`);
  const bars = h('span', 'bars');
  const bar = (className, share) => {
    const one = h('i', className);
    if (absent || (gone && className === 'after')) one.classList.add('none');
    one.style.setProperty('--share', Math.max(0, share ?? 0) / highest);
    bars.append(one);
  };
  if (!single) bar('before', before);
  bar('after', gone ? 0 : after);
  const words = h(gone ? 's' : 'span', 'share');
  const share = gone ? before : after;
  if (absent) words.append('–');
  else if (share < 0) words.append(figure(share, 2));
  else words.append(percent(share).slice(0, -2), h('span', 'unit', ' %'));
  cell.append(bars, words);
  cell.title = single ? `${text}: ${percent(after)}` : `${text}: ${percent(before)} before, ${gone ? 'removed' : percent(after)} after`;
  return cell;
}

// A processor's work in words.
function didWhat(stage) {
  const said = [];
  if (stage.removed) {
    const line = h('p', 'did');
    line.append(`removed ${many(stage.removed)} that had ${percent(stage.mass)}`);
    if (stage.gone.length) {
      line.append(': ');
      stage.gone.slice(0, 4).forEach(([, text], k) => {
        const name = h('s');
        name.append(nameOf(text));
        line.append(k ? ' ' : '', name);
      });
      if (stage.removed > 4) line.append(' …');
    }
    said.push(line);
  }
  if (stage.moved) {
    const line = h('p', 'did', `gave ${many(stage.moved)} another score`);
    const [most] = stage.most;
    const [from, to] = most ? [percent(most[2]), most[3] < 0 ? figure(most[3], 2) : percent(most[3])] : ['', ''];
    if (from !== to) line.append(', most of all ', nameOf(most[1]), ` ${from} → ${to}`);
    said.push(line);
  }
  if (!said.length && !stage.whole) said.push(h('p', 'did', 'changed nothing here'));
  return said;
}

// The choice: all tokens side by side, and where the dice fell; or the highest bar.
function drawChoice({ stages, draw, draws, forced, id, piece, final, strategy }) {
  const box = h('div', 'choice');
  const known = stages.at(-1).watched.map(([own, text, , after]) => [own, text, after ?? 0])
    .filter(([, , share]) => share > 0).sort((a, b) => b[2] - a[2]);
  const title = h('div', 'processor');
  title.append(h('b', '', draws && !forced ? 'The draw' : 'The choice'));
  box.append(title);
  const mine = known.find(([own]) => own === id) ?? [id, piece, final ?? 0];
  const low = draw ? draw[0] : known.filter((c) => c[2] > mine[2]).reduce((sum, c) => sum + c[2], 0);
  box.append(cumulative(known, mine, low, draw ? draw[2] : null));
  const words = h('p', 'did');
  if (forced) {
    words.append('Put there by you: nothing was drawn.');
  } else if (draw) {
    words.append(`The dice fell at ${draw[2].toFixed(4)}, which is where `, nameOf(mine[1]),
      ` lies: ${draw[0].toFixed(4)} to ${draw[1].toFixed(4)}.`);
  } else if (strategy === 'greedy') {
    words.append('Greedy: the highest bar wins, ', nameOf(mine[1]), '.');
  } else if (!draws) {
    words.append(`${strategy}: nothing is drawn, the best score wins: `, nameOf(mine[1]), '.');
  }
  box.append(words);
  return box;
}

// Tokens of falling probability on [0, 1), the chosen one exactly where it lies; what is not known
// by name lies in grey between.
function cumulative(known, mine, low, point) {
  const bar = h('div', 'cumulative');
  const add = (className, share, text) => {
    if (share <= 0.0005) return;
    const part = h('span', className);
    part.style.setProperty('--share', share);
    if (text !== undefined && share > 0.04) part.append(nameOf(text));
    part.title = text === undefined ? `other tokens: ${percent(share)}` : `${text}: ${percent(share)}`;
    bar.append(part);
  };
  const others = known.filter(([id]) => id !== mine[0]);
  const ahead = others.filter(([, , share]) => share >= mine[2]);
  let at = 0;
  for (const [, text, share] of ahead) {
    if (at + share > low + 1e-4) break;
    add('part', share, text);
    at += share;
  }
  add('part rest', low - at);
  at = Math.max(low, at) + mine[2];
  add('part mine', mine[2], mine[1]);
  for (const [, text, share] of others.filter((c) => !ahead.includes(c))) {
    if (at + share > 1.0001) break;
    add('part', share, text);
    at += share;
  }
  add('part rest', 1 - at);
  if (point !== null) {
    const needle = h('i', 'needle');
    needle.style.setProperty('--point', point);
    bar.append(needle);
  }
  return bar;
}
