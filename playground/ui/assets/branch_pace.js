// Pause, one step, go on, and how fast: for every run of the tab.

class PaceBar {
  constructor(root, { act, amend }) {
    Object.assign(this, { root, act, live: false, held: false });
    root.classList.add('bp');
    root.setAttribute('role', 'group');
    root.setAttribute('aria-label', 'Pace');
    this.pause = button('', 'tool pause', () => this.toggle());
    this.pauseWord = h('span');
    this.pause.append(this.pauseWord, h('kbd', '', 'P'));
    this.step = button('', 'tool', () => this.once(), 'Choose one token more, then wait');
    this.step.append(h('span', '', 'One step'), h('kbd', '', 'N'));
    this.speed = h('input');
    Object.assign(this.speed, { type: 'range', min: 0, step: 1 });
    this.speed.setAttribute('aria-label', 'Speed');
    this.words = h('span', 'words');
    const label = h('label', 'speed');
    label.append(h('span', '', 'Speed'), this.speed, this.words);
    this.amend = button('Use the settings for the next token', 'tool', () => amend({}));
    this.lacks = h('p', 'lacks');
    this.lacks.setAttribute('role', 'status');
    root.append(this.pause, this.step, label, this.amend, this.lacks);
    this.speed.addEventListener('input', () => {
      put(this.words, this.speeds[Number(this.speed.value)]);
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => {
        this.waiting = null;
        act({ do: 'speed', speed: Number(this.speed.value) });
      }, 150);
    });
    document.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('served-models', () => { if (this.value) this.take(this.value); });
  }

  // Why nothing can be held back: what runs is on a server, or what would run next is.
  get why() { return this.value.live ? this.value.why : window.decoding?.served.whyNot('tokens', 'pace') ?? ''; }

  take(value) {
    this.value = value;
    const { live, held, speed, speeds } = value;
    Object.assign(this, { live, held, speeds });
    if (live) this.root.classList.add('lived');
    put(this.pauseWord, held && live ? 'Go on' : 'Pause');
    this.pause.title = held ? 'Let the runs go on' : 'Let the runs wait after the token they are at';
    const { why } = this;
    this.pause.disabled = this.step.disabled = !live || why !== '';
    this.amend.disabled = !(live && held) || why !== '';
    this.speed.disabled = why !== '';
    put(this.lacks, why);
    this.lacks.hidden = !why;
    this.amend.title = live && held ? 'What the settings say now holds from the next token on'
      : 'Pause a run, change the settings, and use them from there on';
    this.speed.max = speeds.length - 1;
    if (this.waiting || document.activeElement === this.speed) return;
    this.speed.value = speed;
    this.speed.setAttribute('aria-valuetext', speeds[speed]);
    put(this.words, speeds[speed]);
  }

  toggle() { this.act({ do: this.held ? 'go' : 'pause' }); }

  once() { this.act({ do: 'step' }); }

  key(event) {
    if (!this.live || this.why || this.root.offsetParent === null || event.defaultPrevented || typing(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = { p: () => this.toggle(), n: () => this.once() }[event.key.toLowerCase()];
    if (!does) return;
    event.preventDefault();
    does();
  }
}
