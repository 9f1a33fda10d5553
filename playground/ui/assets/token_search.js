// A beam search as it is known here: its steps, the way back from a hypothesis, scores, ends.

const BEAM_STATES = ['kept', 'finished', 'dropped'];

// The order is that of encode_beams in token_forwards.py.
function readBeams([position, length, ms, rows, ends]) {
  return {
    position, length, ms,
    beams: rows.map(([parent, id, piece, total, state, group, reason = '', lost = '', margin = 0]) => (
      { parent, id, piece, total, state: BEAM_STATES[state], group, reason, lost, margin, length })),
    ends: ends.map(([group, why, possible, worst]) => ({ group, why, possible, worst })),
  };
}

const scoreOf = ({ total, length }, penalty) => (total === null ? -Infinity : total / length ** penalty);

class Search {
  constructor() { this.clear(); }

  clear() {
    this.rules = null;
    this.steps = [];
    this.count = 0;
    this.finished = [];
  }

  // How many hypotheses a group keeps.
  get each() { return this.rules.beams / this.rules.groups; }

  get isWhole() { return this.steps.length >= this.count; }

  // Steps from a message or from the store; what is known already is passed over.
  add(from, rows) {
    if (from > this.steps.length) return;
    for (const row of rows.slice(this.steps.length - from)) {
      const s = this.steps.length;
      const step = readBeams(row);
      this.steps.push(step);
      step.beams.forEach((beam, r) => { if (beam.state === 'finished') this.finished.push([s, r]); });
    }
  }

  // The server has forgotten these steps: a way back ends there.
  skipTo(from) { while (this.steps.length < from) this.steps.push(null); }

  at(s, r) { return this.steps[s]?.beams[r] ?? null; }

  // The places from the first known token of a hypothesis to its newest. Survivors come first in a
  // step, so that a parent's number is its row.
  path(s, r) {
    const places = [];
    for (let beam = this.at(s, r); beam; beam = this.at(s, r)) {
      places.push([s, r]);
      s -= 1;
      r = beam.parent;
    }
    return places.reverse();
  }

  text(s, r) { return this.path(s, r).map(([a, b]) => this.at(a, b).piece).join(''); }

  // All that could win as far as it is stored: what has ended, and what is open after the last step.
  contenders(penalty) {
    const last = this.steps.length - 1;
    const open = (this.steps[last]?.beams ?? []).map((_, r) => [last, r])
      .filter(([s, r]) => this.at(s, r).state === 'kept' && !this.at(s, r).reason);
    return [...this.finished, ...open]
      .map(([s, r]) => ({ s, r, beam: this.at(s, r), score: scoreOf(this.at(s, r), penalty) }))
      .sort((a, b) => b.score - a.score);
  }

  // Where the hypothesis ended that became these tokens, the last of which stands at `position`.
  winner(ids, position) {
    const first = this.steps.findIndex((step) => step);
    const s = first < 0 ? -1 : position - this.steps[first].position + first;
    const rows = this.steps[s]?.beams ?? [];
    const r = rows.findIndex((_, k) => {
      const path = this.path(s, k);
      return path.every(([a, b], n) => this.at(a, b).id === ids[ids.length - path.length + n]);
    });
    return r < 0 ? null : [s, r];
  }

  // The ended ones of a group that it still keeps: the best so many.
  holds(s, r) {
    const { group } = this.at(s, r);
    const { penalty } = this.rules;
    const better = this.finished.filter(([a, b]) => this.at(a, b).group === group
      && scoreOf(this.at(a, b), penalty) > scoreOf(this.at(s, r), penalty));
    return better.length < this.each;
  }
}

// What ended a hypothesis, in words.
const BEAM_REASONS = {
  end: 'the model ended its turn', length: 'the limit of new tokens', 'stop string': 'a stop string',
  context: 'the context is full', stopped: 'stopped',
};

// The limit ended it, not the model: it would have gone on.
const isCut = (beam) => beam.reason === 'length' || beam.reason === 'context';

