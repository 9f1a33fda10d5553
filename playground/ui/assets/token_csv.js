// The step table as a CSV file (RFC 4180), made here of what the lane holds.

const LONGEST_SENTENCE = 1000; // characters; with all of it a file would grow with the square

// Text of a model is no formula, whatever it begins with; spreadsheets take an apostrophe for that.
const guarded = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
const cellOf = (text) => quoted(guarded(text));

function csvFigure(logprob, figures) {
  if (Number.isNaN(logprob)) return '';
  if (figures === 'logprob') return logprob === null ? '' : String(Number(logprob.toFixed(4)));
  return String(Number((100 * probabilityOf(logprob)).toPrecision(4)));
}

function csvHeader(top, figures) {
  const unit = figures === 'logprob' ? 'log-probability (nats)' : '%';
  const names = ['step', 'text before', 'chosen', `chosen ${unit}`, 'rank'];
  for (let k = 1; k <= top; k += 1) names.push(`top ${k}`, `top ${k} ${unit}`);
  return names.map(cellOf).join(',');
}

function csvCells(token, sentence, top, figures) {
  const before = sentence.length > LONGEST_SENTENCE ? '…' + sentence.slice(-LONGEST_SENTENCE) : sentence;
  const listed = token.candidates.slice(0, top);
  return [
    cellOf(before), cellOf(shownOf(token)), csvFigure(token.logprob, figures), token.rank,
    ...listed.flatMap((c) => [cellOf(c.text), csvFigure(c.logprob, figures)]),
  ];
}

// One line a token; of a token that is no longer kept, its number.
function csvOf(tokens, top, figures, first = 0) {
  const lines = [csvHeader(top, figures)];
  let sentence = '';
  tokens.forEach((token, i) => {
    const cells = token ? csvCells(token, sentence, top, figures) : ['', '(no longer kept)', '', ''];
    while (cells.length < 4 + 2 * top) cells.push('');
    lines.push([i + 1 + first, ...cells].join(','));
    if (token && !token.special) sentence += token.text;
  });
  return lines.join('\r\n') + '\r\n';
}

function saveFile(name, text, kind = 'text/csv') {
  const link = h('a');
  // The mark at its beginning tells spreadsheets that it is UTF-8; others want none.
  const mark = kind === 'text/csv' ? ['\ufeff'] : [];
  link.href = URL.createObjectURL(new Blob([...mark, text], { type: `${kind};charset=utf-8` }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
