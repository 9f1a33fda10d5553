// One record in the list: what was asked and answered, how, when, and what its owner says of it.

function h(tag, className = '', text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(words, className, act) {
  const node = h('button', className, words);
  node.type = 'button';
  node.addEventListener('click', act);
  return node;
}

const DAY = 86_400_000;

// The hour today, the day of the week this week, else the date; all of it as the title.
function timeOf(at) {
  const time = h('time');
  const date = new Date(at);
  const now = new Date();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const hour = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const day = at >= midnight ? '' : at >= midnight - 6 * DAY
    ? date.toLocaleDateString([], { weekday: 'short' })
    : date.toLocaleDateString([], date.getFullYear() === now.getFullYear()
      ? { day: 'numeric', month: 'short' } : { day: 'numeric', month: 'short', year: 'numeric' });
  time.dateTime = date.toISOString();
  time.title = date.toLocaleString();
  time.textContent = day ? `${day} ${hour}` : hour;
  return time;
}

const STATES = ['stopped', 'failed']; // what is not said of a run that ended by itself

class RecordRow {
  constructor(list) {
    this.list = list;
    const root = this.root = h('li', 'record');
    root.tabIndex = -1;
    this.pick = h('input');
    this.pick.type = 'checkbox';
    this.pick.tabIndex = -1;
    this.pick.addEventListener('change', () => list.choose(this.record.key, this.pick.checked));
    this.star = button('', 'star', () => list.act({ do: 'star', key: this.record.key, on: !this.record.star }));
    this.star.tabIndex = -1;
    const texts = h('div', 'texts');
    this.prompt = h('p', 'prompt');
    this.answer = h('p', 'answer');
    texts.append(this.prompt, this.answer);
    this.how = h('div', 'how');
    this.when = h('div', 'when');
    this.label = h('div', 'label');
    root.append(this.pick, this.star, texts, this.how, this.when, this.label);
    root.addEventListener('click', (event) => {
      if (!event.target.closest('button, input, .label')) list.open([this.record.key]);
    });
  }

  take(record, before, opened) {
    const same = JSON.stringify(record) === this.drawn;
    this.record = record;
    this.root.dataset.key = record.key;
    this.root.classList.toggle('joined', Boolean(record.group) && record.group === before?.group);
    const place = opened.indexOf(record.key);
    this.root.classList.toggle('opened', place >= 0);
    this.pick.checked = this.list.chosen.has(record.key);
    if (same) return;
    this.drawn = JSON.stringify(record);
    const name = record.label || record.prompt.slice(0, 60);
    this.pick.setAttribute('aria-label', `Choose ${name}`);
    this.star.textContent = record.star ? '★' : '☆';
    this.star.setAttribute('aria-pressed', record.star);
    this.star.setAttribute('aria-label', `Star for ${name}`);
    this.star.title = record.star ? 'Take the star away (S)' : 'Give it a star (S)';
    this.prompt.textContent = record.prompt;
    this.answer.textContent = record.answer || (record.state === 'failed' ? record.reason : 'It wrote nothing.');
    this.answer.classList.toggle('none', !record.answer);
    const model = h('b');
    model.append(h('bdi', '', record.model));
    this.how.replaceChildren(model, h('span', '', record.settings));
    this.how.title = `${record.model} · ${record.settings}`;
    const first = h('span');
    first.append(timeOf(record.at));
    if (STATES.includes(record.state)) {
      const state = h('span', `end ${record.state}`, record.state);
      if (record.state === 'failed') state.title = record.reason;
      first.append(' · ', state);
    }
    const tokens = `${record.tokens.toLocaleString()} token${record.tokens === 1 ? '' : 's'}`;
    this.when.replaceChildren(first, h('span', '', `${tokens} · ${record.tab}`));
    this.write();
  }

  write() {
    const { label } = this.record;
    const words = button(label || 'Label', label ? 'set' : 'unset', () => this.edit());
    words.tabIndex = -1;
    words.title = label ? `${label} (L changes it)` : 'Give it a label (L)';
    this.label.replaceChildren(words);
  }

  edit() {
    const field = h('input');
    Object.assign(field, { type: 'text', value: this.record.label, maxLength: 200 });
    field.setAttribute('aria-label', 'Label');
    let over = false;
    const end = (keep) => {
      if (over) return;
      over = true;
      this.write();
      if (keep && field.value.trim() !== this.record.label) {
        this.list.act({ do: 'label', key: this.record.key, label: field.value });
      }
    };
    field.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      event.preventDefault(); // Escape also stops a run.
      end(event.key === 'Enter');
      this.root.focus();
    });
    field.addEventListener('blur', () => end(true));
    this.label.replaceChildren(field);
    field.focus();
    field.select();
  }
}
