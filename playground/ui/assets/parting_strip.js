// One lane's strip: entropy of each of its tokens, that of the compared lane, and how far the two
// diverge; the same scale and the same places in every strip of a panel.

const STRIP_HEIGHT = 44;
const BAND_HEIGHT = 12; // of the strip, for the divergence
const LEAST_ENTROPY = 3; // nats: a sure model shall look sure

class Strip {
  // `point(i)` says that the reader is at token i of this lane (null: no longer), `open(i)` that
  // this place is to be brought into sight, and `words(i)` what there is to say of it.
  constructor({ point, open, words }) {
    this.root = h('canvas', 'strip');
    Object.assign(this.root, { tabIndex: 0 });
    this.root.setAttribute('role', 'slider');
    this.root.setAttribute('aria-valuemin', '1');
    Object.assign(this, { point, open, words, at: 0, marked: null, data: null });
    const { root } = this;
    root.addEventListener('pointermove', (event) => this.go(this.placeOf(event)));
    root.addEventListener('pointerleave', () => { if (document.activeElement !== root) this.point(null); });
    root.addEventListener('click', (event) => { this.go(this.placeOf(event)); this.open(this.at); });
    root.addEventListener('focus', () => this.go(this.at));
    root.addEventListener('blur', () => this.point(null));
    root.addEventListener('keydown', (event) => this.key(event));
    this.width = 0;
    new ResizeObserver(([{ contentRect }]) => { this.width = contentRect.width; this.draw(); }).observe(root);
  }

  get count() { return this.data?.mine.length ?? 0; }

  placeOf(event) {
    const { left, width } = this.root.getBoundingClientRect();
    return Math.floor((event.clientX - left) / width * this.data.places);
  }

  go(i) {
    if (!this.count) return;
    this.at = Math.max(0, Math.min(i, this.count - 1));
    this.point(this.at);
    this.tell();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.count) return;
    const to = {
      ArrowLeft: this.at - 1, ArrowRight: this.at + 1, PageUp: this.at - 10, PageDown: this.at + 10,
      Home: 0, End: this.count - 1,
    }[event.key];
    if (to !== undefined) this.go(to);
    else if (event.key === 'Enter') this.open(this.at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // `mine` and `others` are entropies in nats, `divergence` thousandths of a bit; the lane leaves at
  // token `leaves` (null: it has not), after `shared` tokens.
  show(data, name) {
    this.data = data;
    this.root.setAttribute('aria-label', `Entropy of ${name}, token by token`);
    this.root.setAttribute('aria-valuemax', String(Math.max(1, this.count)));
    this.tell();
    this.draw();
  }

  tell() {
    this.root.setAttribute('aria-valuenow', String(this.count ? this.at + 1 : 1));
    this.root.setAttribute('aria-valuetext', this.count ? this.words(this.at) : 'no token yet');
  }

  // The place that the reader is at in any lane, in the tokens of this one.
  mark(i) {
    if (i === this.marked) return;
    this.marked = i;
    this.draw();
  }

  draw() {
    const { root, data, width } = this;
    if (!width || !data) return;
    const dots = window.devicePixelRatio || 1;
    root.width = width * dots;
    root.height = STRIP_HEIGHT * dots;
    const pen = root.getContext('2d');
    pen.scale(dots, dots);
    const colour = (name) => data.style.getPropertyValue(name).trim();
    const floor = STRIP_HEIGHT - BAND_HEIGHT - 3;
    const step = width / data.places;
    const bar = Math.max(1, step - (step > 4 ? 1 : 0));
    const high = (entropy) => (floor - 2) * Math.min(1, (entropy ?? 0) / data.most);
    pen.fillStyle = colour('--sunk');
    pen.fillRect(0, 0, data.shared * step, STRIP_HEIGHT);
    pen.fillStyle = colour('--bar');
    data.mine.forEach((entropy, i) => {
      pen.globalAlpha = i < data.shared ? 0.45 : 1;
      const height = Math.max(0.75, high(entropy));
      pen.fillRect(i * step, floor - height, bar, height);
    });
    pen.globalAlpha = 1;
    this.line(pen, data.others, { step, floor, high, colour: colour('--ink') });
    pen.fillStyle = colour('--edge');
    pen.fillRect(0, floor, width, 1);
    pen.fillRect(0, STRIP_HEIGHT - 1, width, 1);
    pen.fillStyle = colour('--diverge');
    // The square root is the distance: small divergences are seen, and 1 bit is the whole band.
    data.divergence?.forEach((thousandths, i) => {
      const height = BAND_HEIGHT * Math.sqrt(thousandths / 1000);
      pen.fillRect(i * step, STRIP_HEIGHT - 1 - height, bar, height);
    });
    pen.fillStyle = colour('--accent');
    if (data.leaves !== null) pen.fillRect(Math.round(data.leaves * step), 0, 2, STRIP_HEIGHT);
    if (this.marked !== null) {
      pen.strokeStyle = colour('--accent');
      pen.lineWidth = 1.5;
      pen.strokeRect(this.marked * step - 0.5, 0.75, Math.max(3, bar + 1), STRIP_HEIGHT - 1.5);
    }
  }

  line(pen, others, { step, floor, high, colour }) {
    if (!others.length) return;
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.globalAlpha = 0.8;
    pen.beginPath();
    others.forEach((entropy, i) => {
      const y = floor - high(entropy) - 0.5;
      pen.lineTo(i * step, y);
      pen.lineTo((i + 1) * step, y);
    });
    pen.stroke();
    pen.globalAlpha = 1;
  }
}
