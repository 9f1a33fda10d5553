// The prompt of a run, folded: its pieces are asked for when somebody opens it.

class PromptBlock {
  constructor(lane) {
    this.lane = lane;
    this.root = h('details', 'prompt');
    this.root.open = lane.props.open_prompt === true;
    this.summary = h('summary');
    this.pieces = new Pieces();
    Object.defineProperty(this.pieces, 'lacksInside', { get: () => lane.lacksInside });
    this.pieces.lookInside = (i) => lane.lookInsidePrompt(i);
    this.root.append(this.summary, this.pieces.root);
    this.root.addEventListener('toggle', () => this.fill());
    this.root.hidden = true;
  }

  clear() {
    this.root.hidden = true;
    this.pieces.set([]);
  }

  show(tokens) {
    this.root.hidden = false;
    // A server may not tell how it reads a prompt.
    const count = tokens === 0 ? 'not told' : `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`;
    putLine(this.summary, 'Prompt', [' as the model sees it'], ` · ${count}`);
    this.fill();
  }

  async fill() {
    const { lane, pieces } = this;
    const { key } = lane;
    if (!this.root.open || pieces.pieces.length || !key) return;
    const answer = await lane.ask('token_stream_prompt', { key });
    if (key !== lane.key || !answer) return;
    if (answer.gone) pieces.root.textContent = 'The prompt is no longer kept on the server.';
    else pieces.set(answer.pieces);
  }
}
