// What a strategy does, opened by a small question mark: one note for the whole page.

const notes = {
  root: null,
  button: null,

  build() {
    this.root = h('div', 'strategy-note');
    this.root.id = 'strategy-note';
    this.root.popover = 'auto';
    this.root.setAttribute('role', 'dialog');
    this.root.tabIndex = -1;
    this.root.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault(); // Escape also stops a run.
      event.stopPropagation();
      this.root.hidePopover();
      this.button?.focus();
    });
    this.root.addEventListener('toggle', (event) => {
      this.button?.setAttribute('aria-expanded', String(event.newState === 'open'));
    });
    document.body.append(this.root);
  },

  open(button, name) {
    if (!this.root) this.build();
    this.button = button;
    this.root.replaceChildren(...this.content(FACTS.notes[name]));
    this.root.setAttribute('aria-label', `About ${name}`);
    this.root.showPopover();
    this.place(button);
    this.root.focus({ preventScroll: true });
  },

  content({ name, does, formula, paper, arxiv, fails, batch }) {
    const line = (label, ...parts) => {
      const row = h('p');
      row.append(h('b', '', label), ' ', ...parts);
      return row;
    };
    const source = [paper];
    if (arxiv) {
      const link = h('a', '', `arXiv ${arxiv}`);
      Object.assign(link, { href: `https://arxiv.org/abs/${arxiv}`, target: '_blank', rel: 'noreferrer' });
      source.push(', ', link);
    }
    return [
      h('h3', '', name), ...does.map((words) => h('p', '', words)), h('pre', '', formula),
      line('Fails:', fails), line('Paper:', ...source), line('Work:', batch),
    ];
  },

  // Below its button, or above where there is more room; on a phone the sheet's own rule holds.
  place(button) {
    const { style } = this.root;
    style.left = style.top = '';
    if (window.innerWidth <= 640) return;
    const at = button.getBoundingClientRect();
    const { width, height } = this.root.getBoundingClientRect();
    const below = at.bottom + 6 + height <= window.innerHeight || at.top < height + 6;
    style.left = `${Math.max(8, Math.min(at.left - 12, window.innerWidth - width - 8))}px`;
    style.top = `${below ? Math.min(at.bottom + 6, window.innerHeight - height - 8) : at.top - height - 6}px`;
  },
};

// The question mark; `preset` says which strategy it stands at.
function noteButton(preset) {
  const button = h('button', 'about', '?');
  button.type = 'button';
  button.setAttribute('aria-haspopup', 'dialog');
  button.setAttribute('aria-expanded', 'false');
  // Pressing anywhere closes an open note, so by the click nothing tells that it was this one's.
  let closes = false;
  button.addEventListener('pointerdown', () => { closes = button.getAttribute('aria-expanded') === 'true'; });
  button.addEventListener('click', () => {
    if (closes) closes = false;
    else notes.open(button, preset());
  });
  return button;
}
