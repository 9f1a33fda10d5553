// Two ways to fill the lanes: strategies from a list, and one setting at several values.

// A checkbox for each strategy, in groups, and what to begin with.
class LanePicker {
  constructor(board) {
    this.board = board;
    this.root = h('section', 'fill');
    this.root.hidden = true;
    this.root.setAttribute('aria-label', 'Choose lanes');
    ownPresets.views.add(() => { if (!this.root.hidden) this.opened(); });
    document.addEventListener('served-models', () => { if (!this.root.hidden) this.grey(); });
  }

  // What the list begins with are the lanes that are there.
  opened() {
    const there = new Set([...this.board.tab.columns.values()].map(({ settings: { own } }) => (own.name ? `own:${own.name}` : own.preset)));
    const groups = new Map();
    const own = Object.keys(ownPresets.names);
    if (own.length) groups.set('Yours', own.map((name) => [name, `own:${name}`, '']));
    for (const { name, group, does } of Object.values(FACTS.notes)) {
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([name, name, does[0]]);
    }
    const lists = h('div', 'groups');
    for (const [title, entries] of groups) lists.append(this.group(title, entries, there));
    this.boxes = [...lists.querySelectorAll('input')];
    this.show = h('button', 'show');
    this.show.type = 'button';
    this.show.addEventListener('click', () => this.fill());
    this.words = h('span', 'words');
    this.lacking = h('p', 'lacking');
    const foot = h('div', 'foot');
    foot.append(this.show, this.words);
    this.root.replaceChildren(this.shortcuts(), lists, this.lacking, foot);
    this.grey();
    this.count();
  }

  // What the model's server cannot follow; what is ticked already can be unticked.
  grey() {
    const { server, presets } = this.board.served;
    for (const box of this.boxes) {
      const why = presets[box.value] ?? '';
      const label = box.parentElement;
      label.classList.toggle('lacking', why !== '');
      label.title = why || (FACTS.notes[box.value]?.does[0] ?? '');
      box.disabled = why !== '' && !box.checked;
    }
    const any = Object.keys(presets).length;
    this.lacking.textContent = any ? `${server} does not take what the grey ones need.` : '';
    this.lacking.hidden = !any;
  }

  group(title, entries, there) {
    const set = h('fieldset');
    set.append(h('legend', '', title));
    for (const [words, value, help] of entries) {
      const label = h('label', '', '');
      const box = h('input');
      Object.assign(box, { type: 'checkbox', value, checked: there.has(value) });
      box.addEventListener('change', () => this.count());
      label.append(box, words);
      label.title = help;
      set.append(label);
    }
    return set;
  }

  shortcuts() {
    const row = h('div', 'shortcuts');
    const { classic, most } = this.board.props;
    const all = Object.keys(FACTS.notes);
    const every = all.length > most ? `The first ${most}` : 'All';
    for (const [words, chosen] of [['The classic six', classic], [every, all.slice(0, most)], ['None', []]]) {
      const button = h('button', 'small', words);
      button.type = 'button';
      if (words === every && most < all.length) button.title = `There may be ${most} lanes here, and there are ${all.length} strategies.`;
      button.addEventListener('click', () => {
        for (const box of this.boxes) box.checked = chosen.includes(box.value) && !this.board.served.presets[box.value];
        this.grey();
        this.count();
      });
      row.append(button);
    }
    return row;
  }

  get chosen() { return this.boxes.filter(({ checked }) => checked).map(({ value }) => value); }

  count() {
    if (!this.show) return;
    const { length } = this.chosen;
    const { most } = this.board.props;
    this.show.textContent = length === 1 ? 'Show this lane' : `Show these ${length} lanes`;
    this.show.disabled = this.held || length < 1 || length > most;
    this.words.textContent = this.held ? 'Stop the run first.'
      : length > most ? `There may be ${most} lanes here; take ${length - most} away.`
        : length ? 'They replace the lanes below; lengths, words and dice stay those of the first.' : 'Tick at least one.';
  }

  hold(running) {
    if (this.held === running) return;
    this.held = running;
    this.count();
  }

