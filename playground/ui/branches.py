"""The branches of one page: the lanes that show them, the tree, its samples; it knows no Gradio.

Nothing here waits for a model. Whoever shows it calls ``pump`` every moment and reads what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from playground.core.branches import Branch, History, Tree
from playground.core.compare import Comparison, compare
from playground.core.events import Step
from playground.core.forking import forked, resumed
from playground.core.run import Run
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.errors import InvalidInput
from playground.ui.drawing import Drawing, drawing_of
from playground.ui.lane_report import Board
from playground.ui.lanes import LANES, Lanes
from playground.ui.playing import Player
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import answer_of, trace_of

FROM_HERE = 20  # samples that a click on a token asks for


@dataclass(frozen=True, slots=True)
class Beside:
    """A branch in a lane beside others."""

    feed: TokenFeed
    title: str


class Branches:
    """The branches of one page. Every method returns at once; one at a time may be called.

    What comes from the page may be anything: a key that leads nowhere changes nothing, or raises
    InvalidInput with what there is to say.
    """

    def __init__(
        self, engine: Engine, most_samples: int, session: str, describe: Callable[[Run], str]
    ) -> None:
        self._describe = describe
        self.most_samples = most_samples
        self.player = Player(engine, session)
        self.history = History()
        self.lanes = Lanes()
        self.compared: tuple[str, ...] = ()
        self.drawing: Drawing | None = None
        self.feeds: dict[str, TokenFeed] = {}
        self._lanes_before: tuple[Lanes, ...] = ()  # for each change that can be undone
        self._board: Board | None = None

    @property
    def tree(self) -> Tree:
        """The branches as they are now."""
        return self.history.tree

    @property
    def tokens(self) -> int:
        """How many tokens are held here, whatever the store has forgotten."""
        drawn = self.drawing.feeds if self.drawing else ()
        feeds = {feed.key: feed for feed in (*self.feeds.values(), *drawn)}
        traces = [feed.trace for feed in feeds.values()]
        return sum(len(trace.beginning) + len(trace.steps) for trace in traces)

    def pump(self) -> None:
        """What has happened since the last time, into the feeds."""
        self.player.pump()
        # Only what is shown or still writes is held here; the rest is in the bounded store.
        needed = {*self.lanes.keys, *(feed.key for feed in self.player.feeds)}
        self.feeds = {key: feed for key, feed in self.feeds.items() if key in needed}

    # Runs and branches

    def run(self, run: Run) -> None:
        """A run of its own, and with it a new tree; undo brings the former one back."""
        feed = TokenFeed(run, Branch("").title, self._describe(run))
        self._plant(Branch(feed.key), "the new run")
        self._play(feed)
        self._show(feed.key, 0)

    def branch(self, wish: Mapping[str, Any], where: str = "") -> None:
        """What a token view's ``branch`` event asks for; ``where`` is the tab that it came from.

        The first branch of a run that is not in the tree begins a new one. Raises InvalidInput.
        """
        key = wish.get("key")
        trace = trace_of(key)
        if trace is None or not isinstance(key, str):
            raise InvalidInput(
                "This run is no longer kept on the server, so nothing can grow from it.",
                field="key", advice="Run it again.",
            )
        answer, writer = answer_of(key), self._writer(key, trace, wish.get("position"))
        if wish.get("what") == "samples":
            run = resumed(writer, answer, wish.get("position"))
            self._root(key, where)
            stood = answer[: wish["position"]]
            self.draw(run, min(FROM_HERE, self.most_samples), stood, key)
            return
        new = forked(writer, answer, wish)
        self._root(key, where)
        branch = Branch("", key, new.position, new.deed, new.token, new.instead)
        feed = TokenFeed(new.run, branch.title, self._describe(new.run),
                         stood=answer[: new.position])
        self._then(branch.title, self.tree.add(replace(branch, key=feed.key)))
        self._play(feed)
        self._show(feed.key, self.lanes.free(key, self.player.writing))

    def _root(self, key: str, where: str) -> None:
        """A run that is not in the tree begins a new one."""
        if self.tree.get(key) is None:
            self._plant(Branch(key, token=f"The run in {where}" if where else ""), "the new tree")
            self._show(key, 0)

    def _writer(self, key: str, trace: Trace, position: object) -> Trace:
        """The run that wrote what stands at a place of an answer, as far up as the tree knows it:
        its settings were in force there, and what it could not choose."""
        branch = self.tree.get(key)
        while (
            isinstance(position, int) and trace.run.fork is not None and branch is not None
            and position < len(trace.run.fork.ids)
        ):
            branch = self.tree.get(branch.parent)
            above = trace_of(branch.key) if branch is not None else None
            if above is None:
                break
            trace = above
        return trace

    def stop(self, key: object = None) -> None:
        """Stop the run of a key, or every run of this tab; what was written stays."""
        self.player.stop(key if isinstance(key, str) else None)

    def _play(self, feed: TokenFeed) -> None:
        self.feeds[feed.key] = feed
        self.player.play([feed])

    def _plant(self, root: Branch, words: str) -> None:
        """A new tree in place of the one that is there, whose runs are stopped."""
        self.player.stop_paced()
        self._then(words if self.tree.branches else "the run", Tree().add(root))
        self.lanes, self.compared = Lanes(), ()

    # Lanes

    def show(self, key: object, lane: object = None) -> None:
        """Show a branch in a lane, that in focus unless one is named."""
        branch = self.tree.get(key)
        if branch is not None:
            known = isinstance(lane, int) and 0 <= lane < LANES
            self._show(branch.key, lane if known else self.lanes.focus)  # type: ignore[arg-type]

    def close(self, lane: object) -> None:
        """A lane goes away; its branch stays in the tree, and its run goes on."""
        if isinstance(lane, int) and 0 <= lane < LANES:
            self.lanes = self.lanes.close(lane)

    def compare(self, key: object) -> None:
        """Choose a branch to compare, or no longer; two of them are shown side by side."""
        branch = self.tree.get(key)
        if branch is None:
            return
        others = tuple(one for one in self.compared if one != branch.key)
        self.compared = others if branch.key in self.compared else (*others, branch.key)[-2:]
        if len(self.compared) == 2:
            for one, other in (self.compared, self.compared[::-1]):
                if one not in self.lanes.keys:
                    self._show(one, self.lanes.free(other, self.player.writing))

    @property
    def parting(self) -> tuple[Trace, Trace, Comparison] | None:
        """The two that are compared, and how; None for fewer, or one that is no longer kept."""
        traces = [trace for key in self.compared if (trace := trace_of(key)) is not None]
        return (*traces, compare(*traces)) if len(traces) == 2 else None

    @property
    def board(self) -> Board | None:
        """The lanes that are shown beside each other, as they are compared; None for one lane."""
        shown = [Beside(self.feeds[key], self.feeds[key].title)
                 for key in self.lanes.keys if key in self.feeds]
        if len(shown) < 2:
            return None
        before = self._board
        if before is None or list(before.lanes) != shown:
            self._board = Board(shown, before.wanted if before else "")
        self._board.running = self.player.live
        return self._board

    def refer(self, column: object) -> None:
        """Compare the lanes that are shown with this one of them."""
        if (board := self.board) is not None:
            board.refer(column)

    def _show(self, key: str, lane: int) -> None:
        self.lanes = self.lanes.show(key, lane)
        branch, trace = self.tree.get(key), trace_of(key)
        if key in self.feeds or branch is None or trace is None:
            return
        feed = TokenFeed.kept(key, branch.title, self._describe(trace.run))
        if feed is not None:
            self.feeds[key] = feed
            if not trace.is_over:
                self.player.follow(feed)

    # The tree

    def rename(self, key: object, name: object) -> None:
        """A branch gets the reader's own name; an empty one brings back what was done."""
        branch = self.tree.get(key)
        if branch is not None and isinstance(name, str):
            self._then(f"the name of {branch.title}", self.tree.rename(branch.key, name))
            self._entitle()

    def prune(self, key: object) -> None:
        """A branch goes with all that grew from it, and what still writes there is stopped."""
        branch = self.tree.get(key)
        if branch is not None:
            self._then(f"pruning {branch.title}", self.tree.prune(branch.key))
            self._settle()

    def undo(self) -> None:
        """The latest change of the tree is taken back; the lanes are as they were before it."""
        if self.history.undoes:
            self.history = self.history.undo()
            self.lanes, self._lanes_before = self._lanes_before[-1], self._lanes_before[:-1]
            self._settle()
            self._entitle()

    def _then(self, words: str, tree: Tree) -> None:
        before = self.history
        self.history = before.then(words, tree)
        if self.history is not before:
            kept = len(self.history.before)
            self._lanes_before = (*self._lanes_before, self.lanes)[-kept:]

    def _settle(self) -> None:
        """Lanes and runs follow the tree: what is not in it is stopped and not shown."""
        for key in self.player.writing:
            if self.tree.get(key) is None:
                self.stop(key)
        self.compared = tuple(key for key in self.compared if self.tree.get(key))
        self.lanes = self.lanes.keep(self.tree.get)
        shown = [(key, lane) for lane, key in enumerate(self.lanes.keys) if key is not None]
        focus = self.lanes.focus
        for key, lane in shown or [(branch.key, 0) for branch in self.tree.branches[:1]]:
            self._show(key, lane)
        self.lanes = replace(self.lanes, focus=focus)

    def _entitle(self) -> None:
        """Lanes are called as their branches are."""
        for key, feed in self.feeds.items():
            branch = self.tree.get(key)
            if branch is not None:
                feed.rename(branch.title)

    # Samples

    def draw(
        self, run: Run, count: object, stood: Sequence[Step] = (), origin: str = ""
    ) -> None:
        """So many samples of a prompt in one batch, or of how the run with the key ``origin`` goes
        on after the tokens that ``stood``. Raises InvalidInput for a wrong count."""
        drawing = drawing_of(run, count, self.most_samples, self._describe, stood,
                             self.tree.get(origin))
        self.player.stop_samples()
        self.drawing = drawing
        self.player.play(drawing.feeds, paced=False)

    def open_sample(self, key: object) -> None:
        """A sample is shown in a lane and becomes a branch."""
        drawing = self.drawing
        feed = next((one for one in drawing.feeds if one.key == key), None) if drawing else None
        if drawing is None or feed is None:
            return
        if self.tree.get(key) is None:
            self.feeds[feed.key] = feed
            self._then(feed.title, self.tree.add(drawing.branch(feed, self.tree)))
        self._show(feed.key, self.lanes.free("", self.player.writing))
