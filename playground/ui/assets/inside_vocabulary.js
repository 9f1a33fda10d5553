// The vocabulary as a table of which only the rows in sight exist, and one token beside it.

const VOCABULARY_ROW = 27;   // px; the style sheet has the same
const VOCABULARY_PAGE = 100; // rows that are asked for at once
const VOCABULARY_EMPTY = {
  find: '', match_case: false, pattern: '', script: '', kind: '', shortest: 0, longest: 0,
  unit: 'characters', sort: 'id', descending: false,
};
const VOCABULARY_TRIES = [
  ['Everything', {}],
  ['Words after a space', { pattern: '^ \\pL+$' }],
  ['The same without one', { pattern: '^\\pL+$' }],
  ['Capitals', { pattern: '^ ?\\p{Lu}', match_case: true }],
  ['Numbers', { pattern: '^ ?\\d+$' }],
  ['Chinese', { script: 'Han' }],
  ['Bytes', { kind: 'bytes' }],
  ['Special', { kind: 'special' }],
  ['The longest', { sort: 'characters', descending: true }],
];

INSIDE.vocabulary = (root, found, ways) => new VocabularyView(root, found, ways);

class VocabularyView {
  constructor(root, found, { kept, server }) {
    Object.assign(this, { root, found, kept, server });
    if (kept.model !== found.model) Object.assign(kept, { model: found.model, token: null });
    kept.query ??= { ...VOCABULARY_EMPTY };
    if (!found.scripts.some(([name]) => name === kept.query.script)) kept.query.script = '';
    this.filled = {};
    this.turn = 0;      // of the filter: an answer to an earlier one is no answer
    this.asking = 0;
    this.pages = new Map();
    this.rows = new Map();
    this.matching = this.active = 0;
    this.build();
    const plain = JSON.stringify(kept.query) === JSON.stringify(VOCABULARY_EMPTY);
    if (plain) this.begin(found.page); else this.ask();
    if (found.token) this.openToken(found.token, true);
    else if (kept.token) this.showToken(kept.token);
  }

  build() {
    const { root, found } = this;
    const head = h('h3', '', found.label);
    head.append(h('small', '', `${NUMBER.format(found.size)} tokens`));
    this.problem = h('p', 'problem');
    this.problem.setAttribute('role', 'alert');
    this.count = h('p', 'said vc-count');
    this.count.setAttribute('role', 'status');
    const table = h('div', 'vc-table');
    table.setAttribute('role', 'grid');
    table.setAttribute('aria-label', `Vocabulary of ${found.label}`);
    this.table = table;
    this.body = h('div', 'vc-body');
    this.body.setAttribute('role', 'rowgroup');
    this.room = h('div', 'vc-room');
    this.body.append(this.room);
    table.append(this.headings(), this.body);
    this.card = h('aside', 'vc-card');
    this.card.setAttribute('aria-label', 'One token');
    this.card.setAttribute('aria-live', 'polite');
    this.card.append(h('p', 'said', 'Open a token to see the merges that made it and the tokens whose embeddings are nearest to its own.'));
    const both = h('div', 'vc-both');
    both.append(table, this.card);
    // What is wrong stands where the count does, so that nothing below it moves.
    const line = h('div', 'vc-said');
    line.append(this.problem, this.count);
    root.append(head, this.form(), line, both);
    this.body.addEventListener('scroll', () => this.draw());
    this.body.addEventListener('click', (event) => {
      const row = event.target.closest('.vc-row');
      if (row) this.choose(Number(row.dataset.at));
    });
    this.body.addEventListener('keydown', (event) => this.key(event));
  }

