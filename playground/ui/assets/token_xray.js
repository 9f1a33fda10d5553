// X-ray of a step, in its lane: what each setting did, the draw, and sliders that choose again.

class Xray {
  constructor(lane) {
    this.lane = lane;
    lane.xray = this;
    this.root = h('section', 'xray');
    this.root.hidden = true;
    this.root.setAttribute('aria-label', 'X-ray: how a token was chosen');
    this.title = h('h3', 'xray-title');
    const close = h('button', 'small', 'Close');
    close.type = 'button';
    close.addEventListener('click', () => this.close());
    const top = h('div', 'xray-top');
    top.append(this.title, close);
    this.verdict = h('p', 'verdict');
    this.verdict.setAttribute('aria-live', 'polite');
    this.trouble = h('p', 'trouble');
    this.trouble.setAttribute('role', 'status');
    this.picture = h('div', 'picture');
    this.sliders = h('form', 'sliders');
    this.sliders.addEventListener('submit', (event) => event.preventDefault());
    const sides = h('div', 'sides');
    sides.append(this.sliders, this.picture);
    this.root.append(top, this.trouble, this.verdict, sides);
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.dock = new Dock(lane, this.root);
    this.clear();
  }

  get isOpen() { return !this.root.hidden; }

  get remembered() {
    return !this.lane.isGiven && choices.get(this.lane.name, 'xray', 'closed') === 'open';
  }

  // How many tokens fit beside each other.
  get room() { return this.root.clientWidth < 420 ? 5 : 7; }

  clear() {
    this.index = null;
    this.settings = {};
    this.serial = (this.serial ?? 0) + 1;
    this.again = false;
    this.known = null;
    this.title.textContent = 'X-ray: how a token was chosen';
    this.verdict.textContent = 'Go to a token to see how it was chosen.';
    this.trouble.textContent = '';
    this.picture.replaceChildren();
    this.sliders.replaceChildren();
  }

  key(event) {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    this.close();
  }

  toggle(index) {
    if (this.isOpen && this.index === index) this.close();
    else this.open(index);
  }

  open(index) {
    choices.set(this.lane.name, 'xray', 'open');
    this.root.hidden = false;
    this.look(index);
    this.root.scrollIntoView({ block: 'nearest' });
  }

  close() {
    choices.set(this.lane.name, 'xray', 'closed');
    const inside = this.root.contains(document.activeElement);
    const { index } = this;
    this.hide();
    if (inside && index !== null) {
      popover.returning = true;
      this.lane.focusToken(index);
      popover.returning = false;
    }
  }

  hide() {
    this.root.hidden = true;
    this.clear();
    this.dock.place(false);
  }

  // Below the lanes there is one, that of the lane where the reader is.
  settle() {
    this.dock.place(true);
    if (!this.dock.isOut) return;
    for (const { root, xray } of choices.lanes) {
      if (xray !== this && xray.dock.isOut && root.closest('.lanes') === this.lane.root.closest('.lanes')) xray.hide();
    }
  }

  // The reader went to a token: the panel follows, and opens where it was open before.
  attend(index) {
    if (this.lane.lacks.xray) { if (this.isOpen) this.hide(); } else if (this.isOpen || this.remembered) this.look(index);
  }

  // What is tried is tried at every token of the run that the reader walks to.
  look(index) {
    const token = this.lane.tokens[index];
    if (!token || index === this.index) return;
    if (this.index === null) this.verdict.textContent = 'Asking …';
    this.index = index;
    this.serial += 1;
    this.root.hidden = false;
    this.settle();
    this.title.replaceChildren(`X-ray of token ${this.lane.numberOf(index)}: `,
      writeToken(h('b', 'tok'), shownOf(token), { special: token.special, half: isHalf(token) }));
    this.ask();
  }

