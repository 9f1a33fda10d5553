// After the reveal: who won, how sure that is, what may have decided, and every match by name.

function drawResults(root, value, doors) {
  const head = h('div', 'head');
  const words = h('h2', '', 'Revealed');
  words.setAttribute('role', 'status');
  const said = h('span', 'said');
  said.setAttribute('role', 'status');
  head.append(words, said);
  for (const [form, label] of [['json', 'Save as JSON'], ['csv', 'Save as CSV']]) {
    head.append(button('small', label, async () => {
      const { text } = await doors.file({ key: value.key, form });
      said.textContent = text ? '' : 'These votes are no longer kept.';
      if (text) save(text, `blind.${form}`, form === 'json' ? 'application/json' : 'text/csv');
    }));
  }
  head.append(button('small main', 'New comparison', () => doors.act({ do: 'new' })));
  const says = h('ul', 'says');
  for (const sentence of value.says) says.append(h('li', '', sentence));
  root.append(head, says, tableOf(value), h('p', 'note', value.about));
  if (value.strengths) root.append(h('p', 'note', value.strengths));
  else root.append(h('p', 'note', 'Strength: Bradley-Terry, in Elo points around 0; 400 points are odds of 10 to 1.'));
  root.append(matchesOf(value));
}

function save(text, name, type) {
  const link = h('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function tableOf({ rows, strengths }) {
  const scroll = h('div', 'scroll');
  const table = h('table', 'standings');
  table.append(h('caption', 'unseen', 'Contestants by their win rate'));
  const titles = ['Contestant', 'Win rate', '95 % interval', 'Wins', 'Losses', 'Ties', 'Both bad'];
  if (!strengths) titles.push('Strength');
  const line = h('tr');
  for (const title of titles) {
    const cell = h('th', '', title);
    cell.scope = 'col';
    line.append(cell);
  }
  const thead = h('thead');
  thead.append(line);
  const body = h('tbody');
  for (const row of rows) {
    const made = h('tr');
    const name = h('th', 'name', row.name);
    name.scope = 'row';
    const interval = h('td', 'interval');
    interval.append(barOf(row), h('span', '', row.interval));
    made.append(name, h('td', 'rate', row.shown), interval,
      ...[row.wins, row.losses, row.ties, row.both_bad].map((n) => h('td', '', String(n))));
    if (!strengths) {
      const cell = h('td', '', `${row.strength} `);
      cell.append(h('small', '', `(${row.strength_interval})`));
      made.append(cell);
    }
    body.append(made);
  }
  table.append(thead, body);
  scroll.append(table);
  return scroll;
}

// The interval as a stretch of 0 to 100 %, the rate as a mark in it, one half as a line.
function barOf({ rate, low, high }) {
  const bar = h('i', 'bar');
  bar.setAttribute('aria-hidden', 'true');
  const half = h('i', 'half');
  bar.append(half);
  if (rate === null) return bar;
  const reach = h('i', 'reach');
  reach.style.left = `${100 * low}%`;
  reach.style.width = `${100 * (high - low)}%`;
  const mark = h('i', 'mark');
  mark.style.left = `${100 * rate}%`;
  bar.append(reach, mark);
  return bar;
}

const CHOSEN = { tie: 'tie', 'both bad': 'both bad', skip: 'skipped', '': 'no vote' };

function matchesOf({ matches }) {
  const box = h('section', 'matches');
  box.append(h('h3', '', 'Every match'));
  const list = h('ol');
  for (const one of matches) {
    const item = h('li');
    const top = h('div', 'top');
    top.append(h('span', 'prompt', one.asked));
    if (one.vote in CHOSEN) top.append(h('span', 'vote', CHOSEN[one.vote]));
    const pair = h('div', 'pair');
    for (const [place, side] of ['left', 'right'].entries()) {
      const half = h('div', one.vote === side ? 'half chosen' : 'half');
      const name = h('b', '', one[side]);
      half.append(h('span', 'letter', 'AB'[place]), name);
      if (one.vote === side) half.append(h('em', '', 'your choice'));
      half.append(h('p', '', one.texts[place]));
      pair.append(half);
    }
    item.append(top, pair);
    list.append(item);
  }
  box.append(list);
  return box;
}
