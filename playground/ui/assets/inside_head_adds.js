// What a head adds to the bare model: AutoModel beside AutoModelForCausalLM, in numbers.

function headAdds(bare, { tree, shapes }) {
  const box = h('section', 'bare');
  const title = h('h3', '', 'What the head adds ');
  title.append(h('small', '', `AutoModel beside ${bare.auto_whole}`));
  const both = h('div', 'two');
  const last = (path) => shapes?.flows[path]?.gave[0] ?? '';
  both.append(
    side('AutoModel', bare.kind, bare.parameters, bare.bytes, `last_hidden_state ${last(bare.path) || hidden(shapes, bare)}`),
    side(bare.auto_whole, tree.kind, tree.parameters, tree.bytes, `logits ${shapes?.flows['']?.gave.at(-1) ?? ''}`),
  );
  box.append(title, both);
  for (const one of bare.beyond) {
    const line = said(h('b', '', one.path), ` (${one.kind}): `);
    if (one.bytes) line.append(`${grouped(one.parameters)} parameters, ${sizeOf(one.bytes)}`);
    if (one.same_as) line.append(`${one.bytes ? ', and ' : ''}no bytes of its own: its weight is the same tensor as ${one.same_as}`);
    if (!one.bytes && !one.same_as) line.append('no weights');
    line.append('.');
    box.append(line);
  }
  if (!bare.beyond.length) box.append(said('Nothing that has weights: the whole is the bare model.'));
  if (bare.auto && bare.auto !== bare.kind) {
    box.append(said(`For this config AutoModel itself makes a ${bare.auto}; of that this model has its ${bare.kind}.`));
  }
  return box;
}

// What the head was given, where the bare model is not called as a whole.
function hidden(shapes, bare) {
  const head = bare.beyond.map(({ path }) => shapes?.flows[path]).find(Boolean);
  return head?.given[0] ?? '';
}

function side(auto, kind, parameters, bytes, gives) {
  const card = h('div', 'side-of');
  card.append(h('code', '', auto), h('b', '', kind), h('span', '', `${grouped(parameters)} parameters`),
    h('span', '', sizeOf(bytes)), h('span', 'gives', `gives ${gives}`));
  return card;
}
