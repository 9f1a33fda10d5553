// What can be done with a token, in words, at the foot of its panel, and why some of it cannot.

const actionAdder = (part) => (words, title, act, key) => {
  const button = h('button', 'action', words);
  button.type = 'button';
  button.title = title;
  if (key) button.append(h('kbd', '', key));
  button.addEventListener('click', () => act(button));
  part.append(button);
  return button;
};

function tokenActions(panel, token) {
  const { lane } = panel;
  const part = h('div', 'actions');
  const add = actionAdder(part);
  const reasons = new Reasons();
  const unless = (button, why) => reasons.unless(button, why);
  const fork = (what, given) => panel.leaveFor((of, index) => of.fork(index, what, given));
  if (lane.canBranch) {
    unless(add('Ban this token and try again', 'Go on from here; this token cannot come at this place.',
      () => fork('ban', { id: token.id })), lane.lacks.ban);
    const again = add(lane.draws ? 'Draw this one again' : 'Draw again (nothing was drawn)',
      'Go on from here with new dice.', () => fork('again'));
    again.disabled = !lane.draws;
    unless(again, lane.lacks.branch);
    unless(add('Draw 20 from here', 'Twenty ways in which the text could go on before this token, as a tree.',
      () => fork('samples')), lane.lacks.branch);
    unless(add('Put other text here…', 'Write what comes here instead; the model goes on behind it.',
      (button) => writeInstead(panel, button, (text) => fork('text', { text }))),
    lane.lacks.text);
  }
  addLookInside(panel, add, reasons);
  if (!lane.isGiven) {
    unless(add('X-ray: how it was chosen', 'Every setting in order, what it did, and the draw.',
      () => panel.leaveFor((of, index) => of.xray.open(index)), 'x'), lane.lacks.xray);
  }
  part.hidden = !part.childElementCount;
  return [part, ...reasons.notes.values()];
}

// What the server of a lane cannot do stands there grey, and below it why, each reason once.
class Reasons {
  notes = new Map();

  unless(button, why) {
    if (!why) return;
    button.disabled = true;
    button.title = why;
    if (!this.notes.has(why)) {
      const note = h('p', 'note lacking', why);
      note.id = `lacks-${lacking += 1}`;
      this.notes.set(why, note);
    }
    button.setAttribute('aria-describedby', this.notes.get(why).id);
  }
}

let lacking = 0;

function addLookInside(panel, add, reasons) {
  const { lane } = panel;
  if (!lane.lookInside) return;
  const button = add('Look inside', 'Opens the Inside tab on the tokens before this one, and watches this one through all layers.',
    () => panel.leaveFor((of, index) => of.lookInside(index)), 'i');
  reasons.unless(button, lane.lacksInside);
}

function pieceActions(panel) {
  const part = h('div', 'actions');
  const reasons = new Reasons();
  addLookInside(panel, actionAdder(part), reasons);
  part.hidden = !part.childElementCount;
  return [part, ...reasons.notes.values()];
}

// A small box for the text that is to stand here, in place of its button.
function writeInstead(panel, button, put) {
  const form = h('form', 'other-text');
  const input = h('input');
  input.type = 'text';
  input.maxLength = 2000;
  input.setAttribute('aria-label', 'Text that comes here instead');
  input.placeholder = 'Text that comes here instead';
  form.append(input, h('button', 'small', 'Go on from it'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.value) put(input.value);
  });
  button.replaceWith(form);
  panel.pin();
  input.focus();
}
