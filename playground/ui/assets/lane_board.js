// What stands above the lanes: which there are, and their order.

const BESIDE = 6; // lanes that stand beside each other; more of them wrap into rows

class LaneBoard {
  constructor(root, { props, server, watch, fill_lanes: fill }, tab) {
    Object.assign(this, { root, props, server, fill, tab });
    this.sort = { by: '', turned: false };
    this.order = [];
    this.message = { lanes: [], running: false, reference: 0, problem: '' };
    this.picker = new LanePicker(this);
    this.sweep = new LaneSweep(this);
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.spoken = h('p', 'unseen');
    this.spoken.setAttribute('role', 'status');
    root.append(this.bar(), this.picker.root, this.sweep.root, this.problem, this.spoken);
    root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || (this.picker.root.hidden && this.sweep.root.hidden)) return;
      event.preventDefault(); // Escape also stops a run.
      this.open(null);
    });
    watch('value', () => this.take(props.value));
    this.take(props.value);
  }

  bar() {
    const bar = h('div', 'bar');
    const ways = [['Choose lanes', this.picker], ['Sweep a setting', this.sweep]].map(([words, form]) => {
      const button = h('button', 'way', words);
      button.type = 'button';
      button.setAttribute('aria-expanded', 'false');
      button.addEventListener('click', () => this.open(form.root.hidden ? form : null));
      form.button = button;
      return button;
    });
    const sortLabel = h('label', 'sort', 'Sort by');
    const sort = h('select');
    sortLabel.append(sort);
    sort.add(new Option('their place', ''));
    for (const { name, label } of FIGURES) sort.add(new Option(label.toLowerCase(), name));
    sort.add(new Option(LEAVES.label.toLowerCase(), LEAVES.name));
    sort.addEventListener('change', () => this.sortBy(sort.value, false));
    this.sortMenu = sort;
    const live = h('label', 'live');
    this.live = h('input');
    this.live.type = 'checkbox';
    this.live.addEventListener('change', () => this.arrange());
    live.append(this.live, 'while they write');
    bar.append(...ways, h('span', 'gap'), sortLabel, live);
    this.after = [sortLabel, live];
    return bar;
  }

  open(form) {
    for (const one of [this.picker, this.sweep]) {
      if (one !== form && one.root.contains(document.activeElement)) one.button.focus();
      one.root.hidden = one !== form;
      one.button.setAttribute('aria-expanded', String(one === form));
    }
    form?.opened();
  }

  // What the server of the model lacks that all lanes share.
  get served() { return served.of(served.picked(this.props.tab)); }

  // Lanes that are still on the page, of the latest run.
  get lanes() { return this.message.lanes.filter(({ column }) => this.tab.columns.has(column)); }

  take(value) {
    const before = this.message;
    this.message = { lanes: [], running: false, reference: 0, problem: '', ...JSON.parse(value || '{}') };
    const filled = this.message.filled && this.message.filled !== before.filled;
    if (filled) this.open(null);
    const ended = before.running && !this.message.running;
    if (ended) this.spoken.textContent = `${this.lanes.length} lanes are written.`;
    else if (filled) this.spoken.textContent = 'The lanes below are new.';
    else if (this.message.running) this.spoken.textContent = '';
    if (ended || this.live.checked) this.arrange();
    this.draw();
  }

  sortBy(by, turned) {
    this.sort = { by, turned };
    this.sortMenu.value = by;
    this.arrange();
    this.draw();
  }

  // A lane keeps its place until somebody asks for another order.
  arrange() {
    this.order = sorted(this.lanes, this.sort).map(({ column }) => column);
    const { columns } = this.tab;
    const row = [...columns.values()][0]?.root.closest('.lanes');
    row?.classList.toggle('many', columns.size > BESIDE && window.innerWidth > 640);
    for (const [number, head] of columns) {
      const place = this.order.indexOf(number);
      const box = head.root.closest('.lane-column');
      if (box) box.style.order = this.sort.by ? String(place < 0 ? 1000 + number : place) : '';
    }
    this.tab.table?.draw(this);
  }

  draw() {
    const { lanes, message } = this;
    this.problem.textContent = message.problem;
    this.problem.hidden = !message.problem;
    for (const part of this.after) part.classList.toggle('idle', lanes.length < 2);
    for (const input of [this.sortMenu, this.live]) input.disabled = lanes.length < 2;
    for (const form of [this.picker, this.sweep]) form.hold(message.running);
    const byColumn = new Map(lanes.map((lane) => [lane.column, lane]));
    for (const [number, head] of this.tab.columns) head.report(byColumn.get(number) ?? null);
    this.tab.table?.draw(this);
  }

  // Columns come and go.
  settle() {
    this.arrange();
    this.draw();
  }

  // New lanes with the lengths, words and dice that the first one has now.
  settingsOf(preset, own) {
    const kept = { ...(this.tab.columns.get(0)?.settings.own ?? {}) };
    const first = kept.preset ?? 'Greedy';
    for (const name of Object.keys(FACTS.presets[first])) delete kept[name];
    delete kept.name;
    return own ? { ...kept, ...ownPresets.get(preset), name: preset } : { ...kept, preset };
  }
}
