// The frame of a lane: its names and views, what it is doing, and its figures.

const VIEWS = { text: 'Text', tokens: 'Tokens', table: 'Table' };

const put = (element, words) => { if (element.textContent !== words) element.textContent = words; };

// A line of several parts; those that are in brackets, a narrow lane leaves out.
function putLine(element, ...parts) {
  const whole = parts.flat().join('');
  if (element.title === whole) return;
  element.title = whole;
  element.replaceChildren(...parts.map((part) => (Array.isArray(part) ? h('span', 'wide', part[0]) : part)));
}

class Head {
  constructor(choose) {
    this.title = h('h2', 'title');
    this.sub = h('span', 'sub');
    this.say = h('span', 'say');
    this.say.setAttribute('role', 'status');
    this.say.setAttribute('aria-live', 'polite');
    this.more = h('span', 'more');
    this.bar = h('div', 'progress');
    this.bar.append(h('i'));
    const names = h('div', 'names');
    names.append(this.title, this.sub);
    const top = h('div', 'top');
    this.tools = h('div', 'head-tools');
    this.tools.append(this.switch(choose));
    top.append(names, this.tools);
    const status = h('div', 'status');
    status.append(h('i', 'dot'), this.say, this.more);
    this.root = h('header');
    this.root.append(top, status, this.bar);
  }

  switch(choose) {
    const group = h('div', 'switch');
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'View');
    for (const [view, label] of Object.entries(VIEWS)) {
      const button = h('button', '', label);
      button.type = 'button';
      button.dataset.view = view;
      button.addEventListener('click', () => choose(view));
      group.append(button);
    }
    this.buttons = [...group.children];
    return group;
  }

  press(view) {
    for (const button of this.buttons) button.setAttribute('aria-pressed', button.dataset.view === view);
  }

  draw(message) {
    put(this.title, message.title ?? '');
    this.title.hidden = !message.title;
    put(this.sub, message.sub ?? '');
    this.sub.title = message.sub ?? '';
    put(this.say, message.say ?? '');
    put(this.more, message.more ?? '');
    const bar = message.bar ?? null;
    this.bar.classList.toggle('on', bar !== null);
    this.bar.classList.toggle('unknown', bar === -1);
    this.bar.firstChild.style.transform = bar === null || bar < 0 ? '' : `scaleX(${bar})`;
  }
}

// Value, unit and meaning of each figure, written only where it changed.
function drawStats(list, stats) {
  const known = [...list.children];
  stats.forEach(([value, unit, help], k) => {
    let pair = known[k];
    if (!pair) {
      pair = h('div');
      pair.append(h('dd'), h('dt'));
      list.append(pair);
    }
    const [dd, dt] = pair.children;
    put(dd, value);
    put(dt, unit);
    pair.title = help;
  });
  for (const pair of known.slice(stats.length)) pair.remove();
}
