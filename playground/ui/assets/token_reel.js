// A strip of many equal columns that scrolls sideways. Only those in sight exist; while more come
// at its end it stays there, unless the reader has looked back.

class Reel {
  constructor(width, make) {
    this.width = width;
    this.make = make;
    this.root = h('div', 'reel');
    this.sheet = h('div', 'reel-sheet');
    this.root.append(this.sheet);
    this.columns = new Map();
    this.root.addEventListener('scroll', () => this.scrolled(), { passive: true });
    new ResizeObserver(() => { this.follow(); this.fill(); this.changed?.(); }).observe(this.root);
    this.clear();
  }

  clear() {
    this.count = 0;
    this.atEnd = true;
    this.columns.clear();
    this.sheet.replaceChildren();
    this.sheet.style.width = '0';
  }

  // There are so many columns now.
  reach(count) {
    if (count !== this.count) {
      this.count = count;
      this.sheet.style.width = `${count * this.width}px`;
      this.follow();
    }
    this.fill();
  }

  follow() { if (this.atEnd && this.root.clientWidth) this.root.scrollLeft = this.root.scrollWidth; }

  scrolled() {
    const { scrollLeft, scrollWidth, clientWidth } = this.root;
    this.atEnd = scrollWidth - scrollLeft - clientWidth < this.width / 2;
    this.fill();
    this.changed?.();
  }

  // Makes the columns that came into sight and drops those that left it.
  fill() {
    const { scrollLeft, clientWidth } = this.root;
    if (!clientWidth) return;
    const first = Math.max(0, Math.floor(scrollLeft / this.width) - 1);
    const last = Math.min(this.count, Math.ceil((scrollLeft + clientWidth) / this.width) + 1);
    for (const [i, column] of this.columns) {
      if ((i < first || i >= last) && !column.contains(document.activeElement)) {
        column.remove();
        this.columns.delete(i);
      }
    }
    for (let i = first; i < last; i += 1) {
      if (this.columns.has(i)) continue;
      const column = this.make(i);
      column.style.left = `${i * this.width}px`;
      this.sheet.append(column);
      this.columns.set(i, column);
    }
  }

  // Drops what was made, because it would be made otherwise now.
  renew() {
    this.columns.clear();
    this.sheet.replaceChildren();
    this.fill();
  }

  // Scrolls until column `i` can be read.
  show(i) {
    const { scrollLeft, clientWidth } = this.root;
    const left = i * this.width;
    if (left < scrollLeft) this.root.scrollLeft = left - 8;
    else if (left + this.width > scrollLeft + clientWidth) this.root.scrollLeft = left + this.width - clientWidth + 8;
    this.fill();
  }
}
