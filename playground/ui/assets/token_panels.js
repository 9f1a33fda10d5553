// Small panels of a lane, below its tokens. A file that has one adds how it is made:
//
//   PANELS.push((lane) => new MyPanel(lane));
//
// A panel has `root`, an element that hides itself while there is nothing to show, and may have
// take(message)  every message of the run, as token_feed.py wrote it,
// draw()         once a frame after that,
// attend(i)      the reader has gone to token i,
// clear()        another run begins.

const PANELS = [];

class Panels {
  constructor(lane) {
    this.all = PANELS.map((make) => make(lane));
    this.root = h('div', 'panels');
    this.root.append(...this.all.map((panel) => panel.root));
  }

  tell(what, ...given) { for (const panel of this.all) panel[what]?.(...given); }
}
