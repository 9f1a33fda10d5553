// Where a panel opens that needs more room than its lane has: below the row of lanes, at its width.

const NARROW = 480;
const WORTH_MOVING = 24; // pixels; a phone shows one lane, which is nearly as wide as the row

// `content` is moved out of its lane and back; what it belongs to stands above it out there.
class Dock {
  constructor(lane, content, { kind = '', title = () => '', close = null } = {}) {
    Object.assign(this, { lane, content, title });
    this.home = document.createComment('');
    this.card = h('section', 'ts docked');
    this.name = h('h3', 'docked-name');
    const top = h('div', 'docked-top');
    top.append(this.name);
    if (close) {
      const button = h('button', 'small', 'Close');
      button.type = 'button';
      button.addEventListener('click', close);
      top.append(button);
    }
    this.box = h('div', kind);
    this.card.append(top, this.box);
    lane.docks.push(this);
  }

  get isOut() { return this.content.parentNode === this.box; }

  // Puts the content where it belongs now that it is open, or is not.
  place(open = this.open) {
    this.open = open;
    const { root } = this.lane;
    const row = root.closest('.lanes');
    if (row && !row.clientWidth) return; // its tab is out of sight
    const width = root.clientWidth;
    const out = open && row !== null && width > 0 && width < NARROW && row.clientWidth - width > WORTH_MOVING;
    if (out) {
      const name = this.lane.message?.title ?? '';
      this.name.textContent = [name, this.title()].filter(Boolean).join(' · ');
      this.card.setAttribute('aria-label', this.name.textContent);
    }
    if (out === this.isOut) return;
    if (out) {
      this.content.replaceWith(this.home);
      this.box.append(this.content);
      dockOf(row).append(this.card);
    } else {
      this.home.replaceWith(this.content);
      this.card.remove();
    }
  }
}

// The place below a row of lanes, made when the first panel comes.
function dockOf(row) {
  if (!row.nextElementSibling?.classList.contains('dock')) row.after(h('div', 'dock'));
  return row.nextElementSibling;
}
