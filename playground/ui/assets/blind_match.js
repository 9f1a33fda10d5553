// Before the reveal: what there is to compare, how far it is written, and one match without names.

function h(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(className, words, press) {
  const made = h('button', className, words);
  made.type = 'button';
  made.addEventListener('click', press);
  return made;
}

// The votes, in the order of the page: what the server calls each, its words and its keys.
const VOTES = [
  ['left', 'A is better', ['1', 'ArrowLeft'], '1 or ←'],
  ['tie', 'Tie', ['0', '='], '0'],
  ['both bad', 'Both bad', ['b'], 'b'],
  ['skip', 'Skip', ['s'], 's'],
  ['right', 'B is better', ['2', 'ArrowRight'], '2 or →'],
];
const ROLES = { system: 'System', user: 'User', assistant: 'Assistant' };

function drawIdle(root, { sources, examples }, { act, write }) {
  const box = h('div', 'start');
  box.append(h('h2', '', 'Vote without knowing who wrote it'));
  box.append(h('p', 'hint', 'Two answers to one prompt stand side by side, names hidden and sides '
    + 'shuffled. You vote with a key; at the end the names are revealed, with win rates, how sure they are, '
    + 'and whether length or side may have decided. Answers that you have read beside their names are hardly blind.'));
  const from = h('div', 'ways');
  for (const { source, label, about } of sources) {
    const way = button('way', '', () => act({ do: 'start', source }));
    way.append(h('b', '', label), ' ', h('span', '', about));
    from.append(way);
  }
  if (sources.length) box.append(h('h3', '', 'What your tabs show now'), from);
  else {
    box.append(h('p', 'hint', 'Run two lanes or more in Chat, Complete or Strategies, or a grid, and press “Vote blind” there. '
      + 'Every further prompt that you run and bring here adds matches to the same comparison. Or begin with one of these:'));
  }
  if (sources.length) box.append(h('h3', '', 'Or an example'));
  const list = h('div', 'pills');
  examples.forEach((label, example) => list.append(button('pill', label, () => write({ example }))));
  box.append(list, h('h3', '', 'Or a test that was saved'), openFile(act));
  root.append(box);
}

const LARGEST_TEST = 700_000; // bytes; what a page may send at once, written as text in text

function openFile(act) {
  const row = h('p', 'hint');
  const chooser = h('input');
  Object.assign(chooser, { type: 'file', accept: '.json,application/json', hidden: true });
  const said = h('span', 'said');
  said.setAttribute('role', 'status');
  chooser.addEventListener('change', async () => {
    const [file] = chooser.files;
    chooser.value = '';
    if (!file) return;
    said.textContent = file.size > LARGEST_TEST ? 'The file is larger than this page can take.' : '';
    if (!said.textContent) act({ do: 'open', file: await file.text() });
  });
  row.append(button('pill', 'Open file', () => chooser.click()), chooser, ' ', said);
  return row;
}

function drawWriting(root, { say, done, of }, { act }) {
  const box = h('div', 'start');
  const words = h('p', 'progress-words', `${say}: ${done} of ${of} answers`);
  words.setAttribute('role', 'status');
  const bar = h('progress');
  bar.max = of;
  bar.value = done;
  bar.setAttribute('aria-label', 'Answers written');
  box.append(words, bar, button('small stop', 'Stop', () => act({ do: 'stop' })));
  root.append(box);
}

function drawMatch(root, value, doors) {
  const { at, of, turns, note } = value;
  root.append(headOf(value, doors, `Match ${at + 1} of ${of}`));
  const asked = h('div', 'asked');
  asked.tabIndex = 0;
  asked.setAttribute('role', 'region');
  asked.setAttribute('aria-label', 'Prompt');
  for (const [role, text] of turns) {
    const turn = h('div', 'turn');
    if (role) turn.append(h('span', 'role', ROLES[role] ?? role));
    turn.append(h('div', 'words', text));
    asked.append(turn);
  }
  if (note) asked.append(h('p', 'note', note));
  const sides = h('div', 'sides');
  sides.append(sideOf('A', value.left), sideOf('B', value.right));
  const votes = h('div', 'votes');
  votes.setAttribute('role', 'group');
  votes.setAttribute('aria-label', 'Your vote');
  for (const [vote, words, keys, shown] of VOTES) {
    const made = button(`vote ${vote.replace(' ', '-')}`, '', () => doors.vote(vote));
    made.append(h('span', '', words), h('kbd', '', shown));
    made.setAttribute('aria-keyshortcuts', keys.join(' '));
    votes.append(made);
  }
  root.append(asked, sides, votes);
}

function sideOf(name, text) {
  const side = h('section', 'side-box');
  const body = h('div', text.trim() ? 'text' : 'text empty', text.trim() ? text : 'It wrote nothing.');
  body.tabIndex = 0;
  body.setAttribute('role', 'region');
  body.setAttribute('aria-label', `Answer ${name}`);
  side.append(h('h3', '', name), body);
  return side;
}

function drawVoted(root, value, doors) {
  root.append(headOf(value, doors, value.of === 1 ? 'The only match has its vote' : `All ${value.of} matches have their vote`));
  const box = h('div', 'start');
  box.append(h('p', 'hint', 'Reveal the names, or go on first: run another prompt in the tab that these answers came from '
    + 'and press “Vote blind” there. The more matches, the more the votes can say.'));
  root.append(box);
}

// How far it is, and what can be done at any time.
function headOf({ of, voted, more }, { act, reveal, undo }, title) {
  const head = h('div', 'head');
  const words = h('h2', '', title);
  words.setAttribute('role', 'status');
  const bar = h('progress');
  bar.max = of;
  bar.value = voted;
  bar.setAttribute('aria-label', 'Matches with a vote');
  const back = button('small', 'Undo', undo);
  back.append(h('kbd', '', 'z'));
  back.setAttribute('aria-keyshortcuts', 'z');
  back.disabled = voted === 0;
  const added = (more ?? []).map(({ source, label }) => (
    button('small', `Add what ${label} shows now`, () => act({ do: 'start', source }))));
  const left = of - voted;
  const shown = left ? askedTwice('Reveal', `Stop voting, ${left} left?`, reveal) : button('small main', 'Reveal', reveal);
  shown.disabled = voted === 0;
  const anew = () => act({ do: 'new' });
  const over = voted ? askedTwice('Start over', `Discard ${voted} vote${voted === 1 ? '' : 's'}?`, anew)
    : button('small', 'Start over', anew);
  head.append(words, bar, back, ...added, over, shown);
  return head;
}

// What cannot be taken back is pressed twice.
function askedTwice(words, question, press) {
  const made = button('small twice', words, () => {
    if (made.textContent === question) { press(); return; }
    made.textContent = question;
    setTimeout(() => { made.textContent = words; }, 4000);
  });
  return made;
}
