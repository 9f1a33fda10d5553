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

function mountParting(root, options) {
  const parting = new Parting(root, options);
  return (value) => parting.take(JSON.parse(value || '{}'));
}

const MOUNTS = {
  lane: mountLane, parting: mountParting, recipe: mountRecipe, expected: mountExpected,
};

window.tokenStream = {
  mount(root, options) {
    const show = MOUNTS[options.props.mode](root, options);
    options.watch('value', () => show(options.props.value));
    show(options.props.value);
  },
};
