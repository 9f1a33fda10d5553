// The head of a lane: what it is set to, in its own words and in those of the server.

// The menu of presets of one column; `tab` knows which other columns choose with it.
function menuOf(settings, tab) {
  return new PresetMenu((name, own) => {
    if (tab) tab.choose(settings(), name, own);
    else if (own) settings().chooseOwn(name);
    else settings().choose(name);
  });
}

// What settings come to, in a quiet line, and under it what has no effect or what is wrong.
class Verdict {
  constructor() {
    this.root = h('div', 'verdict');
    this.summary = h('p', 'summary');
    this.ignored = h('p', 'ignored');
    this.problem = h('p', 'problem');
    this.root.append(this.summary, this.ignored, this.problem);
  }

  // In `brief`, what is to be done about a problem is left to the panel.
  show({ summary = '', ignored, problem, message }, edited = false, brief = false) {
    const idle = ignored?.length ? `ignored: ${ignored.join(', ')}` : '';
    for (const [line, words] of [[this.summary, edited && summary ? `changed · ${summary}` : summary], [this.ignored, idle], [this.problem, brief && message ? message : problem]]) {
      line.textContent = words ?? '';
      line.hidden = !words;
      line.title = words ?? '';
    }
  }
}

class Head {
  constructor(root, settings, number, tab, props) {
    Object.assign(this, { root, settings, number, tab });
    const name = `lane ${number + 1}`;
    this.menu = menuOf(() => settings, tab);
    this.menu.select.setAttribute('aria-label', `Strategy of ${name}`);
    this.about = noteButton(() => settings.preset);
    this.button = h('button', 'open', 'Settings');
    this.button.type = 'button';
    this.button.setAttribute('aria-label', `Settings of ${name}`);
    this.button.addEventListener('click', () => tab.panel?.toggle(number));
    this.verdict = new Verdict();
    const top = h('div', 'top');
    this.rows = this.fields(props);
    if (props.brief) {
      this.root.classList.add('brief');
      this.leaves = h('p', 'differs');
      top.append(h('strong', 'lane-name', `Lane ${number + 1}`), this.leaves, this.button);
    } else {
      top.append(this.menu.select, this.about, this.button);
    }
    root.append(...this.rows.map((row) => row.root), top, this.verdict.root);
    settings.views.add(this);
    this.show();
  }

  // What the lane has beside its decoding, as far as it shows that itself.
  fields(props) {
    const write = (name, value) => this.tab.write(this.settings, name, value);
    return (props.fields ?? []).map((name) => {
      const row = FACTS.fields[name];
      const numbered = { ...row, label: `${row.label} ${this.number + 1}` };
      if (row.kind === 'text') numbered.more = { rows: 1, placeholder: 'Empty: none.' };
      return new KINDS[row.kind](numbered, write, {}, { drafts: props.drafts, any: props.any_model });
    });
  }

  // How this lane's settings leave the others'.
  differs(names, count) {
    if (!this.leaves) return;
    const words = names.map((name) => settingWords(name, this.tab.told(this.settings, name)));
    this.leaves.textContent = words.join(' · ') || (count > 1 ? 'Same settings as the others' : '');
    this.leaves.title = this.leaves.textContent;
  }

  show() {
    const { settings } = this;
    this.menu.show(settings);
    this.about.setAttribute('aria-label', `What ${settings.preset} does`);
    for (const row of this.rows) {
      row.show(settings);
      if (row.name === 'system') row.root.hidden = settings.get('template') !== 'Chat template';
    }
    this.verdict.show(settings.verdict, settings.edited, true);
    this.sayOnce();
    if (this.parts?.classList.contains('quiet')) this.report(null);
    this.root.classList.toggle('bad', Boolean(settings.verdict.problem));
  }

  // A lane that was run with these settings says them itself, in the card below.
  sayOnce() {
    const { summary = '' } = this.settings.verdict;
    const isTold = summary !== '' && ` · ${this.ran ?? ''} · `.includes(` · ${summary} · `);
    this.verdict.summary.hidden = isTold || !summary || Boolean(this.leaves);
  }

  // What is known of the lane below: where it leaves the others, and its figures. Before a run the
  // same place says what the strategy does, so that nothing moves when one begins.
  report(lane) {
    if (!this.parts) {
      this.parts = h('p', 'parts');
      this.figures = h('p', 'figures');
      this.root.append(this.parts, this.figures);
    }
    this.ran = lane?.sub;
    this.sayOnce();
    const about = FACTS.notes[this.settings.preset]?.does[0] ?? '';
    const words = lane ? lane.parts : [about];
    const told = JSON.stringify(words);
    if (told !== this.told) {
      this.told = told;
      writeSentence(this.parts, words);
    }
    this.parts.classList.toggle('quiet', !lane);
    const line = lane ? lineOf(lane) : [];
    if (line.join() === this.line) return;
    this.line = line.join();
    this.figures.replaceChildren(...line.map((one) => h('span', '', one)));
    this.figures.title = line.join(', ');
  }

  // Whether the panel is open on this column.
  mark(open) {
    this.root.classList.toggle('edited', open);
    this.button.setAttribute('aria-expanded', String(open));
  }
}
