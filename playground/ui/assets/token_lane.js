// One lane: takes slices, fills gaps, draws its parts once a frame.

const TOKENS_A_FRAME = 400;
// What a reader can choose for all lanes of one name, and what it is before that.
const CHOICES = { measure: 'probability', top: '5', figures: 'percent', view: 'text' };

class Lane {
  constructor(root, { props, server, branch, look }) {
    Object.assign(this, { root, server, branch, look, props, name: props.name, kind: 'lane' });
    this.canBranch = props.can_branch === true;
    this.isGiven = props.given === true;
    this.build();
    this.clear();
    for (const [what, otherwise] of Object.entries(CHOICES)) {
      this.chosen(what, choices.get(this.name, what, what === 'view' ? props.view : otherwise));
    }
    choices.lanes.add(this);
  }

  build() {
    const { root } = this;
    const choose = (what, value) => choices.set(this.name, what, value);
    root.classList.add('ts');
    this.head = new Head((view) => choose('view', view));
    this.say = this.head.say;
    const main = h('div', 'main');
    main.style.height = `${Number(this.props.height) || 320}px`;
    this.body = h('div', 'body');
    this.body.setAttribute('role', 'group');
    this.hint = h('p', 'hint');
    this.notices = h('div', 'notices');
    this.leading = h('div', 'leading');
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.legend = new Legend(choose, { save: () => this.saveTable(), copy: () => this.copyTable() });
    this.prompt = new PromptBlock(this);
    main.append(this.problem, this.prompt.root, this.body, this.legend.root);
    this.stats = h('dl', 'stats');
    this.docks = [];
    this.panels = new Panels(this);
    root.append(this.head.root, main, this.panels.root, this.stats);
    this.body.addEventListener('scroll', () => this.scrolled(), { passive: true });
    listenForTokens(this.body, this);
    new ResizeObserver(() => this.resized()).observe(this.body);
  }

  clear() {
    if (popover.lane === this || popover.lane === this.prompt.pieces) popover.close();
    Object.assign(this, {
      key: '', revision: 0, tokens: [], total: 0, tail: '', state: 'new', current: null,
      filling: null, sticky: true, searchText: '', first: 0, draws: true, lacks: {},
    });
    this.root.dataset.state = 'new';  // with its tokens, and not a frame later
    this.prompt.clear();
    this.panels.tell('clear');
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
    if (message.unfold) this.prompt.root.open = true;
    this.message = message;
    this.revision = message.revision ?? 0;
    this.total = message.n ?? 0;
    this.tail = message.tail ?? '';
    this.state = message.state;
    this.searchText = message.leading ?? '';
    this.first = message.first ?? 0;
    this.draws = message.draws !== false;
    this.lacks = message.lacks ?? {};
    if (message.rows) this.append(message.from, message.rows);
    if (this.tokens.length < this.total) this.fill();
    this.panels.tell('take', message);
    this.wake();
  }

  append(from, rows) {
    if (from > this.tokens.length) return;
    for (const row of rows.slice(this.tokens.length - from)) this.tokens.push(readToken(row));
  }

  // Asks the server for tokens that no message brought: a hidden tab, a reload, a lost slice.
  fill() {
    const { key } = this;
    this.filling ??= this.fillFrom(key).finally(() => { if (key === this.key) this.filling = null; });
    return this.filling;
  }

  async fillFrom(key) {
    while (key === this.key && this.tokens.length < this.total) {
      const from = this.tokens.length;
      const answer = await this.ask('token_stream_tokens', { key, from });
      if (key !== this.key || !answer) return;
      if (answer.gone || !answer.rows.length) {
        this.giveUp();
        return;
      }
      this.append(from, answer.rows);
      this.wake();
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
    this.panels.tell('draw');
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
    this.head.draw(message);
    put(this.hint, message.hint || this.props.hint || '');
    put(this.problem, message.problem ?? '');
    this.problem.hidden = !message.problem;
    this.root.dataset.state = this.state === 'new' && this.key ? 'queued' : this.state;
    if (message.prompt !== undefined && this.prompt.root.hidden) this.showPrompt(message);
    drawStats(this.stats, message.stats ?? []);
    this.root.classList.toggle('empty', !this.tokens.length);
    this.body.setAttribute('aria-label', `Tokens of ${message.title || 'the answer'}`);
  }

  showPrompt({ prompt, notices }) {
    this.prompt.show(prompt);
    for (const words of notices ?? []) this.notice(words);
    if (!this.notices.isConnected) this.body.prepend(this.notices);
  }

  // What is kept in a browser may be anything.
  chosen(what, value) {
    if (what === 'view') this.setView(VIEWS[value] ? value : 'text');
    else if (what === 'measure') this.setMeasure(MEASURES[value] ? value : CHOICES.measure);
    else if (what === 'top' || what === 'figures') this.setTable(what, value);
  }

  setView(view) {
    if (view === this.viewName) return;
    this.viewName = view;
    this.root.dataset.view = view;
    this.head.press(view);
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
    this.legend.setMeasure(measure);
  }

  setTable(what, value) {
    const select = this.legend[what];
    select.value = value;
    if (select.selectedIndex < 0) select.value = CHOICES[what];
    this[what] = what === 'top' ? Number(select.value) : select.value;
    if (this.viewName !== 'table') return;
    this.makeView();
    if (this.message) this.wake();
  }

  // The whole table, with the rows that no message has brought yet.
  async table() {
    if (this.tokens.length < this.total) await this.fill();
    return csvOf(this.tokens, this.top, this.figures, this.first);
  }

  async saveTable() {
    const title = (this.message?.title || 'steps').replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 60);
    saveFile(`${title}.csv`, await this.table());
  }

  async copyTable() {
    const done = await copyText(await this.table());
    this.legend.said.textContent = done ? 'Copied.' : 'This browser does not let a page copy.';
    setTimeout(() => { this.legend.said.textContent = ''; }, 2500);
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.body;
    this.sticky = scrollHeight - scrollTop - clientHeight < 24;
    if (this.viewName === 'table') this.view.scroll();
  }

  // The lane was hidden, or its width changed.
  resized() {
    for (const dock of this.docks) dock.place();
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

  // Whether what a token shows is read in a panel below, which follows the keys.
  get reads() { return this.xray.isOpen; }

  // The reader has gone to this token.
  attend(i) { if (this.tokens[i]) this.panels.tell('attend', i); }

  // A wish for another way on from token `i`; see token_stream.py.
  fork(i, what, given = {}) {
    this.branch({ key: this.key, position: i + this.first, what, ...given });
  }

  // A wish to see how the layers came to token `i`, or to a piece of the prompt.
  lookInside(i) { if (!this.lacksInside) this.look({ key: this.key, position: i + this.first }); }

  lookInsidePrompt(i) { if (!this.lacksInside) this.look({ key: this.key, prompt: i }); }

  // Why it cannot be; nothing where it can.
  get lacksInside() { return this.lacks.inside; }

  // Tokens are counted from the beginning of the answer, also where a branch shows only its own.
  numberOf(i) { return i + 1 + this.first; }

  label(i) {
    const token = this.tokens[i];
    const kind = (token.special ? ', control token' : isHalf(token) ? ', part of a character' : '')
      + (token.forced ? ', put there by you' : '') + this.proposed.say(i) + this.parts.say(i);
    return `token ${this.numberOf(i)} of ${this.tokens.length + this.first}: ${spoken(shownOf(token))}${kind}, `
      + (Number.isNaN(token.logprob) ? 'probability not told' : percent(probabilityOf(token.logprob)))
      + (token.rank > 0 ? `, rank ${token.rank}` : '');
  }
}
