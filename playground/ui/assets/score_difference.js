// Lanes that scored one text, against the first of them: a bar a token, up or down.

const LEAST_SCALE = 1; // nats: smaller differences look small
const MOST_PAIRS = 1000; // drawn at once

function drawDifference(root, differences) {
  root.replaceChildren();
  for (const one of differences ?? []) root.append(differenceOf(one));
}

function differenceOf({ first, second, says, alone, pairs }) {
  const section = h('section');
  section.append(h('h3', '', `Lane ${second} against lane ${first}`), h('p', 'verdict', says));
  const key = h('p', 'key');
  key.append(h('i', 'up'), ` lane ${second} was less surprised by this token `);
  key.append(h('i', 'down'), ` lane ${first} was. Numbers in nats.`);
  const scale = Math.max(LEAST_SCALE, ...pairs.map(([, , , gain]) => Math.abs(gain ?? 0)));
  const list = h('ol', 'pairs');
  let before = null;
  for (const [at, , piece, gain] of pairs.slice(0, MOST_PAIRS)) {
    if (before !== null && at > before + 1) list.append(gapOf());
    list.append(pairOf(at, piece, gain, scale, [first, second]));
    before = at;
  }
  section.append(key, list);
  if (pairs.length > MOST_PAIRS) {
    section.append(h('p', 'said', `The first ${MOST_PAIRS} of ${pairs.length} tokens are drawn; the sums are of all.`));
  }
  const [mine, others] = alone;
  if (mine || others) {
    section.append(h('p', 'said', `Compared where both have the same token. Without a counterpart: ${
      countOf(mine, first)}, ${countOf(others, second)}.`));
  }
  return section;
}

const countOf = (count, lane) => `${count} token${count === 1 ? '' : 's'} of lane ${lane}`;

function gapOf() {
  const gap = h('li', 'gap', '…');
  gap.title = 'Here the lanes have other tokens.';
  return gap;
}

function pairOf(at, piece, gain, scale, [first, second]) {
  const item = h('li');
  const bar = h('i', gain > 0 ? 'bar up' : 'bar down');
  bar.style.setProperty('--share', Math.min(1, Math.abs(gain ?? 0) / scale));
  const box = h('span', 'bars');
  box.append(bar);
  const shown = gain === null ? '–' : Math.abs(gain) < 0.005 ? '0'
    : `${gain > 0 ? '+' : ''}${figure(gain, 2)}`;
  const better = gain > 0 ? second : first;
  item.title = gain ? `Token ${at + 1}: lane ${better} less surprised by ${figure(Math.abs(gain), 3)} nats`
    : `Token ${at + 1}: alike`;
  item.append(box, writeToken(h('bdi', 'tok'), piece), h('span', 'figure', shown));
  return item;
}