// What became of a hypothesis at its step, in one sentence.
function fateOf(search, s, r, winner) {
  const beam = search.at(s, r);
  const { each, rules } = search;
  const among = rules.groups > 1 ? `${each} of its group` : `${each}`;
  if (winner && winner[0] === s && winner[1] === r) {
    if (isCut(beam)) return `The winner, though cut off here: ${BEAM_REASONS[beam.reason]}.`;
    return `The winner${beam.reason ? `: it ended here (${BEAM_REASONS[beam.reason]})` : ''}.`;
  }
  if (beam.state === 'kept') return beam.reason ? 'Ended; it holds a place and cannot win.' : 'Goes on.';
  if (beam.state === 'finished') {
    const out = search.holds(s, r) ? '' : ` Pushed out by ${each === 1 ? 'a better one' : `${among} better ones`} since.`;
    return `${isCut(beam) ? 'Cut off' : 'Ended'} here: ${BEAM_REASONS[beam.reason] ?? 'complete'}.${out}`;
  }
  if (beam.lost === 'place') {
    const which = rules.draws ? `the first ${each} that are drawn` : `the best ${each} continuations`;
    return `Dropped: it ended, and only ${which} of a step may end.`;
  }
  if (beam.lost === 'score') {
    return `Dropped: it ended, and lost by ${figure(beam.margin, 2)} to the worst of the ${among} that ended and are kept.`;
  }
  if (beam.total === null || beam.margin === null) return 'Dropped: the settings rule it out.';
  const kept = search.steps[s].beams.filter((one) => one.state === 'kept' && one.group === beam.group);
  const last = kept.reduce((least, one) => (one.total < least.total ? one : least), kept[0]);
  const which = each === 1 ? `the one${rules.groups > 1 ? ' of its group' : ''} that goes on` : `the last of the ${among} that go on`;
  const to = last ? ` to “${last.piece.trim() || spoken(last.piece)}”, ${which}` : '';
  return `Dropped: it lost by ${figure(beam.margin, 2)} nats${to}.`;
}

// The rule by which a search ends, and why this one did, in words.
function ruleOf({ early, beams, groups }) {
  const each = beams / groups;
  const who = groups > 1 ? 'a group’s search' : 'the search';
  const all = each === 1 ? 'one hypothesis has ended' : `${each} hypotheses have ended`;
  if (early === true) return `Early stopping is on: ${who} ends as soon as ${all}.`;
  const rest = early === 'never' ? ', however long it may become' : '';
  return `Early stopping is ${early === 'never' ? '“never”' : 'off'}: ${who} ends when ${all} and no open one can still win${rest}.`;
}

function endOf(search, s) {
  const { groups, early } = search.rules;
  const { ends, beams } = search.steps[s];
  const limit = beams.some((beam) => beam.reason === 'context') ? 'full context' : 'limit of new tokens';
  if (groups > 1 && ends.length === groups && ends.every((end) => end.why === 'ended')) {
    return `All groups ended at step ${s + 1}: every continuation has ended.`;
  }
  if (ends.length === groups && ends.every((end) => end.why === 'limit')) {
    return `The ${limit} cut the search off at step ${s + 1}: what had not ended would have gone on.`;
  }
  return ends.map(({ group, why, possible, worst }) => {
    const who = groups > 1 ? `Group ${group + 1} ended` : 'The search ended';
    const at = `${who} at step ${s + 1}: `;
    const many = search.each === 1 ? 'one hypothesis has' : `${search.each} hypotheses have`;
    if (why === 'limit') return `${at}the ${limit} cut it off.`;
    if (why === 'ended') return `${at}every continuation has ended.`;
    if (why === 'enough') return `${at}${many} ended, and early stopping asks for no more.`;
    if (possible === null) return `${at}no open hypothesis can still win.`;
    const best = early === 'never' ? 'can come to' : 'stands at';
    return `${at}no open hypothesis can still win. The best open one ${best} ${figure(possible, 2)}; `
      + `the worst of the ${search.each} that ended has ${figure(worst, 2)}.`;
  }).join(' ');
}
