// The KV cache of a run: the time of each step as it stays flat or grows, the part of the prompt
// that was there already, and the bytes it takes, computed and measured.

const CHART = { width: 600, height: 84, buckets: 150 };
const FEWEST_TO_COMPARE = 12;

class CachePanel {
  constructor(lane) {
    this.lane = lane;
    lane.cache = this;
    this.root = h('details', 'cache');
    this.root.hidden = lane.isGiven;
    this.root.open = choices.get(lane.name, 'cache', 'closed') === 'open';
    this.root.addEventListener('toggle', () => {
      choices.set(lane.name, 'cache', this.root.open ? 'open' : 'closed');
      this.draw();
      for (const one of this.beside) one.lane.wake();
    });
    this.summary = h('summary');
    this.chart = document.createElementNS(SVG, 'svg');
    this.chart.setAttribute('viewBox', `0 0 ${CHART.width} ${CHART.height}`);
    this.chart.setAttribute('preserveAspectRatio', 'none');
    this.chart.setAttribute('role', 'img');
    const shape = (name) => this.chart.appendChild(document.createElementNS(SVG, name));
    this.area = shape('path');
    this.line = shape('path');
    this.area.setAttribute('class', 'area');
    this.line.setAttribute('class', 'line');
    this.top = h('span', 'top-label');
    this.from = h('span');
    this.to = h('span');
    const feet = h('div', 'feet');
    feet.append(this.from, this.to);
    const plot = h('div', 'plot');
    plot.append(this.chart, this.top);
    this.verdict = h('p');
    this.prompt = h('div', 'reused');
    this.prompt.append(h('i'));
    this.reused = h('p');
    this.bytes = h('p', 'bytes');
    this.root.append(this.summary, plot, feet, this.verdict, this.prompt, this.reused, this.bytes);
    this.clear();
  }

  clear() {
    this.told = null;
    this.times = [];
    this.highest = 0;
  }

  take(message) {
    this.told = message.cache ?? null;
    this.proposes = message.speculation !== undefined;
  }

  // A forward may give several tokens, where some are proposed.
  get unit() { return this.proposes ? 'forward' : 'step'; }

  // Pairs of step, or forward, and milliseconds, the latest so many. The first is left out: it read
  // the prompt.
  measure(most) {
    const { search, tokens, proposed, first } = this.lane;
    const all = search.rules ? search.steps : tokens;
    const from = Math.max(1, all.length - most);
    const isMore = (at) => at > (proposed.at.get(at)?.forward.position ?? at);
    this.times = all.slice(from).map((step, k) => [from + k + 1, step?.ms ?? 0])
      .filter(([n, time]) => time > 0 && !isMore(n - 1 + first));
    if (this.proposes) this.times = this.times.map(([, time], k) => [k + 2, time]);
  }

  // The open charts that stand beside this one, which it is compared with.
  get beside() {
    return [...choices.lanes].filter(({ name, root }) => name === this.lane.name && root.offsetParent)
      .map(({ cache }) => cache).filter((one) => one.root.open && one.highest > 0);
  }

  draw() {
    if (this.lane.isGiven) return;
    if (!this.told) {
      this.rest();
      return;
    }
    this.measure(this.root.open ? Infinity : 64);
    putLine(this.summary, ...this.summaryLine());
    if (!this.root.open) return;
    this.plot();
    put(this.verdict, this.say());
    this.drawPrompt();
    put(this.bytes, this.sizes());
  }

  // Its line stands there before there is anything to tell, so that nothing jumps.
  rest() {
    putLine(this.summary, 'Time', [' per step'], '');
    for (const part of [this.top, this.from, this.to, this.reused, this.bytes]) put(part, '');
    this.line.setAttribute('d', '');
    this.area.setAttribute('d', '');
    this.prompt.hidden = true;
    put(this.verdict, 'Nothing is decoded yet.');
  }

  summaryLine() {
    const { times, told } = this;
    const pace = times.length ? ` · ${ms(median(times.map(([, t]) => t)))}` : '';
    if (!told.on) return ['Time', [` per ${this.unit}`], `${pace} · no KV cache`];
    const size = told.measured ?? told.computed;
    return ['Time', [` per ${this.unit}`], `${pace}${size ? ` · KV cache ${bytesInWords(size)}` : ''}`];
  }

