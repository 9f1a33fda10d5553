// Continuations of one prompt, ranked by a rule that the reader chooses; a row opens its tokens.

function drawContest(root, contest, { open, hint }) {
  root.replaceChildren();
  if (!contest) {
    root.append(h('p', 'hint', hint));
    return;
  }
  const view = { root, contest, open, rule: root.dataset.rule || 'total', opened: null };
  view.opened = contest.rows.findIndex((row) => row.ranks.total === 1);
  root.append(h('p', 'verdict', contest.says), rulesOf(view), h('p', 'about'), h('div', 'table'), footOf(contest));
  rank(view);
}

function rulesOf(view) {
  const group = h('div', 'rules');
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', 'Ranked by');
  group.append(h('span', '', 'Ranked by'));
  for (const [rule, label, about] of view.contest.rules) {
    const button = h('button', '', label);
    button.type = 'button';
    button.dataset.rule = rule;
    button.title = about;
    button.addEventListener('click', () => {
      view.rule = view.root.dataset.rule = rule;
      rank(view);
    });
    group.append(button);
  }
  return group;
}

function rank(view) {
  const { root, contest, rule } = view;
  for (const button of root.querySelectorAll('.rules button')) {
    button.setAttribute('aria-pressed', button.dataset.rule === rule);
  }
  root.querySelector('.about').textContent = contest.rules.find(([name]) => name === rule)[2];
  const table = h('table');
  const head = h('tr');
  const titles = [['', 'place'], ['Continuation', 'text'], ['Share', 'share']];
  for (const [name, label] of contest.rules) titles.push([label, name]);
  for (const [label, name] of titles) {
    const cell = h('th', name === rule ? 'by' : name in contest.rows[0].ranks ? 'other' : name, label);
    cell.scope = 'col';
    if (name === rule) cell.setAttribute('aria-sort', 'descending');
    if (name === 'share') cell.title = 'How likely each is if it must be one of these: the softmax of the sums.';
    head.append(cell);
  }
  const thead = h('thead');
  thead.append(head);
  const body = h('tbody');
  const order = contest.rows.map((_, place) => place)
    .sort((a, b) => contest.rows[a].ranks[rule] - contest.rows[b].ranks[rule]);
  for (const place of order) body.append(rowOf(view, place));
  table.append(thead, body);
  root.querySelector('.table').replaceChildren(table);
}

// A line may end before a space, of which only a mark is seen, and nowhere in a word.
function wrapping(name) {
  for (const mark of name.querySelectorAll('.mark')) mark.before(h('wbr'));
  return name;
}

function rowOf(view, place) {
  const { contest, rule } = view;
  const row = contest.rows[place];
  const line = h('tr', place === view.opened ? 'opened' : '');
  line.append(h('td', 'place', String(row.ranks[rule])));
  const name = h('th', 'text');
  name.scope = 'row';
  const button = h('button');
  button.type = 'button';
  button.title = 'Show the tokens of this continuation';
  button.setAttribute('aria-pressed', place === view.opened);
  button.append(wrapping(quoted(row.text)));
  name.append(button, h('small', '', `${row.tokens} token${row.tokens === 1 ? '' : 's'}`));
  const share = h('td', 'share');
  share.append(barOf(row.share), h('span', '', row.share_shown));
  line.append(name, share);
  for (const [one] of contest.rules) line.append(scoreOf(row, one, one === rule, contest.rows));
  line.addEventListener('click', () => {
    view.opened = place;
    for (const other of view.root.querySelectorAll('tr.opened')) other.classList.remove('opened');
    for (const other of view.root.querySelectorAll('th button')) other.setAttribute('aria-pressed', false);
    line.classList.add('opened');
    button.setAttribute('aria-pressed', true);
    view.open({ place });
  });
  return line;
}

// A log-probability's bar is the probability itself; that of PMI is its part of the largest.
function scoreOf(row, rule, chosen, rows) {
  const best = row.ranks[rule] === 1;
  const cell = h('td', `${chosen ? 'by' : 'other'}${best ? ' best' : ''}`);
  const value = row.scores[rule];
  const largest = Math.max(...rows.map((other) => other.scores.pmi ?? 0));
  const share = value === null ? 0
    : rule === 'pmi' ? Math.max(0, largest > 0 ? value / largest : 0) : Math.exp(Math.min(0, value));
  cell.append(barOf(share));
  if (best) cell.append(h('em', '', 'best'), ' ');
  cell.append(h('span', '', row.shown[rule]));
  return cell;
}

function barOf(share) {
  const bar = h('i', 'bar');
  bar.style.setProperty('--share', share ?? 0);
  return bar;
}

function footOf({ neutral, by_itself: byItself, notices }) {
  const foot = h('div', 'foot');
  const against = h('p', 'said', 'PMI compares with what is as likely after the neutral prompt ');
  for (const piece of neutral) against.append(quoted(piece));
  if (byItself) against.append(', the token that begins a text');
  against.append('. Scores in nats. A bar is the score as a probability; for PMI it is the part of the best.');
  foot.append(against, ...notices.map((words) => h('p', 'said', words)));
  return foot;
}
