// The door: what Gradio calls when a part is mounted.

window.branches = {
  mount(root, { props, watch, act, amend, draw }) {
    const parts = {
      strip: () => new Strip(root, act),
      tree: () => new Tree(root, act),
      pace: () => new PaceBar(root, { act, amend }),
      samples: () => new Samples(root, { act, draw }),
    };
    const part = parts[props.mode]();
    const show = () => part.take(JSON.parse(props.value));
    watch('value', show);
    show();
  },
};
