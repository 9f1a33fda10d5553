// Tokens as values, and how one is written down: visible marks, figures, strength of surprise.
// Everything that comes from a model reaches the page through textContent; nothing here takes HTML.

function h(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// The order is that of encode_step in token_store.py.
function readToken(row) {
  const [id, text, piece, logprob, rank, final, entropy, marks, candidates, ms = 0] = row;
  // A server does not tell everything; what it does not is NaN here, which is never a number.
  const told = (value) => (value === null && (marks & 8) !== 0 ? NaN : value);
  return {
    id, text, piece: piece === 0 ? text : piece, rank, ms,
    logprob: told(logprob), final: told(final), entropy: told(entropy), untold: (marks & 8) !== 0,
    special: (marks & 1) !== 0, forced: (marks & 2) !== 0, stood: (marks & 4) !== 0,
    candidates: candidates.map(([cid, ctext, clogprob, cfinal]) => (
      { id: cid, text: ctext, logprob: clogprob, final: told(cfinal) })),
  };
}

const BYTES = /<0x[0-9A-F]{2}>/;
// What it adds is less than it has: the rest are bytes that wait for those of a character to come.
const isHalf = ({ text, piece, special }) => !special && BYTES.test(piece) && piece !== text && piece.startsWith(text);

// The bytes of a token in hexadecimal, as its tokenizer has them.
function bytesOf(piece) {
  const encoder = new TextEncoder();
  return piece.split(/(<0x[0-9A-F]{2}>)/).filter(Boolean).flatMap((part) => (
    BYTES.test(part) && part.length === 6 ? [part.slice(3, 5)]
      : Array.from(encoder.encode(part), (byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
  ));
}

// A token by itself; the one that completes a character shows the character, not its last byte.
const shownOf = (token) => (BYTES.test(token.piece) && !isHalf(token) ? token.text : token.piece);

const GLYPHS = { 0x09: '⇥', 0x0a: '⏎', 0x20: '·' };
const NAMED = {
  0x0d: 'CR', 0xa0: 'NBSP', 0xad: 'SHY', 0x61c: 'ALM', 0x180e: 'MVS', 0x200b: 'ZWSP',
  0x200c: 'ZWNJ', 0x200d: 'ZWJ',
  0x200e: 'LRM', 0x200f: 'RLM', 0x2028: 'LS', 0x2029: 'PS', 0x202a: 'LRE', 0x202b: 'RLE',
  0x202c: 'PDF', 0x202d: 'LRO', 0x202e: 'RLO', 0x2060: 'WJ', 0x2066: 'LRI', 0x2067: 'RLI',
  0x2068: 'FSI', 0x2069: 'PDI', 0x3000: 'IDSP', 0x3164: 'HF', 0xfeff: 'BOM',
};
const HIDDEN = /[\p{Zs}\p{Zl}\p{Zp}\p{Cc}\p{Cf}\u3164]/u;
const hex = (code) => 'U+' + code.toString(16).toUpperCase().padStart(4, '0');

// Appends `text` to `parent` with everything that leaves no ink shown for what it is.
function writeVisible(parent, text) {
  if (!HIDDEN.test(text)) {
    parent.append(text);
    return;
  }
  let run = '';
  const endRun = () => { if (run) parent.append(run); run = ''; };
  for (const char of text) {
    if (!HIDDEN.test(char)) { run += char; continue; }
    endRun();
    const code = char.codePointAt(0);
    const glyph = GLYPHS[code];
    parent.append(h('i', glyph ? 'mark' : 'mark named', glyph ?? NAMED[code] ?? hex(code)));
  }
  endRun();
}

// Running text as it is, but for the marks that reorder it: they could make it read as another.
const REORDER = /([\u202a-\u202e\u2066-\u2069])/u;

function writeReadable(parent, text) {
  if (!REORDER.test(text)) {
    parent.textContent = text;
    return parent;
  }
  parent.replaceChildren();
  for (const part of text.split(REORDER)) {
    if (REORDER.test(part)) parent.append(h('i', 'mark named', NAMED[part.codePointAt(0)]));
    else parent.append(part);
  }
  return parent;
}

// The classes by which the style sheet tints a token, one for each measure.
function tint(element, token) {
  for (const [name, measure] of Object.entries(MEASURES)) {
    element.classList.add(name[0] + measure.level(token));
  }
  return element;
}

// Whether the model chose it in this run: put there by the reader, or there before it began.
function markOrigin(element, token) {
  if (token.forced) element.classList.add('forced');
  if (token.stood) element.classList.add('stood');
  return element;
}

// The token as it is drawn everywhere but in running text.
function writeToken(parent, text, { special = false, half = false } = {}) {
  if (special) parent.classList.add('special');
  if (half || (!special && BYTES.test(text))) parent.classList.add('half');
  writeVisible(parent, text);
  return parent;
}

// The token in words, for a label that is read aloud.
function spoken(text) {
  const words = { 0x09: 'tab', 0x0a: 'newline', 0x0d: 'carriage return', 0xa0: 'no-break space' };
  const trimmed = text.replace(/^ +| +$/g, '');
  if (!trimmed) return text ? (text.length > 1 ? text.length + ' spaces' : 'space') : 'nothing';
  // " Paris" and "Paris" are two tokens, and must sound like two.
  if (text !== trimmed) {
    return [text[0] === ' ' ? 'space' : '', spoken(trimmed), text.endsWith(' ') ? 'space' : ''].join(' ').trim();
  }
  return Array.from(trimmed, (char) => {
    const code = char.codePointAt(0);
    return words[code] ? ' ' + words[code] + ' ' : NAMED[code] ? ' ' + NAMED[code] + ' ' : char;
  }).join('').trim();
}

const probabilityOf = (logprob) => (logprob === null ? 0 : Math.exp(logprob));

const UNTOLD = 'not told';
const idInWords = (id) => (id < 0 ? 'id not told' : `id ${id}`);

function percent(share) {
  if (Number.isNaN(share)) return UNTOLD;
  const value = 100 * share;
  if (value >= 99.95) return '100 %';
  if (value >= 9.95) return value.toFixed(0) + ' %';
  if (value >= 0.995) return value.toFixed(1) + ' %';
  if (value >= 0.01) return value.toFixed(2) + ' %';
  return value > 0 ? '< 0.01 %' : '0 %';
}

const figure = (value, digits) => (
  value === null ? '−∞' : Number.isNaN(value) ? UNTOLD : value.toFixed(digits).replace('-', '−'));

// Surprise in bits: how often a coin would have to fall heads in a row to be as unlikely.
const bitsOf = (logprob) => (logprob === null ? Infinity : -logprob / Math.LN2);

// How strongly a token is tinted, 0 (plain) to 5, by each measure; and the same in words.
const MEASURES = {
  probability: {
    label: 'probability', plain: 'expected', strong: 'a surprise',
    help: 'How likely the model itself found the token. The stronger the colour, the less likely.',
    steps: ['50 % or more', '20–50 %', '5–20 %', '1–5 %', '0.1–1 %', 'under 0.1 %'],
    level: (t) => [0.5, 0.2, 0.05, 0.01, 0.001].filter((edge) => probabilityOf(t.logprob) < edge).length,
  },
  rank: {
    label: 'rank', plain: 'first choice', strong: 'far down',
    help: 'The place of the token in the model’s own list, the likeliest first.',
    steps: ['1st', '2–3', '4–10', '11–100', '101–1000', 'over 1000'],
    level: (t) => [1, 3, 10, 100, 1000].filter((edge) => t.rank > edge).length,
  },
  entropy: {
    label: 'entropy', plain: 'one way on', strong: 'many',
    help: 'How open the choice was, whatever was chosen then: the mean surprise in nats.',
    steps: ['under 0.5 nats', '0.5–1', '1–2', '2–3', '3–4.5', '4.5 or more'],
    level: (t) => [0.5, 1, 2, 3, 4.5].filter((edge) => t.entropy === null || t.entropy >= edge).length,
  },
  surprise: {
    label: 'surprise', plain: 'no news', strong: 'unexpected',
    help: 'Minus the base-2 logarithm of the probability: one bit for every time it halves.',
    steps: ['under 1 bit', '1–2', '2–4', '4–7', '7–10', '10 or more'],
    level: (t) => [1, 2, 4, 7, 10].filter((edge) => bitsOf(t.logprob) >= edge).length,
  },
};
