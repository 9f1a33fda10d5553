// The door: what Gradio calls when a component is mounted, and what a reader chose before.

// What a reader chose, for all lanes of the same name, kept in this browser.
const choices = {
  lanes: new Set(),
  get(name, what, otherwise) {
    try {
      return localStorage.getItem(`token-stream:${name}:${what}`) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, what, value) {
    try {
      localStorage.setItem(`token-stream:${name}:${what}`, value);
    } catch { /* A browser that keeps nothing still shows the choice. */ }
    for (const lane of this.lanes) {
      if (!lane.root.isConnected) this.lanes.delete(lane);
      else if (lane.name === name) lane.chosen(what, value);
    }
  },
};

function mountLane(root, options) {
  const lane = new Lane(root, options);
  return (value) => lane.take(value);
}

function mountPieces(root, { props }) {
  const pieces = new Pieces();
  const box = h('div', 'main');
  const hint = h('p', 'hint', props.hint);
  const notices = h('div', 'notices');
  box.style.height = `${Number(props.height) || 160}px`;
  root.classList.add('ts', 'only-pieces');
  const count = h('div', 'stats');
  box.append(hint, notices, pieces.root);
  root.append(box, count);
  return (value) => {
    const message = JSON.parse(value || '{"pieces":[],"notices":[]}');
    if (popover.lane === pieces) popover.close();
    pieces.set(message.pieces);
    notices.replaceChildren(...message.notices.map((words) => h('p', 'notice', words)));
    hint.hidden = message.pieces.length > 0;
    const special = message.pieces.filter(([, , is]) => is === 1).length;
    const words = `${message.pieces.length} tokens` + (special ? `, ${special} of them control tokens` : '');
    count.replaceChildren(h('div', '', message.pieces.length ? words : ''));
  };
}

function mountParting(root, options) {
  const parting = new Parting(root, options);
  return (value) => parting.take(JSON.parse(value || '{}'));
}

const MOUNTS = {
  lane: mountLane, pieces: mountPieces, parting: mountParting, recipe: mountRecipe, expected: mountExpected,
};

window.tokenStream = {
  mount(root, options) {
    const show = MOUNTS[options.props.mode](root, options);
    options.watch('value', () => show(options.props.value));
    show(options.props.value);
  },
};
