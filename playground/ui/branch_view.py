"""What the page is told of its branches, as small JSON strings; it changes nothing and knows no
Gradio.

A string stays the very same while nothing happens, which costs the browser nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from playground.core.amend import amendments
from playground.core.branches import Branch, visible
from playground.core.offers import only_here
from playground.core.remote import server_and_model
from playground.core.samples import Span, merge
from playground.core.trace import Trace
from playground.errors import Problem
from playground.ui.branches import Branches
from playground.ui.drawing import Drawing
from playground.ui.lane_report import Board
from playground.ui.lanes import LANES
from playground.ui.parting_words import numbers_of, plain, sentence_of
from playground.ui.playing import SPEEDS
from playground.ui.token_feed import TokenFeed, idle
from playground.ui.token_store import answer_of, encode, trace_of

LONGEST_PATH = 160


def strip_value(branches: Branches, lane: int) -> str:
    """The line above a lane: what it shares with its parent, and what was changed on its way."""
    key = branches.lanes.keys[lane]
    branch, trace = branches.tree.get(key), trace_of(key)
    several = sum(one is not None for one in branches.lanes.keys) > 1
    value: dict[str, Any] = {"lane": lane, "key": key or "", "several": several}
    if branch is not None:
        value |= {"about": _about(branches, branch, trace), "live": key in branches.player.writing}
    if trace is not None and trace.refusal:
        value["problem"] = str(trace.refusal)
    if trace is None and key is not None:
        value["about"] = "Its tokens are no longer kept on the server. Run it again."
    return encode(value)


def _about(branches: Branches, branch: Branch, trace: Trace | None) -> str:
    parent, count, parts = branches.tree.get(branch.parent), branch.position, []
    tokens = "1 token" if count == 1 else f"{count:,} tokens"
    if parent is not None:
        parts.append(f"Shares {tokens if count else 'the prompt'} with {parent.title}")
    for place, words in amendments(trace) if trace else ():
        parts.append(f"From token {place + 1}: {words}")
    return " · ".join(parts)


def tree_value(branches: Branches) -> str:
    """The tree, a branch a row in the order of a walk, and the sentence of the two compared."""
    nodes = [_node(branches, depth, branch) for depth, branch in branches.tree.walk()]
    return encode({
        "nodes": nodes, "undo": branches.history.undoes, "let_go": branches.tree.let_go,
        "focus": branches.lanes.focus, "said": _parting(branches),
    })


def _node(branches: Branches, depth: int, branch: Branch) -> dict[str, Any]:
    trace, keys = trace_of(branch.key), branches.lanes.keys
    node = {
        "key": branch.key, "depth": depth, "title": branch.title, "named": branch.name,
        "lane": keys.index(branch.key) if branch.key in keys else -1,
        "compared": branch.key in branches.compared,
        "state": _state(trace), "tokens": "", "mean": "",
    }
    answer = answer_of(branch.key)
    if answer:
        node["tokens"] = f"{len(answer):,}"
    # What the reader put there says nothing of the model.
    told = [step.logprob for step in answer if not step.forced]
    if chosen := [logprob for logprob in told if not math.isnan(logprob)]:
        mean = sum(chosen) / len(chosen)
        node["mean"] = f"{mean:.2f}".replace("-", "\u2212") if math.isfinite(mean) else "−∞"
    return node


def _state(trace: Trace | None) -> str:
    if trace is None:
        return "no longer kept"
    match trace.state:
        case "finished":
            stopped = trace.finished is not None and trace.finished.reason == "stopped"
            return "stopped" if stopped else "ended"
        case "running":
            return "paused" if trace.is_paused else "writing"
        case "failed":
            return "failed"
    return "waiting"


def _parting(branches: Branches) -> str:
    if len(branches.compared) == 1:
        return "Choose a second branch to compare it with."
    if branches.parting is None:
        return ""
    one, other, found = branches.parting
    titles = [branch.title for key in branches.compared if (branch := branches.tree.get(key))]
    words = (*sentence_of(found, one, other, titles[1]), " ",
             *numbers_of(found, one, other, titles[1]))
    return f"{titles[0]}: {plain(words).strip()}"


def pace_value(branches: Branches) -> str:
    """Whether something runs, whether it is paused, and how fast it may go."""
    player = branches.player
    return encode({"live": bool(player.writing), "held": player.pace.held,
                   "speed": player.pace.speed, "speeds": [words for _, words in SPEEDS],
                   "why": _why_no_pace(player.writing)})


def _why_no_pace(keys: Set[str]) -> str:
    """Why nothing that is written now can be held back; empty where something can."""
    writing = [trace for key in keys if (trace := trace_of(key)) is not None]
    servers = [server_and_model(trace.run.model.repo) for trace in writing]
    first = servers[0] if servers else None
    return only_here("pace", first[0]) if first and all(servers) else ""


def samples_value(branches: Branches) -> str:
    """The samples as a weighted tree, with the sentence of what most of them do."""
    drawing = branches.drawing
    if drawing is None:
        return encode({"count": 0, "most": branches.most_samples})
    traces = [feed.trace for feed in drawing.feeds]
    root = merge([trace.steps for trace in traces])
    problems = {str(trace.problem): None for trace in traces if trace.problem}
    return encode({
        "count": len(traces), "most": branches.most_samples, "running": drawing.running,
        "done": sum(trace.state == "finished" for trace in traces),
        "about": drawing.words, "said": samples_sentence(root), "problem": "\n".join(problems),
        "root": _span(branches, root, root.count),
    })


def samples_sentence(root: Span) -> str:
    """What most samples do, in a sentence; nothing before there is a token."""
    total, parts = root.count, []
    if root.ids:
        parts.append(f"All {total} begin with “{visible(root.text, 60)}”")
    most = root.children[0] if root.children else None
    if most is not None and most.count > 1:
        how = "go on with" if parts else "begin with"
        parts.append(f"{most.count} of {total} {how} “{visible(most.text, 60)}”")
    elif root.children:
        parts.append("no two are alike after that" if parts else "No two begin alike")
    elif parts:
        parts.append("all are the same")
    return f"{', '.join(parts)}." if parts else ""


def _span(branches: Branches, span: Span, total: int) -> dict[str, Any]:
    drawing = branches.drawing
    assert drawing is not None
    return {
        "text": span.text[:LONGEST_PATH] + ("…" if len(span.text) > LONGEST_PATH else ""),
        "tokens": len(span.ids), "count": span.count, "total": total,
        "chance": None if math.isnan(span.chance) else span.chance,
        "sample": span.samples[0] + 1 if span.samples else 0,
        "key": drawing.feeds[span.samples[0]].key if span.samples else "",
        "ended": _over(drawing, span.ended) if span.children else 0,
        "next": [_span(branches, child, span.count) for child in span.children],
    }


def _over(drawing: Drawing, samples: Sequence[int]) -> int:
    """How many of these samples write no more."""
    return sum(drawing.feeds[n].trace.is_over for n in samples)


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that the tab shows at one moment; ``notice`` is what went wrong or is to be told.

    ``shown`` says which lanes are there, ``live`` whether there may be another frame.
    """

    notice: str | Problem
    lanes: tuple[str, ...]
    shown: tuple[bool, ...]
    strips: tuple[str, ...]
    pace: str
    tree: str
    samples: str
    parting: str
    live: bool


def frame_of(branches: Branches, notice: str | Problem = "", former: Frame | None = None) -> Frame:
    """The tab as it stands; figures that need counting are taken from ``former`` where there is
    one."""
    keys, board = branches.lanes.keys, branches.board
    feeds = [branches.feeds.get(key) if key else None for key in keys]
    parting = board.parting() if board else encode({})
    shown = tuple(key is not None for key in keys)
    return Frame(
        notice,
        tuple(_lane(feed, board) for feed in feeds),
        shown if any(shown) else (True, *[False] * (LANES - 1)),
        tuple(strip_value(branches, lane) for lane in range(LANES)),
        pace_value(branches),
        former.tree if former else tree_value(branches),
        former.samples if former else samples_value(branches),
        parting,
        branches.player.live,
    )


def _lane(feed: TokenFeed | None, board: Board | None) -> str:
    """A lane's value, with where it parts from those beside it."""
    if feed is None:
        return idle()
    beside = [one.feed for one in board.lanes] if board else []
    return board.mark(beside.index(feed), feed.flush()) if board else feed.flush()
