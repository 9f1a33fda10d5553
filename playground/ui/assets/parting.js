// Under lanes side by side: where each leaves the compared one, what each gave the other's choice,
// entropy and divergence token by token, and a word diff; pointing at a token in one lane marks the
// one that stands for it in the others.

const PARTING_PLACES = 16; // strips grow in steps, so that they do not shake while text streams

class Parting {
  static all = new Set();

  constructor(root, { props, server, refer }) {
    Object.assign(this, { root, server, refer, name: props.name, shy: props.shy === true, rows: new Map(), pointed: [] });
    this.message = { lanes: [], running: false, reference: 0 };
    this.way = 'tokens';
    root.classList.add('ts');
    this.build();
    Parting.all.add(this);
  }

  build() {
    const top = h('div', 'parting-top');
    const label = h('label', 'refer', 'Compare with');
    this.select = h('select');
    this.select.addEventListener('change', () => this.refer({ column: Number(this.select.value) }));
    label.append(this.select);
    const group = h('div', 'switch');
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'Differences by');
    this.ways = [['tokens', 'Tokens'], ['words', 'Words']].map(([way, words]) => {
      const button = h('button', '', words);
      button.type = 'button';
      button.addEventListener('click', () => this.choose(way));
      group.append(button);
      return [way, button];
    });
    top.append(h('h2', 'parting-title', 'Where they part'), label, group);
    this.hint = h('p', 'hint', 'Two lanes or more, and here stands at which token each leaves the other, and what '
      + 'each gave the other’s choice.');
    this.list = h('div', 'parting-rows');
    this.readout = h('p', 'readout');
    this.key = h('p', 'key');
    this.reading = h('details', 'reading');
    this.reading.append(h('summary', '', 'How to read this'), this.key);
    this.spoken = h('p', 'unseen');
    this.spoken.setAttribute('role', 'status');
    this.root.append(top, this.hint, this.list, this.readout, this.reading, this.spoken);
    this.choose('tokens');
  }

  choose(way) {
    this.way = way;
    this.root.dataset.way = way;
    for (const [name, button] of this.ways) button.setAttribute('aria-pressed', String(name === way));
    this.draw();
  }

  take(message) {
    const before = this.message;
    this.message = { lanes: [], running: false, reference: 0, ...message };
    const { lanes, running, said, reference } = this.message;
    const news = !running && (before.running || before.reference !== reference);
    if (news && said) put(this.spoken, said);
    else if (running) put(this.spoken, '');
    const titles = lanes.map(({ column, title, key }) => `${column}:${title}:${key !== ''}`).join('\n');
    if (titles !== this.titles) {
      this.titles = titles;
      const could = lanes.filter(({ key }) => key);
      this.select.replaceChildren(...could.map(({ column, title }) => new Option(title, column)));
      if (!could.length) this.select.add(new Option('–', 0));
    }
    this.select.value = String(reference);
    this.select.disabled = lanes.length < 2;
    this.wake();
  }

  // Once a frame, when the lanes have taken what came in the same moment.
  wake() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  get reference() { return this.message.lanes.find(({ column }) => column === this.message.reference) ?? null; }

  laneOf({ key }) {
    if (!key) return null;
    for (const lane of choices.lanes) {
      if (lane.name === this.name && lane.key === key && lane.root.isConnected) return lane;
    }
    return null;
  }

  tokensOf(told) { return this.laneOf(told)?.tokens ?? []; }

  draw() {
    const { lanes, running } = this.message;
    const { reference } = this;
    const others = lanes.filter((told) => told !== reference);
    this.hint.hidden = others.length > 0;
    this.root.hidden = this.shy && !others.length;
    for (const part of [this.readout, this.reading]) part.hidden = !others.length || this.way !== 'tokens';
    for (const [column, row] of this.rows) {
      if (!others.some((told) => told.column === column)) { row.root.remove(); this.rows.delete(column); }
    }
    if (!others.length) return;
    const scale = { ...this.scale(lanes), style: getComputedStyle(this.root) };
    others.forEach((told, place) => {
      const row = this.rowOf(told.column);
      if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
      this.drawRow(row, told, scale);
    });
    put(this.key, this.keyOf(others));
    if (!this.pointed.length) put(this.readout, running ? 'Writing …' : 'Point at a strip or a token: its place is marked in every lane.');
  }

  scale(lanes) {
    const counts = lanes.map((told) => this.tokensOf(told).length);
    const longest = Math.max(1, ...counts);
    let most = LEAST_ENTROPY;
    for (const told of lanes) for (const token of this.tokensOf(told)) most = Math.max(most, token?.entropy || 0);
    return { places: Math.ceil(longest / PARTING_PLACES) * PARTING_PLACES, most };
  }

  keyOf(others) {
    const name = this.reference?.title ?? '';
    const drawn = others.filter(({ divergence }) => divergence?.length);
    const chosen = drawn.length > 0 && drawn.every((told) => told.chosen);
    const mixed = drawn.some((told) => told.chosen) && !chosen;
    const what = mixed ? 'the models’ own distributions, or of those that were chosen from where the models’ are the same'
      : chosen ? 'the distributions that were chosen from (the model’s own are the same)' : 'the models’ own distributions';
    const words = [`Bars: a lane’s entropy, line: that of ${name}; both the model’s own, in nats.`];
    if (drawn.length) {
      words.push(`Below: Jensen–Shannon divergence of ${what}, where both wrote the same before; its square root is `
        + 'drawn. It is a lower bound: the least that fits the candidates that were told.');
    }
    words.push('Percentages and ranks are the model’s own, before any setting; what a token was drawn with is after all of them.');
    return words.join(' ');
  }

  rowOf(column) {
    let row = this.rows.get(column);
    if (row) return row;
    const root = h('section', 'parting-row');
    const title = h('h3');
    const words = h('p', 'words');
    const numbers = h('p', 'numbers');
    const diff = h('p', 'diff');
    diff.dir = 'auto';
    const told = () => this.message.lanes.find((one) => one.column === column);
    const strip = new Strip({
      point: (i) => (i === null ? this.unpoint() : this.point(told(), i)),
      open: (i) => this.open(told(), i),
      words: (i) => this.wordsOf(told(), i),
    });
    root.append(title, words, numbers, strip.root, diff);
    row = { root, title, words, numbers, strip, diff, told: '', asked: '' };
    this.rows.set(column, row);
    return row;
  }

  drawRow(row, told, { places, most, style }) {
    put(row.title, told.title);
    const said = JSON.stringify([told.words, told.numbers]);
    if (said !== row.told) {
      row.told = said;
      this.sentence(row.words, told.words);
      this.sentence(row.numbers, told.numbers ?? []);
    }
    const words = this.way === 'words';
    row.strip.root.hidden = words || !told.key;
    row.diff.hidden = !words || !told.key;
    if (words) {
      this.askWords(row, told);
    } else if (told.key) {
      row.strip.show({
        places, most, style, mine: this.tokensOf(told).map((token) => token?.entropy || 0),
        others: this.reference ? this.tokensOf(this.reference).map((token) => token?.entropy || 0) : [],
        divergence: told.divergence ?? null, leaves: told.at, shared: told.shared?.[0] ?? 0,
      }, told.title);
    }
  }

  sentence(box, parts) {
    box.replaceChildren(...parts.map((part) => (
      typeof part === 'string' ? part : writeToken(h('code', ''), part.token)
    )));
  }

  // The diff is asked for when somebody reads it, and anew when there is more text.
  async askWords(row, told) {
    const { reference } = this;
    if (!reference || row.asking) return;
    const wanted = [reference.key, told.key, this.tokensOf(reference).length, this.tokensOf(told).length, this.message.running].join();
    if (wanted === row.asked) return;
    row.asking = true;
    let answer = null;
    try {
      answer = JSON.parse(await this.server.parting_words({ first: reference.key, second: told.key }));
      row.asked = wanted;
    } catch {
      answer = { problem: 'The server does not answer.' };
    }
    row.asking = false;
    const words = answer.problem ?? (answer.gone ? 'These texts are no longer kept on the server. Run them again.' : '');
    row.diff.replaceChildren(...(words ? [words] : answer.changes.map(([kind, text]) => (
      writeReadable(h({ gone: 'del', new: 'ins', same: 'span' }[kind], kind), text)
    ))));
    row.diff.setAttribute('aria-label', `What ${told.title} has for ${reference.title}`);
  }

  // The token of the compared lane for token `i` of a lane, and back; null without one.
  across(told, i) {
    if (told === this.reference) return i;
    if (told.at !== null && i === told.at) return told.there;
    const run = (told.aligned ?? []).find(([a, , count]) => a <= i && i < a + count);
    return run ? run[1] + i - run[0] : null;
  }

  back(told, i) {
    if (told === this.reference || i === null) return i;
    if (told.at !== null && i === told.there) return told.at;
    const run = (told.aligned ?? []).find(([, b, count]) => b <= i && i < b + count);
    return run ? run[0] + i - run[1] : null;
  }

  // The reader is at token `i` of a lane: what stands for it is marked in the others.
  point(told, i) {
    const { reference } = this;
    if (!told || !reference) return;
    const middle = this.across(told, i);
    const places = this.message.lanes.map((one) => [one, one === told ? i : this.back(one, middle)]);
    this.unpoint();
    this.pointed = places;
    for (const [one, place] of places) {
      this.laneOf(one)?.parts.point(place);
      this.rows.get(one.column)?.strip.mark(place);
    }
    put(this.readout, this.wordsOf(told, i));
  }

  unpoint() {
    for (const [one] of this.pointed) {
      this.laneOf(one)?.parts.point(null);
      this.rows.get(one.column)?.strip.mark(null);
    }
    this.pointed = [];
  }

  wordsOf(told, i) {
    if (!told) return '';
    const middle = this.across(told, i);
    const several = this.message.lanes.length > 2 && told !== this.reference;
    const shown = several ? [told, this.reference] : [told, ...this.message.lanes.filter((one) => one !== told)];
    const lane = this.laneOf(told);
    const parts = [`Token ${lane ? lane.numberOf(i) : i + 1}`];
    for (const one of shown.slice(0, 2)) {
      const place = one === told ? i : this.back(one, middle);
      const token = place === null ? null : this.tokensOf(one)[place];
      parts.push(token ? `${one.title} “${shownOf(token).replaceAll('\n', '⏎')}” ${percent(probabilityOf(token.logprob))}, entropy ${figure(token.entropy, 2)}`
        : `${one.title} –`);
    }
    const thousandths = told.divergence?.[i];
    if (thousandths !== undefined) parts.push(`divergence at least ${(thousandths / 1000).toFixed(3)} bits`);
    return parts.join(' · ');
  }

  // Brings a place into sight in every lane that has it, without moving the page.
  open(told, i) {
    this.point(told, i);
    for (const [one, place] of this.pointed) {
      const lane = this.laneOf(one);
      const element = place === null ? null : lane?.elementOf(place);
      if (!element) continue;
      const box = lane.body.getBoundingClientRect();
      const at = element.getBoundingClientRect();
      if (at.top < box.top || at.bottom > box.bottom) lane.body.scrollTop += at.top - box.top - box.height / 2;
    }
  }

  // A pointer or the focus came to `target`, somewhere on the page.
  hear(target) {
    const token = target.closest?.('.ts .body [data-i]');
    if (token) {
      for (const told of this.message.lanes) {
        const lane = this.laneOf(told);
        if (!lane?.body.contains(token)) continue;
        this.point(told, Number(token.dataset.i));
        return;
      }
    }
    if (this.pointed.length && !this.root.contains(target) && !target.closest?.('.token-popover')) this.unpoint();
  }
}

for (const kind of ['pointerover', 'focusin']) {
  document.addEventListener(kind, (event) => {
    for (const panel of Parting.all) {
      if (!panel.root.isConnected) Parting.all.delete(panel);
      else if (panel.message.lanes.length > 1) panel.hear(event.target);
    }
  }, { passive: true });
}