  // Search, pattern, script, kind, length: each change asks again, a moment after the last one.
  form() {
    const form = h('div', 'vc-form');
    const { query } = this.kept;
    const changed = (later) => {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.ask(), later);
    };
    const labelled = (title, field, className = '') => {
      const label = h('label', className);
      label.append(h('span', '', title), field);
      form.append(label);
      return field;
    };
    const text = (name, title, hint, about) => {
      const field = labelled(title, h('input', 'vc-text'), 'vc-wide');
      field.type = 'text';
      field.maxLength = 200;
      field.placeholder = hint;
      field.title = about;
      field.spellcheck = false;
      field.autocapitalize = 'off';
      field.addEventListener('input', () => { query[name] = field.value; changed(200); });
      this.filled[name] = (value) => { field.value = value; };
    };
    text('find', 'Search', 'Paris', 'A space counts: “ Paris” and “Paris” are two tokens.');
    text('pattern', 'Pattern', '^ \\pL+$', 'A regular expression of RE2: \\p{Han}, ^, $, [a-z]+; no look-around and no backreference.');
    const select = (name, title, choices) => {
      const field = labelled(title, h('select'));
      for (const [value, words, about] of choices) {
        const option = h('option', '', words);
        option.value = value;
        if (about) option.title = about;
        field.append(option);
      }
      field.addEventListener('change', () => { query[name] = field.value; changed(0); });
      this.filled[name] = (value) => { field.value = value; };
    };
    const counts = (name, count) => `${name} (${NUMBER.format(count)})`;
    select('script', 'Script', [['', 'any'],
      ...this.found.scripts.map(([name, count]) => [name, counts(name, count)])]);
    select('kind', 'Kind', [['', 'any'],
      ...this.found.kinds.filter(([, count]) => count).map(([kind, count, words, about]) => [kind, counts(words, count), about])]);
    const length = (name, title) => {
      const field = labelled(title, h('input', 'vc-number'));
      field.type = 'number';
      field.min = 0;
      field.max = 999;
      field.addEventListener('input', () => {
        const value = Number.parseInt(field.value, 10);
        query[name] = value > 0 ? Math.min(value, 1e6) : 0;
        changed(200);
      });
      this.filled[name] = (value) => { field.value = value || ''; };
    };
    length('shortest', 'From');
    length('longest', 'To');
    select('unit', 'Long in', [['characters', 'characters'], ['bytes', 'bytes']]);
    const tick = labelled('Match case', h('input'), 'vc-tick');
    tick.type = 'checkbox';
    tick.addEventListener('change', () => { query.match_case = tick.checked; changed(0); });
    this.filled.match_case = (value) => { tick.checked = value; };
    const goto = labelled('Go to id', h('input', 'vc-number'));
    goto.type = 'number';
    goto.min = 0;
    goto.max = this.found.size - 1;
    goto.addEventListener('change', () => {
      const id = Number.parseInt(goto.value, 10);
      if (id >= 0 && id < this.found.size) this.openId(id, true);
    });
    const tries = h('div', 'vc-tries');
    tries.setAttribute('role', 'group');
    tries.setAttribute('aria-label', 'Filters to try');
    for (const [words, wish] of VOCABULARY_TRIES) {
      tries.append(button(words, '', () => {
        Object.assign(query, VOCABULARY_EMPTY, wish);
        this.fill();
        this.ask();
      }));
    }
    const whole = h('div');
    whole.append(tries, form);
    this.fill();
    return whole;
  }

  fill() {
    for (const [name, put] of Object.entries(this.filled)) put(this.kept.query[name]);
    this.markSorted?.();
  }

  headings() {
    const line = h('div', 'vc-head');
    line.setAttribute('role', 'row');
    const cells = [];
    for (const [name, words] of [['id', 'id'], ['text', 'token'], ['characters', 'characters'], ['bytes', 'bytes'], ['', 'script'], ['', 'kind']]) {
      const cell = h('div', `vc-${words}`);
      cell.setAttribute('role', 'columnheader');
      if (name) {
        cell.append(button(words, `Sort by ${words}`, () => {
          const { query } = this.kept;
          query.descending = query.sort === name && !query.descending;
          query.sort = name;
          this.markSorted();
          this.ask();
        }, ''));
        cells.push([name, cell]);
      } else cell.textContent = words;
      line.append(cell);
    }
    this.markSorted = () => {
      const { sort, descending } = this.kept.query;
      for (const [name, cell] of cells) {
        cell.setAttribute('aria-sort', name !== sort ? 'none' : descending ? 'descending' : 'ascending');
      }
    };
    this.markSorted();
    return line;
  }

  // The first page of another filter, or of another order.
  async ask() {
    this.turn += 1;
    const mine = this.turn;
    this.root.classList.add('vc-asking');
    const page = await this.page(0);
    if (mine !== this.turn) return;
    this.root.classList.remove('vc-asking');
    this.problem.textContent = page.problem ?? '';
    if (!page.problem) this.begin(page);
  }

  // An answer of the server: rows, or a problem in a sentence.
  async page(start) {
    try {
      return JSON.parse(await this.server.vocabulary_rows({
        model: this.found.model, query: { ...this.kept.query, start, count: VOCABULARY_PAGE },
      }));
    } catch {
      return { problem: 'The server did not answer. Try again.' };
    }
  }

  begin(page) {
    this.pages = new Map([[0, page.rows]]);
    this.matching = page.matching;
    this.active = 0;
    this.table.setAttribute('aria-rowcount', page.matching + 1);
    this.count.textContent = page.matching === this.found.size
      ? `All ${counted(page.matching, 'token')}.` : page.matching
        ? `${counted(page.matching, 'token')} of ${NUMBER.format(this.found.size)}.` : 'No token is like that.';
    this.room.style.height = `${Math.max(1, page.matching) * VOCABULARY_ROW}px`;
    this.body.scrollTop = 0;
    this.rows = new Map();
    this.room.replaceChildren();
    this.draw();
  }

  // Rows in sight are there, all others are not; what is missing is asked for.
  draw() {
    const height = this.body.clientHeight || 400;
    const first = Math.max(0, Math.floor(this.body.scrollTop / VOCABULARY_ROW) - 6);
    const last = Math.min(this.matching, first + Math.ceil(height / VOCABULARY_ROW) + 12);
    for (const [at, row] of this.rows) {
      if ((at < first || at >= last) && row !== document.activeElement) { row.remove(); this.rows.delete(at); }
    }
    for (let at = first; at < last; at += 1) {
      const known = this.rowAt(at);
      const there = this.rows.get(at);
      if (there && (there.dataset.known || !known)) continue;
      const row = this.rowOf(at, known);
      if (there) there.replaceWith(row); else this.room.append(row);
      this.rows.set(at, row);
    }
    this.want(first, last);
  }

  rowAt(at) {
    return this.pages.get(Math.floor(at / VOCABULARY_PAGE))?.[at % VOCABULARY_PAGE];
  }

  async want(first, last) {
    clearTimeout(this.settles);
    const missing = [];
    for (let page = Math.floor(first / VOCABULARY_PAGE); page * VOCABULARY_PAGE < last; page += 1) {
      if (!this.pages.has(page)) missing.push(page);
    }
    if (!missing.length || this.asking) return;
    // Whoever drags the bar through 150,000 rows wants those where it stops.
    this.settles = setTimeout(async () => {
      const mine = this.turn;
      this.asking += 1;
      const page = await this.page(missing[0] * VOCABULARY_PAGE);
      this.asking -= 1;
      if (mine !== this.turn) { this.draw(); return; }
      if (page.problem) { this.problem.textContent = page.problem; return; }
      this.problem.textContent = '';
      this.pages.set(missing[0], page.rows);
      while (this.pages.size > 60) this.pages.delete(this.pages.keys().next().value);
      this.draw();
    }, 60);
  }

  rowOf(at, known) {
    const row = h('div', 'vc-row');
    row.setAttribute('role', 'row');
    row.setAttribute('aria-rowindex', at + 2);
    row.dataset.at = at;
    row.tabIndex = at === this.active ? 0 : -1;
    row.style.top = `${at * VOCABULARY_ROW}px`;
    if (!known) return row;
    row.dataset.known = '1';
    const [id, text, special, characters, bytes, script, kinds] = known;
    row.classList.toggle('opened', this.kept.token?.row[0] === id);
    const cell = (className, ...parts) => {
      const one = h('div', className);
      one.setAttribute('role', 'gridcell');
      one.append(...parts);
      row.append(one);
    };
    cell('vc-id', String(id));
    cell('vc-token', quoted(text, { special: special === 1 }));
    cell('vc-characters', String(characters));
    cell('vc-bytes', String(bytes));
    cell('vc-script', script);
    // Ordinary text needs no word, and a special token is an added one anyway.
    cell('vc-kind', kinds.filter((kind) => kind !== 'text' && !(kind === 'added' && special)).join(', '));
    return row;
  }

  key(event) {
    const { activeElement } = document;
    const row = activeElement.closest?.('.vc-row');
    if (!row) return;
    const at = Number(row.dataset.at);
    const screen = Math.floor(this.body.clientHeight / VOCABULARY_ROW) - 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.choose(at);
    } else if (step !== undefined) {
      event.preventDefault();
      this.focusRow(Math.min(this.matching - 1, Math.max(0, at + step)));
    }
  }

  focusRow(at) {
    this.reveal(at);
    const before = this.rows.get(this.active);
    if (before) before.tabIndex = -1;
    this.active = at;
    const row = this.rows.get(at);
    if (row) { row.tabIndex = 0; row.focus({ preventScroll: true }); }
  }

  reveal(at, middle = false) {
    const top = at * VOCABULARY_ROW;
    const { scrollTop, clientHeight } = this.body;
    if (middle) this.body.scrollTop = top - clientHeight / 2;
    else if (top < scrollTop) this.body.scrollTop = top;
    else if (top + VOCABULARY_ROW > scrollTop + clientHeight) this.body.scrollTop = top + VOCABULARY_ROW - clientHeight;
    this.draw();
  }

  choose(at) {
    const known = this.rowAt(at);
    if (known) this.openId(known[0], false);
  }

  async openId(id, moves) {
    this.wanted = id;
    let token;
    try {
      token = JSON.parse(await this.server.vocabulary_token({ model: this.found.model, id }));
    } catch {
      token = { problem: 'The server did not answer. Try again.' };
    }
    if (this.wanted !== id) return;
    if (token.problem) this.problem.textContent = token.problem;
    else this.openToken(token, moves);
  }

  openToken(token, moves) {
    this.problem.textContent = '';
    this.kept.token = token;
    this.showToken(token);
    const [id] = token.row;
    // Where all tokens stand in their order, the place of an id is known.
    if (moves && this.matching === this.found.size && this.kept.query.sort === 'id') {
      this.reveal(this.kept.query.descending ? this.matching - 1 - id : id, true);
    }
    for (const [at, row] of this.rows) row.classList.toggle('opened', this.rowAt(at)?.[0] === id);
  }

  showToken(token) {
    const open = ([id, text, special]) => {
      const made = button('', `Open token ${id}`, () => this.openId(id, true), 'vc-open');
      made.append(quoted(text, { special: special === 1 }));
      return made;
    };
    this.card.replaceChildren(...cardOf(token, open));
    this.card.scrollTop = 0;
  }
}

