// One lane: header, status, tokens, figures. Takes slices, fills gaps, draws once a frame.

const VIEWS = { text: 'Text', tokens: 'Tokens', table: 'Table' };
const TOKENS_A_FRAME = 400;

class Lane {
  constructor(root, { props, server, branch }) {
    Object.assign(this, { root, server, branch, props, name: props.name, kind: 'lane' });
    this.canBranch = props.can_branch === true;
    this.measure = choices.get(this.name, 'measure', 'probability');
    if (!MEASURES[this.measure]) this.measure = 'probability';
    this.build();
    this.clear();
    const view = choices.get(this.name, 'view', props.view);
    this.setView(VIEWS[view] ? view : 'text');
    this.setMeasure(this.measure);
    choices.lanes.add(this);
  }

  build() {
    const { root } = this;
    root.classList.add('ts');
    this.title = h('h2', 'title');
    this.sub = h('span', 'sub');
    this.say = h('span', 'say');
    this.say.setAttribute('role', 'status');
    this.say.setAttribute('aria-live', 'polite');
    this.more = h('span', 'more');
    this.bar = h('div', 'progress');
    this.bar.append(h('i'));
    const names = h('div', 'names');
    names.append(this.title, this.sub);
    const top = h('div', 'top');
    top.append(names, this.switch());
    const status = h('div', 'status');
    status.append(h('i', 'dot'), this.say, this.more);
    const header = h('header');
    header.append(top, status, this.bar);
    const main = h('div', 'main');
    main.style.height = `${Number(this.props.height) || 320}px`;
    this.body = h('div', 'body');
    this.body.setAttribute('role', 'group');
    this.hint = h('p', 'hint');
    this.notices = h('div', 'notices');
    this.leading = h('div', 'leading');
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.beams = new BeamsPanel();
    main.append(this.promptBlock(), this.body, this.beams.root, this.problem, this.legend());
    this.stats = h('dl', 'stats');
    root.append(header, main, this.stats);
    this.body.addEventListener('scroll', () => this.scrolled(), { passive: true });
    listenForTokens(this.body, this);
    new ResizeObserver(() => this.resized()).observe(this.body);
  }

