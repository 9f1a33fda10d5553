// The door of the Blind tab: what Gradio calls when it is mounted; and the keys of a vote.

const DRAW = {
  idle: drawIdle, writing: drawWriting, voting: drawMatch, voted: drawVoted, revealed: drawResults,
};

// Two answers may come in the wrong order, and the tab may be drawn anew from the older one.
let newest = { revision: 0, text: '' };
function newer(text) {
  const { revision } = JSON.parse(text || '{}');
  if (!revision) return text;
  if (revision > newest.revision) newest = { revision, text };
  return newest.text;
}

window.blindView = {
  mount(root, { props, watch, act, write, server }) {
    let drawn = null;
    let value = { state: 'idle' };
    let waits = false; // for the answer to what was pressed last
    const once = (data) => {
      if (waits) return;
      waits = true;
      setTimeout(() => { waits = false; }, 3000); // an answer that was lost stops nothing
      act(data);
    };
    const doors = {
      act, write,
      vote: (vote) => once({ do: 'vote', vote, at: value.at }),
      undo: () => once({ do: 'undo' }),
      reveal: () => once({ do: 'reveal' }),
      file: (asked) => server.blind_file(asked),
    };
    const show = () => {
      waits = false;
      const told = newer(props.value);
      if (told === drawn) return;
      drawn = told;
      value = JSON.parse(drawn || '{"state":"idle","sources":[],"examples":[]}');
      const held = root.contains(document.activeElement) ? document.activeElement.className : null;
      root.replaceChildren();
      root.dataset.state = value.state;
      if (value.problem) {
        const problem = h('p', 'problem', value.problem);
        problem.setAttribute('role', 'alert');
        root.append(problem);
      }
      DRAW[value.state]?.(root, value, doors);
      // Who votes with Tab and Enter finds the same button in the next match.
      if (held) [...root.querySelectorAll('button')].find((one) => one.className === held && !one.disabled)?.focus();
    };
    window.addEventListener('keydown', (event) => {
      if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!['voting', 'voted'].includes(value.state) || !root.isConnected || root.offsetParent === null) return;
      if (event.target.closest?.('input, textarea, select, [contenteditable="true"], [role="tab"], [role="slider"]')) return;
      const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (pressed === 'z') doors.undo();
      else {
        const vote = VOTES.find(([, , keys]) => keys.includes(pressed));
        if (!vote || value.state !== 'voting') return;
        doors.vote(vote[0]);
      }
      event.preventDefault();
    });
    watch('value', show);
    show();
  },
};
