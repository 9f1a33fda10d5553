// A field of values over named rows and columns as colours: one canvas, which a pointer or the arrow
// keys read cell by cell. Colours are the accent's, stronger for more; the words are the caller's.

const HEAT_HEAD = 84;   // pixels for the names of columns, which stand upright, unless told
const HEAT_LEAST = 14;  // pixels of a cell

// `field`: rows and columns (arrays of names: text, or [id, text, special] of a token), `level(row,
// column)` from 0 to 1 or null where there is nothing, `marked(row, column)`, `told(row, column)`:
// the cell in words, a node or text; `label`; `first`: the cell that is told at first; `widest` of a
// cell in pixels; `square` cells; `head`: pixels for the names of columns. `kept.at` is the cell that
// was looked at last.
function heat(field, kept = {}) {
  const box = h('div', 'heat');
  const wide = h('div', 'wide');
  const sheet = h('div', 'sheet');
  const canvas = h('canvas');
  const ring = h('i', 'ring');
  const line = h('p', 'said told');
  line.setAttribute('role', 'status');
  canvas.tabIndex = 0;
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-roledescription', 'heat strip');
  canvas.setAttribute('aria-label', `${field.label}. Arrow keys read the cells.`);
  const names = h('div', 'rows');
  for (const name of field.rows) names.append(nameOf(name));
  const heads = h('div', 'columns');
  for (const name of field.columns) heads.append(nameOf(name));
  const plane = h('div', 'plane');
  plane.append(heads, canvas, ring);
  sheet.append(names, plane);
  wide.append(sheet);
  box.append(wide, line);
  let size = null;
  let seen = false;
  const top = field.head ?? HEAT_HEAD;
  box.style.setProperty('--head', `${top}px`);

  const choose = (row, column) => {
    kept.at = [row, column];
    ring.hidden = false;
    ring.style.cssText = `left:${column * size.x}px;top:${top + row * size.y}px;width:${size.x}px;height:${size.y}px`;
    line.replaceChildren(field.told(row, column));
  };
  const at = (event) => {
    const edge = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - edge.top) / size.y);
    const column = Math.floor((event.clientX - edge.left) / size.x);
    return [clamp(row, field.rows.length), clamp(column, field.columns.length)];
  };
  canvas.addEventListener('pointermove', (event) => choose(...at(event)));
  canvas.addEventListener('pointerdown', (event) => choose(...at(event)));
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = kept.at ?? [0, 0];
    choose(clamp(row + step[0], field.rows.length), clamp(column + step[1], field.columns.length));
    ring.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });

  const draw = () => {
    const room = box.clientWidth - names.offsetWidth - 4;
    if (room <= 0) return;
    const x = Math.floor(Math.max(HEAT_LEAST, Math.min(field.widest ?? 56, room / field.columns.length)));
    const y = field.square ? x : field.rows.length > 40 ? 12 : 20;
    size = { x, y };
    box.style.setProperty('--x', `${x}px`);
    box.style.setProperty('--y', `${y}px`);
    paint(canvas, field, size, getComputedStyle(box).getPropertyValue('--heat').trim());
    const [row, column] = kept.at ?? field.first ?? [0, 0];
    choose(clamp(row, field.rows.length), clamp(column, field.columns.length));
    // What is told is in sight, from where a reader may scroll away.
    if (!seen) wide.scrollLeft = column * x - (wide.clientWidth - names.offsetWidth) / 2;
    seen = true;
  };
  const watch = new ResizeObserver(() => requestAnimationFrame(draw));
  watch.observe(box);
  return { box, draw };
}

const clamp = (n, count) => Math.max(0, Math.min(count - 1, n));

function nameOf(name) {
  const element = h('span', 'name');
  if (Array.isArray(name)) {
    const [, text, special] = name;
    writeToken(element, text, { special: special === 1 });
    element.classList.toggle('one', Array.from(text).length === 1);  // a Chinese character stands upright
    element.title = text;
  } else {
    element.textContent = name;
    element.title = name;
  }
  return element;
}

function paint(canvas, field, { x, y }, colour) {
  const dense = window.devicePixelRatio || 1;
  const [wide, high] = [field.columns.length * x, field.rows.length * y];
  canvas.width = Math.round(wide * dense);
  canvas.height = Math.round(high * dense);
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${high}px`;
  const pen = canvas.getContext('2d');
  pen.scale(dense, dense);
  pen.fillStyle = colour;
  for (let row = 0; row < field.rows.length; row += 1) {
    for (let column = 0; column < field.columns.length; column += 1) {
      const level = field.level(row, column);
      if (level === null) continue;
      pen.globalAlpha = 0.04 + 0.96 * Math.max(0, Math.min(1, level));
      pen.fillRect(column * x, row * y, x - 1, y - 1);
      if (field.marked?.(row, column)) {
        pen.clearRect(column * x + x / 2 - 2, row * y + y / 2 - 2, 4, 4);
      }
    }
  }
}

// What the colours mean: from the weakest to the strongest, in words.
function heatLegend(low, high, ...more) {
  const key = h('p', 'said heat-key');
  key.append(low, ' ', h('i', 'ramp'), ' ', high, ...more);
  return key;
}

// Three digits, whatever the size, with a real minus.
function threeDigits(value) {
  if (value === null) return '—';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits).replace('-', '−');
}
