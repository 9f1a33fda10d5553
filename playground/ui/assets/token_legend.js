// The line below the tokens: what a reader can do here, what the colours mean, what the table has.

const MOST_COLUMNS = 10;
const FIGURES = { percent: 'percent', logprob: 'log-prob' };

class Legend {
  // `choose(what, value)` keeps a reader's choice; `save` and `copy` make a CSV file of the table.
  constructor(choose, { save, copy }) {
    this.root = h('div', 'legend');
    this.root.append(
      h('span', 'invitation', 'Click any token to see what else could have come.'),
      this.tint(choose), this.table(choose, save, copy),
    );
  }

  tint(choose) {
    const part = h('div', 'tint');
    this.measure = this.select('Colour', 'Tokens coloured by', Object.entries(MEASURES).map(([name, { label }]) => [name, label]),
      (value) => choose('measure', value));
    this.scale = h('span', 'scale');
    part.append(this.measure.parentElement, this.scale);
    return part;
  }

  table(choose, save, copy) {
    const part = h('div', 'tools');
    const counts = Array.from({ length: MOST_COLUMNS }, (_, k) => [String(k + 1), String(k + 1)]);
    this.top = this.select('Top', 'Likeliest tokens a step', counts, (value) => choose('top', value));
    this.figures = this.select('as', 'Figures as', Object.entries(FIGURES), (value) => choose('figures', value));
    this.said = h('span', 'said');
    this.said.setAttribute('role', 'status');
    part.append(this.top.parentElement, this.figures.parentElement,
      this.button('Copy as CSV', copy), this.button('Save CSV', save), this.said);
    return part;
  }

  select(words, name, options, choose) {
    const label = h('label', '', words + ' ');
    const select = h('select');
    select.setAttribute('aria-label', name);
    for (const [value, shown] of options) {
      const option = h('option', '', shown);
      option.value = value;
      select.append(option);
    }
    select.addEventListener('change', () => choose(select.value));
    label.append(select);
    return select;
  }

  button(words, act) {
    const button = h('button', 'small', words);
    button.type = 'button';
    button.addEventListener('click', act);
    return button;
  }

  setMeasure(name) {
    this.measure.value = name;
    const { plain, strong, steps, help } = MEASURES[name];
    this.scale.title = help;
    this.scale.replaceChildren(h('span', 'words', plain));
    steps.forEach((words, level) => this.scale.append(h('span', `swatch ${name[0]}${level}`, words)));
    this.scale.append(h('span', 'words', strong));
  }
}
