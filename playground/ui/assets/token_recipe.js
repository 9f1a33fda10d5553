// A recipe that was opened, as a sheet: what was asked, with what, and what came of running again.

// The whole is written anew for each value; there is little of it, and all of it is text.
class RecipeSheet {
  constructor(root, props) {
    this.root = root;
    this.hint = props.hint;
    root.classList.add('ts', 'recipe-sheet');
  }

  take(value) {
    const told = JSON.parse(value || '{}');
    this.root.replaceChildren();
    this.root.classList.toggle('resting', !told.facts);
    if (!told.facts) {
      this.root.append(h('p', 'hint', told.hint || this.hint));
      return;
    }
    const head = h('header');
    head.append(h('h2', 'title', told.title || 'A shared run'));
    if (told.about) head.append(h('span', 'sub', told.about));
    this.root.append(head);
    for (const words of told.notices) this.root.append(h('p', 'recipe-notice', words));
    this.root.append(this.asked(told), this.facts(told.facts));
  }

  asked({ prompt, label, verdict }) {
    const box = h('div', 'recipe-asked');
    const words = h('div', 'recipe-prompt');
    words.tabIndex = 0;
    words.setAttribute('aria-label', 'Prompt');
    writeReadable(words, prompt);
    box.append(h('h3', '', label), words);
    if (verdict) box.append(badgeOf(verdict.badge, verdict.says));
    return box;
  }

  facts(facts) {
    const list = h('dl', 'recipe-facts');
    for (const [name, value] of facts) list.append(h('dt', '', name), h('dd', '', value));
    return list;
  }
}

const BADGES = { same: 'same ids', other: 'other ids', none: 'not verified', running: 'running', failed: 'no verdict' };

// A verdict in a word and in the sentence that explains it.
function badgeOf(badge, says) {
  const box = h('p', `recipe-verdict ${badge in BADGES ? badge : 'none'}`);
  box.setAttribute('role', 'status');
  box.append(h('b', '', BADGES[badge] ?? BADGES.none), h('span', '', says));
  return box;
}

function mountRecipe(root, { props }) {
  const sheet = new RecipeSheet(root, props);
  return (value) => sheet.take(value);
}

// An answer as it was recorded, built like a lane: its tokens, or its text where they are not known.
function mountExpected(root, { props }) {
  root.classList.add('ts', 'recorded');
  const names = h('div', 'names');
  const title = h('h2', 'title');
  const sub = h('span', 'sub');
  names.append(title, sub);
  const top = h('div', 'top');
  top.append(names);
  const head = h('header');
  head.append(top);
  const body = h('div', 'body');
  body.tabIndex = 0;
  body.setAttribute('role', 'group');
  body.setAttribute('aria-label', 'The recorded answer');
  root.append(head, body);
  return (value) => {
    const told = JSON.parse(value || '{}');
    put(title, told.title ?? 'Recorded');
    put(sub, told.sub ?? '');
    if (!told.title) body.replaceChildren(h('p', 'hint', props.hint));
    else body.replaceChildren(told.pieces?.length ? recordedTokens(told) : recordedText(told));
  };
}

function recordedTokens({ pieces, parts }) {
  const box = h('div', 'running every');
  pieces.forEach((piece, n) => {
    const token = writeToken(h('bdi', n === parts ? 'tok parts' : 'tok'), piece);
    if (n === parts) token.title = `Token ${n + 1}: here the new answer goes another way`;
    box.append(token, h('wbr'));
    if (piece.includes('\n')) box.append(h('br'));
  });
  return box;
}

function recordedText({ text }) {
  return writeReadable(h('div', 'running plain'), text ?? '');
}
