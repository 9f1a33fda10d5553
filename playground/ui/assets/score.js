// The door of the views under a scoring: what Gradio calls when one is mounted.

const DRAW = { sheet: drawSheet, difference: drawDifference, contest: drawContest };

window.scoreView = {
  mount(root, { props, watch, open }) {
    root.classList.add(props.mode);
    let drawn = null;
    const show = () => {
      if (props.value === drawn) return;
      drawn = props.value;
      DRAW[props.mode](root, drawn ? JSON.parse(drawn) : null, { open, hint: props.hint });
    };
    watch('value', show);
    show();
  },
};
