// The door of the views of the Inside tab, and what all of them say alike: what is waited for, what
// is wrong, and that there is nothing yet. Every text reaches the page as a text node.

// By name: `draw(root, found, ways)` fills `root` with what was found. `ways`: `props`, `server`,
// `tell(data)` (raises the view's event) and `kept`, an object for what a reader chose in this view.
const INSIDE = {};

window.insideView = {
  mount(root, { props, watch, server, chosen }) {
    const { mode, hint } = root.dataset;
    root.classList.add(mode);
    const status = h('p', 'said status');
    status.setAttribute('role', 'status');
    const problems = h('div', 'problems');
    problems.setAttribute('role', 'alert');
    const body = h('div', 'found');
    root.append(status, problems, body);
    const ways = { props, server, tell: chosen, kept: {} };
    let drawn = null;
    let shown;
    const show = () => {
      if (props.value === drawn) return;
      drawn = props.value;
      const { waits = '', problems: wrong = [], found = null } = drawn ? JSON.parse(drawn) : {};
      status.textContent = waits;
      problems.replaceChildren(...[...new Set(wrong.filter(Boolean))].map((words) => h('p', 'problem', words)));
      root.classList.toggle('waits', waits !== '');
      const text = JSON.stringify(found);
      if (found === null && waits) return;  // what was found before stays, dimmed, until there is more
      if (text === shown) return;
      shown = text;
      body.replaceChildren();
      if (found !== null) INSIDE[mode](body, found, ways);
      else if (!wrong.some(Boolean)) body.append(h('p', 'hint', hint));
    };
    watch('value', show);
    show();
  },
};

// A token between words: monospace, its spaces visible.
function quoted(piece, options) {
  return writeToken(h('bdi', 'tok'), piece, options);
}

// A line under a view: what it cannot show, what a colour means.
function said(...parts) {
  const line = h('p', 'said');
  line.append(...parts);
  return line;
}

function button(words, title, act, className = 'small') {
  const made = h('button', className, words);
  made.type = 'button';
  if (title) made.title = title;
  made.addEventListener('click', () => act(made));
  return made;
}

// One of several, as a row of buttons; `chosen` is told the name, and so is a screen reader.
function oneOf(label, choices, now, chosen) {
  const group = h('div', 'one-of');
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', label);
  group.append(h('span', '', label));
  for (const [name, words, title] of choices) {
    const one = button(words, title, () => {
      for (const other of group.querySelectorAll('button')) {
        other.setAttribute('aria-pressed', other === one);
      }
      chosen(name);
    }, '');
    one.setAttribute('aria-pressed', name === now);
    group.append(one);
  }
  return group;
}
