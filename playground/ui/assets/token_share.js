// A lane's run to take away: as a link, as code, as a file.

const SHARED = ['finished', 'failed'];

class Share {
  constructor(lane) {
    this.lane = lane;
    this.way = 'link';
    this.open = h('button', 'small share-open', 'Share');
    this.open.type = 'button';
    this.open.setAttribute('aria-expanded', 'false');
    this.open.addEventListener('click', () => (this.root.hidden ? this.show() : this.hide()));
    this.open.hidden = lane.isGiven;
    lane.head.tools.append(this.open);
    this.root = h('section', 'share');
    this.root.hidden = true;
    this.root.setAttribute('aria-label', 'Share this run');
    this.root.addEventListener('keydown', (event) => this.key(event));
    const close = this.button('Close', () => this.hide());
    this.all = h('input');
    this.all.type = 'checkbox';
    this.all.addEventListener('change', () => this.ask());
    this.allWords = h('span');
    this.allLabel = h('label', 'share-all');
    this.allLabel.append(this.all, this.allWords);
    this.help = h('p', 'share-help');
    this.text = h('textarea', 'share-text');
    this.text.readOnly = true;
    this.text.spellcheck = false;
    this.text.addEventListener('focus', () => { if (this.way === 'link') this.text.select(); });
    this.trouble = h('p', 'share-trouble');
    this.trouble.setAttribute('role', 'status');
    this.copy = this.button('Copy', () => this.copyIt());
    this.save = this.button('Save file', () => saveFile(this.told.name, this.told.text, this.told.kind));
    this.said = h('span', 'said');
    this.said.setAttribute('role', 'status');
    const top = h('div', 'share-top');
    top.append(this.choices(), close);
    const foot = h('div', 'share-foot');
    foot.append(this.copy, this.save, this.allLabel, this.said);
    this.root.append(top, this.help, this.text, this.trouble, foot);
    this.dock = new Dock(lane, this.root, { title: () => 'Share', close: () => this.hide() });
    this.clear();
  }

  choices() {
    const group = h('div', 'share-ways');
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'Share as');
    this.ways = Object.entries(WAYS).map(([way, { label }]) => {
      const button = this.button(label, () => this.choose(way));
      button.dataset.way = way;
      return button;
    });
    group.append(...this.ways);
    return group;
  }

  button(words, act) {
    const button = h('button', 'small', words);
    button.type = 'button';
    button.addEventListener('click', act);
    return button;
  }

  key(event) {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    this.hide();
    this.open.focus();
  }

  clear() {
    this.hide();
    this.told = null;
    this.open.disabled = true;
  }

  take() { this.open.disabled = !this.lane.key || !SHARED.includes(this.lane.state); }

  // The lanes beside it that have a run to share, itself among them, in order.
  get lanes() {
    const row = this.lane.root.closest('.lanes');
    const beside = row ? [...choices.lanes].filter(({ root, key, state }) => (
      row.contains(root) && root.offsetParent && key && SHARED.includes(state))) : [];
    beside.sort((a, b) => (a.root.compareDocumentPosition(b.root) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    return beside.length > 1 ? beside : [this.lane];
  }

  show() {
    for (const { root, share } of choices.lanes) {
      if (share !== this && share && !share.root.hidden && root.offsetParent) share.hide();
    }
    this.root.hidden = false;
    this.open.setAttribute('aria-expanded', 'true');
    const count = Math.min(8, this.lanes.length);
    this.allLabel.hidden = count < 2;
    this.allWords.textContent = this.lanes.length > 8 ? 'The first 8 lanes together' : count === 2 ? 'Both lanes together' : `All ${count} lanes together`;
    this.dock.place(true);
    this.choose(this.way);
    this.root.scrollIntoView({ block: 'nearest' });
  }

  hide() {
    this.root.hidden = true;
    this.open.setAttribute('aria-expanded', 'false');
    this.dock.place(false);
  }

  choose(way) {
    this.way = way;
    for (const button of this.ways) button.setAttribute('aria-pressed', button.dataset.way === way);
    this.root.dataset.way = way;
    this.all.disabled = WAYS[way].alone === true;
    this.allLabel.title = this.all.disabled ? `${WAYS[way].label} is of one lane.` : '';
    this.ask();
  }

  async ask() {
    const { way } = this;
    const lanes = this.all.checked && !this.all.disabled && !this.allLabel.hidden ? this.lanes.slice(0, 8) : [this.lane];
    const serial = this.serial = (this.serial ?? 0) + 1;
    this.help.textContent = WAYS[way].help;
    this.tell(null);
    const told = await this.lane.ask('token_stream_recipe', {
      keys: lanes.map(({ key }) => key), titles: lanes.map(({ message }) => message?.title ?? ''),
      what: way, origin: location.origin + location.pathname.replace(/\/$/, ''),
    });
    if (serial !== this.serial) return;
    if (told?.text && way === 'link') told.text = linkTo(told.text);
    this.tell(told ?? { problem: 'The server does not answer.' });
  }

  tell(told) {
    this.told = told;
    const text = told?.text ?? '';
    this.text.value = text;
    this.text.hidden = Boolean(told?.problem);
    this.text.setAttribute('aria-label', WAYS[this.way].label);
    put(this.trouble, told?.problem ?? told?.warns ?? '');
    this.trouble.hidden = !this.trouble.textContent;
    this.copy.disabled = !text;
    this.save.disabled = !text;
    this.save.hidden = this.way === 'link';
    this.save.textContent = told?.name ? `Save ${told.name}` : 'Save file';
    this.said.textContent = '';
    if (told?.says) this.help.textContent = `${told.says} ${text.length.toLocaleString('en')} characters.`;
  }

  async copyIt() {
    const done = await copyText(this.told.text);
    this.said.textContent = done ? 'Copied.' : 'Press Ctrl+C.';
    if (!done) this.text.select();
    setTimeout(() => { this.said.textContent = ''; }, 3000);
  }
}

PANELS.push((lane) => { lane.share = new Share(lane); return lane.share; });
