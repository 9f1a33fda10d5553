// What the servers of picked models lack, asked for once they are picked; nothing is known here of
// any server but what was told.

const NOTHING_LACKS = { server: '', lacks: {}, presets: {}, choices: {}, views: {}, said: '', problem: '' };

const served = {
  known: new Map(), // by model: what the server function told
  asking: new Set(),
  settings: new Set(), // of columns that are or were on the page

  isServed(model) { return model.startsWith(FACTS.served); },

  of(model) { return this.known.get(model) ?? NOTHING_LACKS; }, // the very same while nothing is new

  // The model of a tab whose columns share one; none where each column has its own.
  picked(tab) { return window.pickedModels?.[tab] ?? ''; },

  // Somebody picked a model of a server.
  async want(model, ask) {
    if (!this.isServed(model) || this.asking.has(model)) return;
    this.asking.add(model);
    let told = null;
    try {
      told = JSON.parse(await ask(model));
    } catch { /* Whoever presses Run is told. */ }
    this.asking.delete(model);
    if (!told) return;
    const isNew = JSON.stringify(told) !== this.known.get(model)?.told;
    if (isNew) {
      this.known.set(model, { ...NOTHING_LACKS, ...told, told: JSON.stringify(told) });
      this.tell(model);
    }
    if (told.wait) setTimeout(() => { if (this.shows(model)) this.want(model, ask); }, told.wait);
  },

  shows(model) { return [...this.settings].some((one) => one.isThere && one.model === model); },

  tell(model) {
    for (const one of this.settings) {
      if (!one.isThere) this.settings.delete(one);
      else if (one.model === model) { one.show(); one.ask(); }
    }
    document.dispatchEvent(new CustomEvent('served-models'));
  },

  // The model that a tab's columns share is another one.
  repick(tab) {
    for (const one of this.settings) if (one.isThere && one.tab === tab) { one.show(); one.ask(); }
    document.dispatchEvent(new CustomEvent('served-models'));
  },

  // Why a tab's shared model cannot serve a view; empty where it can.
  whyNot(tab, view) { return this.of(this.picked(tab)).views[view] ?? ''; },
};

// An option of a menu that its server cannot follow: grey, with a word of why, and all of it beside.
// One that is chosen keeps its name alone: what is wrong with it is said by the verdict.
function greyOption(option, words, why, server, isChosen) {
  const shown = why && !isChosen ? `${words} · not on ${server}` : words;
  if (option.shown === shown && option.title === (why ?? '')) return;
  option.shown = shown;
  option.disabled = Boolean(why);
  option.textContent = shown;
  option.title = why ?? '';
}