  // One question at a time; while it is under way the latest wish waits.
  async ask() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    do {
      this.again = false;
      await this.askOnce();
    } while (this.again);
    this.asking = false;
  }

  async askOnce() {
    const { lane, serial, index, settings } = this;
    if (index === null) return;
    const tried = Object.keys(settings).length > 0;
    const answer = await lane.ask('token_stream_xray', {
      key: lane.key, position: index + lane.first, settings: tried ? { ...settings } : null,
    });
    if (serial !== this.serial) {
      this.again = this.index !== null;
      return;
    }
    this.show(answer ?? { problem: 'The server does not answer.' }, tried);
  }

  show(answer, tried) {
    this.trouble.textContent = answer.problem ?? '';
    if (answer.problem) {
      // What was put on a slider can be wrong: then the picture stays, unless it is of another token.
      if (!tried || this.pictured !== this.index) this.showKnown();
      return;
    }
    this.makeSliders(answer);
    this.pictured = this.index;
    const told = this.lane.tokens[this.index].id;
    this.picture.replaceChildren(drawStages(answer.stages, answer.id, told, this.room), drawChoice(answer));
    this.verdict.replaceChildren(...this.words(answer, tried, told));
    this.reset.disabled = !tried;
  }

  // A step that the server cannot show any more: what is known of it here.
  showKnown() {
    const token = this.lane.tokens[this.index];
    const all = token.candidates.some((c) => c.id === token.id) ? token.candidates
      : [...token.candidates, { id: token.id, text: token.piece, logprob: token.logprob, final: token.final }];
    const model = all.map((c) => [c.id, c.text, probabilityOf(c.logprob), probabilityOf(c.logprob)]);
    const last = all.map((c) => [c.id, c.text, probabilityOf(c.logprob), c.final ?? 0]);
    const plain = { value: '', removed: 0, mass: 0, gone: [], moved: 0, most: [], whole: true };
    this.pictured = this.index;
    this.verdict.textContent = 'What is known of it without that:';
    this.picture.replaceChildren(drawStages([
      { ...plain, label: 'The model itself', help: 'Its own probabilities, before any setting.', watched: model },
      { ...plain, label: 'All settings together', help: 'What the token was picked with.', watched: last },
    ], token.id, token.id, this.room));
  }

  // What came of it, in one sentence.
  words(answer, tried, told) {
    const { strategy } = answer;
    if (answer.forced) return ['Put there by you: nothing chose it.'];
    if (!tried) {
      return answer.draws ? ['Drawn with ', percent(answer.final), ': ', nameOf(answer.piece)]
        : [`${strategy[0].toUpperCase()}${strategy.slice(1)} took `, nameOf(answer.piece), '.'];
    }
    const who = !answer.draws ? 'the choice' : answer.own_draws ? 'the same draw' : 'a draw';
    const verb = answer.id === told ? 'would still have taken' : 'would have taken';
    const idle = answer.ignored.length ? ` Without effect here: ${answer.ignored.join(', ')}.` : '';
    return [`With ${this.moved().join(', ')} ${who} ${verb} `, nameOf(answer.piece), '.', idle];
  }

  moved() {
    return Object.entries(this.settings).map(([name, value]) => {
      if (name === 'do_sample') return value ? 'a draw at random' : 'no draw';
      const { label } = this.known.get(name);
      const acronym = label.slice(0, 2) === label.slice(0, 2).toUpperCase();
      return `${acronym ? label : label.toLowerCase()} ${value}`;
    });
  }

  // Made once, and again where the run went on with other settings.
  makeSliders({ sliders, own_draws: draws }) {
    const made = JSON.stringify([sliders, draws]);
    if (made === this.made && this.known) return;
    this.made = made;
    this.draws = draws;
    this.known = new Map(sliders.map((one) => [one.name, one]));
    const box = h('label', 'switch-line');
    const check = h('input');
    check.type = 'checkbox';
    check.checked = this.settings.do_sample ?? draws;
    check.addEventListener('change', () => this.try('do_sample', check.checked, draws));
    box.append(check, ' Draw at random');
    this.reset = h('button', 'small', 'Back to the run’s own');
    this.reset.type = 'button';
    this.reset.disabled = true;
    this.reset.addEventListener('click', () => this.restore());
    this.sliders.replaceChildren(h('p', 'lead', 'What would other settings have chosen here?'),
      ...sliders.map((one) => this.slider(one)), box, this.reset);
  }

  slider({ name, label, help, low, high, step, value }) {
    const line = h('div', 'slider');
    line.title = help;
    const words = h('label', '', label);
    const number = h('input', 'number');
    const range = h('input');
    number.type = 'number';
    range.type = 'range';
    number.id = `${this.lane.key}-${name}`;
    words.htmlFor = number.id;
    range.setAttribute('aria-label', label);
    for (const input of [number, range]) Object.assign(input, { min: low, max: high, step, value: this.settings[name] ?? value });
    number.step = 'any';
    line.append(words, number, range);
    const take = (from, to) => {
      to.value = from.value;
      this.try(name, from.value === '' ? '' : Number(from.value), value);
    };
    number.addEventListener('input', () => take(number, range));
    range.addEventListener('input', () => take(range, number));
    return line;
  }

  try(name, value, own) {
    if (value === own) delete this.settings[name];
    else this.settings[name] = value;
    this.ask();
  }

  restore() {
    const sliders = [...this.known.values()];
    this.settings = {};
    this.known = null;
    this.makeSliders({ sliders, own_draws: this.draws });
    this.sliders.querySelector('input').focus();
    this.ask();
  }
}

PANELS.push((lane) => new Xray(lane));
