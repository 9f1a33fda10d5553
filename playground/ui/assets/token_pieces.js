// A prompt as the model sees it: every piece by itself, control tokens marked, ids in the panel.

class Pieces {
  constructor() {
    this.kind = 'pieces';
    this.pieces = [];
    this.canBranch = false;
    this.root = h('div', 'pieces running every');
    this.root.setAttribute('role', 'group');
    this.root.setAttribute('aria-label', 'Pieces of the prompt');
    listenForTokens(this.root, this);
  }

  set(pieces) {
    this.pieces = pieces;
    this.current = null;
    this.elements = [];
    this.root.replaceChildren();
    let line = null;
    pieces.forEach(([, text, special], i) => {
      if (!line) {
        line = h('div', 'line');
        this.root.append(line);
      }
      const span = writeToken(h('span', 'tok'), text, { special: special === 1 });
      span.dataset.i = i;
      if (i === 0) span.tabIndex = 0;
      this.elements.push(span);
      line.append(span, h('wbr'));
      if (text.includes('\n')) line = null;
    });
  }

  label(i) {
    const [id, text, special] = this.pieces[i];
    return `piece ${i + 1} of ${this.pieces.length}: ${spoken(text)}, id ${id}${special ? ', control token' : ''}`;
  }

  elementOf(i) { return this.elements[i] ?? null; }

  neighbour(i, turn) { return this.elements[i + turn] ? i + turn : null; }

  vertical(i, turn) { return RunningView.prototype.vertical.call(this, i, turn); }

  focusToken(i) { rove(this, i); }

  released() {}
}

// Reading tokens with pointer and keys, the same in every view. `host` has elementOf, neighbour,
// vertical, label, focusToken.
function listenForTokens(root, host) {
  const indexOf = (event) => {
    const element = event.target.closest?.('[data-i]');
    return element && root.contains(element) ? Number(element.dataset.i) : null;
  };
  root.addEventListener('pointerover', (event) => {
    const i = event.pointerType === 'touch' ? null : indexOf(event);
    if (i !== null) popover.hover(host, i, event.target.closest('[data-i]'));
  });
  root.addEventListener('pointerout', (event) => {
    if (event.pointerType !== 'touch' && indexOf(event) !== null) popover.leave();
  });
  root.addEventListener('click', (event) => {
    const i = indexOf(event);
    if (i === null || !getSelection().isCollapsed) return;
    host.focusToken(i);
    popover.show(host, i, event.target.closest('[data-i]'), true);
  });
  root.addEventListener('keydown', (event) => {
    const i = indexOf(event);
    if (i === null || event.altKey || event.ctrlKey || event.metaKey) return;
    const right = getComputedStyle(event.target).direction === 'rtl' ? -1 : 1;
    const next = {
      ArrowLeft: () => host.neighbour(i, -right),
      ArrowRight: () => host.neighbour(i, right),
      ArrowUp: () => host.vertical(i, -1),
      ArrowDown: () => host.vertical(i, 1),
      Home: () => host.neighbour(-1, 1),
      End: () => host.neighbour(Infinity, -1),
    }[event.key];
    if (next) {
      const to = next();
      if (to !== null) {
        host.focusToken(to);
        if (!host.reads) popover.show(host, to, host.elementOf(to), false);
      }
    } else if (event.key === 'i' && host.lookInside) {
      popover.close();
      host.lookInside(i);
    } else if (event.key === 'x' && host.xray && !host.lacks.xray) {
      popover.close();
      host.xray.toggle(i);
    } else if (event.key === 'Enter' || event.key === ' ') {
      popover.show(host, i, host.elementOf(i), true);
      popover.box.focus({ preventScroll: true });
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener('focusin', (event) => {
    const i = indexOf(event);
    if (i === null || !event.target.matches(':focus-visible')) return;
    rove(host, i);
    if (!popover.pinned && !popover.returning && !host.reads) popover.show(host, i, event.target, false);
  });
  root.addEventListener('focusout', () => popover.leave());
}

// Moves the one tab stop of `host` to token `i`; labels are written only when they are needed.
function rove(host, i) {
  const before = host.current === null ? null : host.elementOf(host.current);
  if (before && host.current !== i) before.tabIndex = -1;
  const element = host.elementOf(i);
  if (!element) return;
  host.current = i;
  element.tabIndex = 0;
  if (!element.hasAttribute('role')) element.setAttribute('role', 'button');
  element.setAttribute('aria-label', host.label(i));
  element.setAttribute('aria-haspopup', 'dialog');
  if (document.activeElement !== element) element.focus();
  host.attend?.(i);
}
