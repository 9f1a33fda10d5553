// The rows of what a lane has beside its decoding: the picker of its model.

const ANOTHER = '\u0000another';

// A select of the models that are offered; where any may be used, one may be typed as well.
class PickerRow extends Row {
  constructor(row, write, limits, { drafts, any }) {
    super(row, write);
    this.root.classList.add('wide');
    this.known = new Set(drafts.map(([, repo]) => repo));
    const select = this.field('select');
    for (const [label, repo] of drafts) select.add(new Option(label, repo));
    select.addEventListener('change', () => this.pick(select.value));
    this.finish(this.head(), select);
    if (!any) return;
    select.add(new Option('Another…', ANOTHER));
    this.box = h('input');
    Object.assign(this.box, { type: 'text', spellcheck: false, placeholder: 'A Hub id, or a folder', hidden: true });
    this.box.setAttribute('aria-label', `${row.label}: Hub id or folder`);
    this.box.addEventListener('change', () => { if (this.box.value.trim()) this.write(this.name, this.box.value.trim()); });
    select.after(this.box);
  }

  pick(value) {
    if (value !== ANOTHER) { this.typing = false; this.write(this.name, value); return; }
    this.typing = true;
    this.box.hidden = false;
    this.box.focus();
    this.box.select();
  }

  put(value) {
    const known = this.known.has(value);
    if (this.typing && document.activeElement === this.box && known) return;
    if (known) this.typing = false;
    this.input.value = known ? value : ANOTHER;
    if (!this.box) return;
    this.box.hidden = known;
    if (document.activeElement !== this.box) this.box.value = known ? '' : value;
  }
}

KINDS.picker = PickerRow;
