// The open tab in the page's address: Back leads to the tab before, a reload to the one that was
// open, and a tab can be linked to. What follows #recipe= is a recipe, which opens its own tab.

const NAMED = /^#([a-z]+)$/;
const RECIPE = '#recipe=';

class TabHistory {
  constructor(row, tabs, tell) {
    Object.assign(this, { row, tabs, tell, pending: null });
    this.first = this.last = this.open;
    const asked = this.asked();
    // An entry of ours is known by its state; a link that somebody put into the address has none.
    history.replaceState({ tab: asked }, '', location.href);
    new MutationObserver(() => this.changed()).observe(row, {
      subtree: true, childList: true, attributes: true, attributeFilter: ['aria-selected'],
    });
    addEventListener('popstate', () => this.go(this.asked()));
    if (!location.hash.startsWith(RECIPE)) this.go(asked);
  }

  get open() { return this.row.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId; }

  asked() {
    if (location.hash.startsWith(RECIPE)) return 'recipe';
    const tab = NAMED.exec(location.hash)?.[1];
    return this.tabs.includes(tab) ? tab : this.first;
  }

  go(tab) {
    if (tab === this.last) return;
    this.last = tab;
    this.show();
  }

  // A tab that has no room in the row is no button there: the server opens it, one at a time.
  show() {
    const button = this.row.querySelector(`[data-tab-id="${this.last}"]`);
    if (button) {
      button.click();
    } else if (!this.pending) {
      this.pending = this.last;
      this.tell({ tab: this.last });
    }
  }

  changed() {
    const tab = this.open;
    if (tab && tab === this.pending) {
      this.pending = null;
      if (tab !== this.last) this.show(); // somebody went on while the server opened it
    } else if (tab && tab !== this.last) {
      this.last = tab;
      if (tab !== this.asked()) history.pushState({ tab }, '', `${location.pathname}${location.search}#${tab}`);
    }
  }
}

window.tabHistory = {
  async mount(root, { asked: tell }) {
    if (window.tabsOfPage) return;
    const drawn = () => document.querySelector('.tabs [role="tablist"]:has([aria-selected="true"])');
    while (!drawn()) await new Promise((done) => setTimeout(done, 50));
    window.tabsOfPage = new TabHistory(drawn(), root.dataset.tabs.split(' '), tell);
  },
};