  switch() {
    const group = h('div', 'switch');
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'View');
    for (const [view, label] of Object.entries(VIEWS)) {
      const button = h('button', '', label);
      button.type = 'button';
      button.dataset.view = view;
      button.addEventListener('click', () => choices.set(this.name, 'view', view));
      group.append(button);
    }
    this.buttons = [...group.children];
    return group;
  }

  legend() {
    this.legendBox = h('div', 'legend');
    const label = h('label', '', 'Tint: ');
    this.select = h('select');
    for (const [value, { label: words }] of Object.entries(MEASURES)) {
      const option = h('option', '', words);
      option.value = value;
      this.select.append(option);
    }
    this.select.addEventListener('change', () => choices.set(this.name, 'measure', this.select.value));
    label.append(this.select);
    this.scale = h('span', 'scale');
    this.legendBox.append(label, this.scale);
    return this.legendBox;
  }

  promptBlock() {
    this.prompt = h('details', 'prompt');
    this.prompt.open = this.props.open_prompt === true;
    this.promptSummary = h('summary');
    this.promptPieces = new Pieces();
    this.prompt.append(this.promptSummary, this.promptPieces.root);
    this.prompt.addEventListener('toggle', () => this.openPrompt());
    return this.prompt;
  }

  clear() {
    if (popover.lane === this || popover.lane === this.promptPieces) popover.close();
    Object.assign(this, {
      key: '', revision: 0, tokens: [], total: 0, tail: '', state: 'new', current: null,
      filling: false, sticky: true, searchText: '',
    });
    this.prompt.hidden = true;
    this.promptPieces.set([]);
    this.beams.clear();
    this.notices.replaceChildren();
    this.body.replaceChildren(this.hint);
    this.view = null;
    if (this.viewName) this.makeView();
  }

  // One message from the server, as a string; see TokenFeed in token_feed.py.
  take(value) {
    if (!value) return;
    const message = JSON.parse(value);
    const key = message.key ?? '';
    if (key !== this.key || !key) {
      this.clear();
      this.key = key;
    } else if (message.revision < this.revision) {
      return;
    }
    this.message = message;
    this.revision = message.revision ?? 0;
    this.total = message.n ?? 0;
    this.tail = message.tail ?? '';
    this.state = message.state;
    this.searchText = message.leading ?? '';
    if (message.beams) this.beams.take(message.beams);
    if (message.rows) this.append(message.from, message.rows);
    if (this.tokens.length < this.total) this.fill();
    this.wake();
  }

  append(from, rows) {
    if (from > this.tokens.length) return;
    for (const row of rows.slice(this.tokens.length - from)) this.tokens.push(readToken(row));
  }

  // Asks the server for tokens that no message brought: a hidden tab, a reload, a lost slice.
  async fill() {
    if (this.filling) return;
    this.filling = true;
    const { key } = this;
    try {
      while (key === this.key && this.tokens.length < this.total) {
        const from = this.tokens.length;
        const answer = await this.ask('token_stream_tokens', { key, from });
        if (key !== this.key || !answer) return;
        if (answer.gone || !answer.rows.length) {
          this.giveUp();
          break;
        }
        this.append(from, answer.rows);
        this.wake();
      }
    } finally {
      if (key === this.key) this.filling = false;
    }
  }

  // A question to the server; null when it cannot be reached, and the next message asks again.
  async ask(name, request) {
    try {
      return JSON.parse(await this.server[name](request));
    } catch {
      this.say.textContent = 'The server does not answer.';
      return null;
    }
  }

  // The server has forgotten the run: what this message holds is shown, the hole is said.
  giveUp() {
    const { from, rows } = this.message;
    while (this.tokens.length < from) this.tokens.push(null);
    this.append(from, rows);
    this.notice('Earlier tokens are no longer kept on the server.');
    this.wake();
  }

  notice(words) { this.notices.append(h('p', 'notice', words)); }

  wake() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    this.drawHead();
    const searching = this.searchText !== '' && !this.tokens.length;
    this.beams.draw(searching, this.message.score);
    this.leading.hidden = !searching;
    if (searching) {
      if (!this.leading.isConnected) this.body.append(this.leading);
      writeReadable(this.leading, this.searchText.replace(/^ /, ''));
    }
    const unfinished = this.view.draw(TOKENS_A_FRAME);
    this.hint.hidden = searching || this.key !== '' || this.state !== 'new';
    if (this.current === null && this.viewName !== 'table') this.firstStop();
    if (this.sticky && !this.held()) this.body.scrollTop = this.body.scrollHeight;
    if (this.viewName === 'table') this.view.scroll();
    if (unfinished) this.wake();
  }

  drawHead() {
    const { message } = this;
    const put = (element, words) => { if (element.textContent !== words) element.textContent = words; };
    put(this.title, message.title ?? '');
    this.title.hidden = !message.title;
    put(this.sub, message.sub ?? '');
    this.sub.title = message.sub ?? '';
    put(this.hint, message.hint || this.props.hint || '');
    put(this.say, message.say ?? '');
    put(this.more, message.more ?? '');
    put(this.problem, message.problem ?? '');
    this.problem.hidden = !message.problem;
    this.root.dataset.state = this.state === 'new' && this.key ? 'queued' : this.state;
    const bar = message.bar ?? null;
    this.bar.classList.toggle('on', bar !== null);
    this.bar.classList.toggle('unknown', bar === -1);
    this.bar.firstChild.style.transform = bar === null || bar < 0 ? '' : `scaleX(${bar})`;
    if (message.prompt !== undefined && this.prompt.hidden) this.showPrompt(message);
    this.drawStats(message.stats ?? []);
    this.body.setAttribute('aria-label', `Tokens of ${this.title.textContent || 'the answer'}`);
  }

  showPrompt({ prompt, notices }) {
    this.prompt.hidden = false;
    this.promptSummary.textContent = `Prompt as the model sees it · ${prompt} tokens`;
    for (const words of notices ?? []) this.notice(words);
    if (!this.notices.isConnected) this.body.prepend(this.notices);
    this.openPrompt();
  }

  async openPrompt() {
    if (!this.prompt.open || this.promptPieces.pieces.length || !this.key) return;
    const { key } = this;
    const answer = await this.ask('token_stream_prompt', { key });
    if (key !== this.key || !answer) return;
    if (answer.gone) this.promptPieces.root.textContent = 'The prompt is no longer kept on the server.';
    else this.promptPieces.set(answer.pieces);
  }

  drawStats(stats) {
    const known = [...this.stats.children];
    stats.forEach(([value, unit, help], k) => {
      let pair = known[k];
      if (!pair) {
        pair = h('div');
        pair.append(h('dd'), h('dt'));
        this.stats.append(pair);
      }
      const [dd, dt] = pair.children;
      if (dd.textContent !== value) dd.textContent = value;
      if (dt.textContent !== unit) dt.textContent = unit;
      pair.title = help;
    });
    for (const pair of known.slice(stats.length)) pair.remove();
  }

  chosen(what, value) {
    if (what === 'view') this.setView(value);
    else this.setMeasure(value);
  }

  setView(view) {
    if (view === this.viewName) return;
    this.viewName = view;
    this.root.dataset.view = view;
    for (const button of this.buttons) button.setAttribute('aria-pressed', button.dataset.view === view);
    this.makeView();
    if (this.message) this.wake();
  }

  makeView() {
    this.view?.root.remove();
    if (popover.lane === this) popover.close();
    this.view = this.viewName === 'table' ? new TableView(this)
      : new RunningView(this, this.viewName === 'tokens');
    if (this.notices.childElementCount) this.body.append(this.notices);
    this.body.append(this.view.root);
    this.current = null;
  }

  setMeasure(measure) {
    this.measure = measure;
    this.root.dataset.measure = measure;
    this.select.value = measure;
    const { plain, strong, steps } = MEASURES[measure];
    this.scale.replaceChildren(h('span', 'words', plain));
    steps.forEach((words, level) => {
      const swatch = h('span', `swatch ${measure[0]}${level}`, words);
      swatch.title = words;
      this.scale.append(swatch);
    });
    this.scale.append(h('span', 'words', strong));
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.body;
    this.sticky = scrollHeight - scrollTop - clientHeight < 24;
    if (this.viewName === 'table') this.view.scroll();
  }

  // The lane was hidden, or its width changed.
  resized() {
    if (!this.message || !this.view) return;
    if (this.sticky && !this.held()) this.body.scrollTop = this.body.scrollHeight;
    if (this.viewName === 'table') this.view.scroll();
  }

  // While somebody reads the candidates of a token here, the text does not run away under it.
  held() { return popover.lane === this; }

  released() { if (this.sticky) this.wake(); }

  firstStop() {
    const first = this.neighbour(-1, 1);
    const element = first === null ? null : this.elementOf(first);
    if (!element) return;
    this.current = first;
    element.tabIndex = 0;
  }

  styleCurrent(i, element) { element.tabIndex = i === this.current ? 0 : -1; }

  elementOf(i) { return this.view.elementOf(i); }

  neighbour(i, turn) {
    const { length } = this.tokens;
    for (let k = i === Infinity ? length - 1 : i + turn; k >= 0 && k < length; k += turn) {
      if (this.view.has(k)) return k;
    }
    return null;
  }

  vertical(i, turn) { return this.view.vertical(i, turn); }

  focusToken(i) { rove(this, i); }

  label(i) {
    const token = this.tokens[i];
    const kind = token.special ? ', control token' : isHalf(token) ? ', part of a character' : '';
    return `token ${i + 1} of ${this.tokens.length}: ${spoken(shownOf(token))}${kind}, `
      + `${percent(probabilityOf(token.logprob))}, rank ${token.rank}`;
  }
}
