// What a model predicts at every position of a text, and the four steps from a vector to a word.

INSIDE.logits = (root, found, ways) => {
  if (found.lacks) {
    root.append(h('p', 'hint', found.lacks));
    return;
  }
  root.append(...new Predictions(found, ways).parts());
};

const MOST_GUESSES = 5;  // in a row; the place beside the list shows all that were asked for

class Predictions {
  constructor(found, { tell, kept }) {
    Object.assign(this, { found, tell, kept });
    this.chosen = found.at;
    this.verb = found.masked ? 'stands here' : 'came next';
  }

  parts() {
    const { said: words, notices, masked } = this.found;
    const both = h('div', 'places-and-place');
    this.list = h('div', 'places wide');
    this.list.setAttribute('role', 'listbox');
    this.list.setAttribute('aria-label', masked ? 'Places of the text' : 'Tokens of the text');
    this.list.addEventListener('keydown', (event) => this.key(event));
    const most = Math.min(MOST_GUESSES, this.found.places[0]?.choices.length ?? 1);
    this.list.style.setProperty('--guesses', most);
    this.list.append(this.heads(), ...this.found.places.map((place, i) => this.row(place, i)));
    this.place = h('section', 'place');
    this.place.setAttribute('aria-live', 'polite');
    both.append(this.list, this.place);
    this.choose(this.chosen);
    return [
      h('p', 'verdict', words), ...notices.map((one) => said(one)), both, this.walk(),
    ].filter(Boolean);
  }

  heads() {
    const head = h('div', 'row head');
    head.setAttribute('aria-hidden', 'true');
    const { masked } = this.found;
    for (const [name, words] of [['n', ''], ['token', masked ? 'at this place' : 'after'],
      ['guesses', masked ? 'the model guesses' : 'the model expects'], ['came', masked ? 'what stands there' : 'and then came']]) {
      head.append(h('span', name, words));
    }
    return head;
  }

  row(place, i) {
    const line = h('div', 'row');
    line.setAttribute('role', 'option');
    line.dataset.place = i;
    const token = h('span', 'token');
    token.append(quoted(place.piece, { special: place.special }));
    if (place.id === this.found.mask) token.append(h('em', '', 'masked'));
    const guesses = h('span', 'guesses');
    for (const [id, text, logprob] of place.choices.slice(0, MOST_GUESSES)) {
      const guess = h('span', place.actual?.[0] === id ? 'guess hit' : 'guess');
      const bar = h('i', 'bar');
      bar.style.setProperty('--share', probabilityOf(logprob));
      guess.append(bar, writeToken(h('bdi', 'tok'), text), h('span', 'figure', percent(probabilityOf(logprob))));
      guesses.append(guess);
    }
    line.append(h('span', 'n', i + 1), token, guesses, this.came(place));
    line.setAttribute('aria-label', this.spokenOf(place, i));
    line.addEventListener('click', () => this.choose(i, true));
    return line;
  }

  came({ actual, rank }) {
    const cell = h('span', 'came');
    if (!actual) {
      cell.append(h('span', 'said', 'the text ends'));
      return cell;
    }
    const [, text, logprob] = actual;
    cell.classList.add(`level${MEASURES.probability.level({ logprob })}`);
    cell.append(quoted(text), h('span', 'figure', percent(probabilityOf(logprob))),
      h('small', '', rank === 1 ? '1st' : `rank ${rank.toLocaleString('en-US')}`));
    return cell;
  }

  spokenOf({ piece, choices, actual, rank }, i) {
    const [, first, logprob] = choices[0];
    const next = actual ? `${this.verb} ${spoken(actual[1])}, rank ${rank}` : 'the text ends';
    return `${i + 1}, ${spoken(piece)}: expects ${spoken(first)}, ${percent(probabilityOf(logprob))}; ${next}`;
  }