  fill() {
    const lanes = this.chosen.map((value) => (
      value.startsWith('own:') ? this.board.settingsOf(value.slice(4), true) : this.board.settingsOf(value, false)
    ));
    this.board.fill({ lanes: lanes.map((lane) => JSON.stringify(lane)) });
  }
}

// A setting, its first and last value, and in how many steps; the server says which values.
class LaneSweep {
  constructor(board) {
    this.board = board;
    this.root = h('section', 'fill');
    this.root.hidden = true;
    this.root.setAttribute('aria-label', 'Sweep a setting');
    document.addEventListener('served-models', () => { if (!this.root.hidden) this.grey(); });
  }

  opened() {
    if (!this.knob) this.build();
    this.grey();
    this.ask();
  }

  // What the model's server does not take.
  grey() {
    const { server, lacks, presets } = this.board.served;
    for (const option of this.knob.options) {
      greyOption(option, labelOf(option.value), lacks[option.value], server);
    }
    for (const option of this.base.options) greyOption(option, option.value, presets[option.value], server);
  }

  build() {
    const row = h('div', 'sweep');
    const field = (words, input) => {
      const label = h('label', '', words);
      label.append(input);
      row.append(label);
      return input;
    };
    const number = () => Object.assign(h('input'), { type: 'number', step: 'any', inputMode: 'decimal' });
    this.knob = field('Setting', h('select'));
    for (const { name, label } of this.board.props.sweeps) this.knob.add(new Option(label, name));
    this.from = field('from', number());
    this.to = field('to', number());
    this.steps = field('in steps', number());
    this.base = field('on top of', h('select'));
    for (const name of Object.keys(FACTS.notes)) this.base.add(new Option(name, name));
    this.knob.addEventListener('change', () => { this.start(); this.ask(); });
    for (const input of [this.from, this.to, this.steps, this.base]) input.addEventListener('input', () => this.askSoon());
    this.show = h('button', 'show', 'Show these lanes');
    this.show.type = 'button';
    this.show.addEventListener('click', () => this.board.fill({ lanes: this.lanes }));
    this.words = h('span', 'words');
    this.words.setAttribute('role', 'status');
    const foot = h('div', 'foot');
    foot.append(this.show, this.words);
    this.root.append(row, foot);
    this.start();
  }

  start() {
    const { base, low, high, steps } = this.board.props.sweeps.find(({ name }) => name === this.knob.value);
    Object.assign(this.from, { value: low });
    Object.assign(this.to, { value: high });
    Object.assign(this.steps, { value: Math.min(steps, this.board.props.most) });
    this.base.value = base;
  }

  askSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), CHECK_AFTER);
  }

  async ask() {
    const value = (input) => (input.value === '' ? null : input.valueAsNumber);
    const wish = {
      knob: this.knob.value, from: value(this.from), to: value(this.to), steps: value(this.steps),
      base: JSON.stringify(this.board.settingsOf(this.base.value, false)),
    };
    const turn = this.turn = (this.turn ?? 0) + 1;
    let answer;
    try {
      answer = JSON.parse(await this.board.server.lanes_of_sweep(wish));
    } catch {
      answer = { problem: 'The server does not answer.' };
    }
    if (turn !== this.turn) return;
    this.lanes = answer.lanes ?? null;
    this.problem = answer.problem ?? '';
    this.values = answer.values ?? '';
    for (const [name, input] of [['from', this.from], ['to', this.to], ['steps', this.steps]]) {
      input.setAttribute('aria-invalid', String(answer.field === name));
    }
    this.count();
  }

  count() {
    if (!this.show) return;
    this.show.disabled = this.held || !this.lanes;
    this.show.textContent = this.lanes ? `Show these ${this.lanes.length} lanes` : 'Show these lanes';
    this.words.textContent = this.held ? 'Stop the run first.' : this.problem || this.values || '';
    this.words.classList.toggle('problem', Boolean(this.problem) && !this.held);
  }

  hold(running) {
    if (this.held === running) return;
    this.held = running;
    this.count();
  }
}
