// The figures of lanes: their names, how they are written, and which of several is the best.

const signed = (value, digits) => value.toFixed(digits).replace('-', '\u2212');
const share = (value) => `${(100 * value).toFixed(value > 0 && value < 0.095 ? 1 : 0)} %`;
const large = (value) => (value < 1000 ? value.toFixed(2)
  : value < 1e6 ? Math.round(value).toLocaleString('en') : value.toExponential(1).replace('e+', 'e'));

// `best`: whether the largest (1) or the smallest (-1) is marked; 0 where neither is better. What a
// short answer has for being short (`fair`) is marked only among those at least half the longest.
const FIGURES = [
  { name: 'mean_logprob', label: 'Mean log-probability', best: 1, write: (v) => signed(v, 2), help: 'Nats a token, under the model itself before any processor. Nearest to 0 is surest.' },
  { name: 'perplexity', label: 'Perplexity', best: -1, write: large, help: 'exp of the mean surprise: among how many tokens it chose, so to speak. Least is marked.' },
  { name: 'distinct_1', label: 'Distinct-1', best: 1, fair: true, write: (v) => v.toFixed(2), help: 'Different tokens over tokens (Li et al. 2016). Most is marked.' },
  { name: 'distinct_2', label: 'Distinct-2', best: 1, fair: true, write: (v) => v.toFixed(2), help: 'Different pairs of tokens over pairs (Li et al. 2016). Most is marked.' },
  { name: 'rep_4', label: 'Repetition', best: -1, fair: true, write: share, help: 'Share of runs of 4 tokens that stood before: seq-rep-4 (Welleck et al. 2019). Least is marked.' },
  { name: 'length', label: 'Length', best: 0, write: String, help: 'New tokens; + where the limit cut the answer off.' },
  { name: 'seconds', label: 'Seconds (shared)', best: 0, write: (v) => v.toFixed(v < 10 ? 2 : 1), help: 'Of its forwards, reading the prompt included. Lanes that are read in one forward each count all of its time.' },
  { name: 'forwards', label: 'Forwards', best: 0, write: String, help: 'How often the model read: the prompt counts once. Fewer than tokens where one forward gave several.' },
];

// A lane's figures in one line, those that stand under its text left out.
function lineOf({ figures }) {
  if (!figures.forwards) return [];
  const of = (name) => written(FIGURES.find((figure) => figure.name === name), figures[name]);
  return [`${of('rep_4')} repeated`, `${of('forwards')} forwards`, `${of('seconds')} s`];
}

// Where a lane leaves the one that it is compared with; no figure of its own.
const LEAVES = { name: 'at', label: 'Parts at', best: 0, write: (v) => `token ${v + 1}`, help: 'The first token that is another than the compared lane’s.' };

const written = (figure, value) => (value === null || value === undefined ? '–' : figure.write(value));
const valueOf = (lane, name) => (name === 'at' ? lane.at : lane.figures[name]) ?? null;

const isShort = (lane, lanes) => 2 * lane.figures.length < Math.max(...lanes.map(({ figures }) => figures.length));

// The best of a figure among lanes, as it is written; null where most lanes share it.
function bestOf(figure, lanes) {
  const fair = lanes.filter((lane) => !figure.fair || !isShort(lane, lanes));
  const values = fair.map((lane) => valueOf(lane, figure.name)).filter((value) => value !== null);
  if (!figure.best || values.length < 2) return null;
  const best = written(figure, figure.best > 0 ? Math.max(...values) : Math.min(...values));
  const alike = values.filter((value) => written(figure, value) === best).length;
  return alike > values.length / 2 ? null : best;
}

// Lanes in order of a figure, best first unless turned; what has none comes last, ties stay put.
function sorted(lanes, { by, turned }) {
  const figure = [...FIGURES, LEAVES].find(({ name }) => name === by);
  if (!figure) return [...lanes];
  const way = (figure.best || -1) * (turned ? -1 : 1);
  const rank = (lane) => valueOf(lane, by);
  return [...lanes].sort((a, b) => {
    if (rank(a) === null || rank(b) === null) return (rank(a) === null) - (rank(b) === null);
    return way * (rank(b) - rank(a)) || a.column - b.column;
  });
}

// A sentence from the server: words, and tokens among them that are shown for what they are.
function writeSentence(box, parts) {
  box.replaceChildren(...parts.map((part) => (
    typeof part === 'string' ? part : h('code', '', part.token)
  )));
}