  key(event) {
    const last = this.found.places.length - 1;
    const to = { ArrowDown: this.chosen + 1, ArrowUp: this.chosen - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(Math.min(Math.max(to, 0), last), true);
  }

  choose(i, focus = false) {
    this.chosen = i;
    for (const line of this.list.querySelectorAll('[role="option"]')) {
      const is = Number(line.dataset.place) === i;
      line.setAttribute('aria-selected', is);
      line.tabIndex = is ? 0 : -1;
      if (is && focus) {
        line.focus({ preventScroll: true });
        line.scrollIntoView({ block: 'nearest' });
      }
    }
    this.tellPlace();
  }

  // The text up to and with a place, as it is written.
  before(i) {
    return this.found.places.slice(0, i + 1).map(({ text }) => text).join('');
  }

  tellPlace() {
    const { masked, mask, places } = this.found;
    const i = this.chosen;
    const place = places[i];
    const title = h('h3');
    if (masked) title.append(`Place ${i + 1}, `, quoted(place.piece, { special: place.special }));
    else title.append(`After ${i + 1} ${i ? 'tokens' : 'token'}, `, quoted(place.piece, { special: place.special }));
    const parts = [title];
    if (masked && place.id !== mask) parts.push(said('This place is not masked: the model sees what stands here.'));
    if (masked && place.id === mask) parts.push(said('A guess from what stands on both sides of the mask.'));
    const open = place.entropy === null ? '' : `Entropy ${place.entropy.toFixed(2)} nats: as open as a choice among ${Math.exp(place.entropy).toFixed(1)} equally likely tokens.`;
    parts.push(this.candidates(place, i), said(open));
    const text = this.before(i);
    if (!masked && text.trim()) {
      parts.push(button('Continue from here in Complete', 'The text up to here, opened in the Complete tab', () => this.tell({ continue: text })));
    }
    this.place.replaceChildren(...parts);
  }

  candidates({ choices, actual, rank }, i) {
    const table = h('div', 'candidates');
    const list = h('ol');
    for (const one of choices) list.append(this.candidate(one, actual?.[0] === one[0], i));
    const inList = !actual || choices.some(([id]) => id === actual[0]);
    if (!inList) {
      const row = this.candidate(actual, true, i);
      row.classList.add('outside');
      row.value = rank;
      list.append(row);
    }
    const listed = choices.reduce((sum, [, , logprob]) => sum + probabilityOf(logprob), 0) + (inList ? 0 : probabilityOf(actual[2]));
    const rest = h('div', 'rest');
    rest.append(h('span', '', 'all other tokens'), h('span', 'figure', percent(Math.max(0, 1 - listed))));
    table.append(list, rest);
    return table;
  }

  candidate([id, text, logprob], came, i) {
    const item = h('li', came ? 'chosen' : '');
    const before = this.before(i);
    const goes = !this.found.masked && before.trim() && !BYTES.test(text);
    const line = h(goes ? 'button' : 'div', 'line');
    if (goes) {
      line.type = 'button';
      line.title = 'Continue with this token in Complete';
      line.addEventListener('click', () => this.tell({ continue: before + text }));
    }
    const bar = h('span', 'bar');
    bar.style.setProperty('--share', probabilityOf(logprob));
    const name = writeToken(h('bdi', 'tok'), text);
    name.title = `id ${id}`;
    line.append(bar, name, h('span', 'tick', came ? this.verb : ''), h('span', 'figure', percent(probabilityOf(logprob))));
    item.append(line);
    return item;
  }

  walk() {
    const { walk, places, at, masked } = this.found;
    if (!walk.length) return null;
    this.kept.open ??= new Set(['hidden']);
    const box = h('section', 'walk');
    const title = h('h3', '', 'From a vector to a word ');
    const where = masked ? `at place ${at + 1}` : 'after the last token';
    title.append(h('small', '', `the four steps ${where}, each a line of code`));
    const list = h('ol');
    walk.forEach((step, n) => {
      const item = h('li');
      const one = h('details');
      one.open = this.kept.open.has(step.step);
      one.addEventListener('toggle', () => { this.kept.open[one.open ? 'add' : 'delete'](step.step); });
      const line = h('summary');
      line.append(h('b', '', `${n + 1}. ${step.title}`), h('code', '', step.code));
      one.append(line, this.step(step, places[at]));
      item.append(one);
      list.append(item);
    });
    box.append(title, list);
    return box;
  }

  step(step, place) {
    const box = h('div', 'step');
    box.append(h('p', '', step.about));
    if (step.said) box.append(h('p', '', step.said));
    const facts = h('dl', 'facts');
    const [first] = place.choices;
    if (step.shape) fact(facts, 'shape', `${step.shape} ${step.dtype}`);
    if (step.step === 'argmax') {
      fact(facts, 'id', String(step.values[0]));
      fact(facts, 'logit', `${figure(step.values[1], 3)}, which is ${percent(probabilityOf(first[2]))} after the softmax`);
    } else if (step.step === 'text') {
      const pair = h('div');
      const text = h('dd');
      text.append(quoted(step.text));
      pair.append(h('dt', '', 'text'), text);
      facts.append(pair);
    } else {
      const values = step.values.map((value) => figure(value, 3)).join(', ');
      fact(facts, 'here', `[${values}, …]`);
    }
    box.append(facts);
    return box;
  }
}