// One token: what it is, the merges that made it, and its neighbours.
function cardOf(token, open) {
  const [id, text, special, characters, bytes, script, kinds] = token.row;
  const title = h('p', 'vc-title');
  title.append(quoted(text, { special: special === 1 }), h('b', '', ` id ${id}`));
  const facts = h('dl', 'vc-facts');
  const row = (term, ...parts) => {
    const value = h('dd');
    value.append(...parts);
    facts.append(h('dt', '', term), value);
  };
  row('Written as', h('code', '', token.name || '—'));
  row('Bytes', special ? String(bytes) : `${bytes}: ${bytesOf(text).slice(0, 24).join(' ')}`);
  row('Characters', `${characters} · ${script}${kinds[0] === 'text' ? '' : ` · ${kinds.join(', ')}`}`);
  if (token.alone.length) {
    const itself = token.alone.length === 1 && token.alone[0][0] === id;
    row('Its text', ...(itself ? ['becomes this token'] : ['becomes ', ...token.alone.flatMap((piece) => [open(piece), ' '])]));
  }
  if (token.score !== null) row('Score', `${token.score}, its log-probability in the Unigram model`);
  if (token.norm !== null) row('Norm', `${token.norm} of its input embedding`);
  const merges = h('h4', '', 'Merges that made it');
  const list = h('ol', 'vc-merges');
  for (const [rank, left, right, made] of token.merges) {
    const line = h('li');
    line.append(h('span', 'vc-rank', `#${NUMBER.format(rank + 1)}`), open(left), ' + ', open(right), ' → ', open(made));
    list.append(line);
  }
  const parts = [title, facts, merges, token.made ? said(token.made) : list];
  parts.push(h('h4', '', 'Nearest by embedding'));
  if (!token.neighbours.length) parts.push(said('This model has no matrix of input embeddings that could be compared.'));
  else {
    const near = h('ol', 'vc-near');
    for (const neighbour of token.neighbours) {
      const line = h('li');
      const bar = h('i', 'bar');
      bar.style.setProperty('--share', Math.max(0, neighbour[3]));
      line.append(open(neighbour), h('span', 'vc-cosine', neighbour[3].toFixed(3).replace('-', '−')), bar);
      near.append(line);
    }
    parts.push(near, said('The cosine between two input embeddings: 1 is the same direction.'));
  }
  return parts;
}