  // At most so many points, the median of what falls together. The scale is one for all charts
  // that stand beside each other, and leaves rare peaks out.
  plot() {
    const { times } = this;
    const { width, height, buckets } = CHART;
    const size = Math.max(1, Math.ceil(times.length / buckets));
    const points = [];
    for (let k = 0; k < times.length; k += size) {
      const some = times.slice(k, k + size);
      points.push([some[0][0], median(some.map(([, t]) => t))]);
    }
    const sorted = points.map(([, t]) => t).sort((a, b) => a - b);
    const before = this.highest;
    this.highest = rounded(1.1 * (sorted[Math.floor(0.97 * (sorted.length - 1))] ?? 0));
    const { beside } = this;
    const highest = Math.max(1e-3, this.highest, ...beside.map((one) => one.highest));
    if (before !== this.highest) for (const one of beside) if (one !== this) one.lane.wake();
    const last = times.at(-1)?.[0] ?? 2;
    const x = (n) => (last > 2 ? ((n - 2) / (last - 2)) * width : 0);
    const y = (t) => height - Math.min(1, t / highest) * (height - 2);
    const path = points.map(([n, t], k) => `${k ? 'L' : 'M'}${x(n).toFixed(1)} ${y(t).toFixed(1)}`).join('');
    this.line.setAttribute('d', path);
    this.area.setAttribute('d', path ? `${path}L${x(points.at(-1)[0]).toFixed(1)} ${height}L0 ${height}Z` : '');
    const peak = sorted.at(-1) ?? 0;
    const notes = [ms(highest), beside.length > 1 ? 'one scale for these lanes' : '',
      peak > highest ? `peaks up to ${ms(peak)} are cut off` : ''];
    put(this.top, times.length ? notes.filter(Boolean).join(' · ') : '');
    put(this.from, times.length ? `${this.unit} 2` : '');
    put(this.to, times.length ? `${this.unit} ${last}` : '');
    this.chart.setAttribute('aria-label', this.say());
  }

  // Its first and its last quarter beside each other.
  say() {
    const { times, told } = this;
    if (times.length < FEWEST_TO_COMPARE) return `Too few ${this.unit}s yet to see whether their time grows.`;
    const quarter = Math.max(3, Math.floor(times.length / 4));
    const first = median(times.slice(0, quarter).map(([, t]) => t));
    const last = median(times.slice(-quarter).map(([, t]) => t));
    const both = `${ms(first)} a ${this.unit} at first, ${ms(last)} at the end`;
    if (!told.on) return `${both}. Without a cache each ${this.unit} reads the whole text again.`;
    const read = this.proposes ? 'the newest token and those proposed after it'
      : `only the newest token${told.texts > 1 ? ` of each ${told.of}` : ''}`;
    return `${both}. Each ${this.unit} reads ${read} and finds the rest in the cache.`;
  }

  drawPrompt() {
    const { prompt, reused, on } = this.told;
    this.prompt.hidden = false;
    this.prompt.style.setProperty('--share', prompt ? reused / prompt : 0);
    put(this.reused, !on ? `Nothing is kept: all ${prompt} prompt tokens are read at every step.`
      : reused ? `${reused} of ${prompt} prompt tokens came from the cache of another run; ${prompt - reused} had to be read.`
        : `All ${prompt} prompt tokens were read; none of them came from the cache of another run.`);
  }

  sizes() {
    const { on, computed, measured, each, tokens, texts, of } = this.told;
    if (!on) return 'The cache takes no memory.';
    const parts = [];
    if (computed) {
      const many = texts > 1 ? ` × ${texts} ${of}s` : '';
      const how = each ? ` = ${each.toLocaleString('en')} bytes a token × ${tokens} tokens${many}` : ` for ${tokens} tokens${many}`;
      parts.push(`Computed: ${bytesInWords(computed)}${how}.`);
    }
    if (measured) parts.push(`Measured at the end: ${bytesInWords(measured)}${measured === computed ? ', the same to the byte' : ''}.`);
    return parts.join(' ');
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

// The next round number above, so that a scale seldom changes.
function rounded(value) {
  if (!(value > 0)) return 0;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((one) => one * size >= value || one === 10) * size;
}

const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s`
  : `${value.toFixed(value >= 100 ? 0 : 1)} ms`);

function bytesInWords(count) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) {
    if (count >= size) return `${(count / size).toFixed(count / size >= 100 ? 0 : 1)} ${unit}`;
  }
  return `${count} bytes`;
}

PANELS.push((lane) => new CachePanel(lane));
