"""From what a person types to the axes of a grid: paragraphs, seeds, sweeps; it knows no page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from playground.core.decoding import KNOBS, PRESETS, Decoding
from playground.core.grid import Strategy
from playground.core.prompt import check_text
from playground.core.run import LARGEST_SEED
from playground.core.sweep import STARTS, sweep
from playground.errors import InvalidInput

NONE = "-"
MOST_SEEDS = 1000
MOST_STEPS = 24
LONGEST_LINE = 200
LONGEST_SEEDS = 2000
EXAMPLE = "temperature 0.2 to 1.6 in 8, or top_p 0.5, 0.9"


def paragraphs(text: object, field: str) -> tuple[str, ...]:
    """Texts that are apart by empty lines. Raises InvalidInput for what is no text."""
    check_text(text, field)
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return tuple(part.strip("\n") for part in re.split(r"\n(?:[ \t]*\n)+", lines) if part.strip())


def system_prompts(text: object) -> tuple[str, ...]:
    """Paragraphs, of which a single ``-`` stands for no system prompt; none at all without any."""
    return tuple("" if one.strip() == NONE else one for one in paragraphs(text, "systems")) or ("",)


def seeds(text: object) -> tuple[int, ...]:
    """Numbers and ranges such as ``0-4, 7``, each number once; 0 where nothing is written.

    Raises InvalidInput for what is neither.
    """
    check_text(text, "seeds")
    if len(str(text)) > LONGEST_SEEDS:
        raise InvalidInput("The seeds are a long text; write ranges, such as 0-4, 7.",
                           field="seeds", allowed=f"up to {LONGEST_SEEDS} characters")
    found: dict[int, None] = {}
    for part in re.split(r"[,;\s]+", re.sub(r"\s*[-–]\s*", "-", str(text)).strip()):
        if not part:
            continue
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part, re.ASCII)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not low <= high <= LARGEST_SEED:
            raise InvalidInput(
                f"“{part[:30]}” is no seed and no range of seeds.", field="seeds", given=part,
                allowed=f"whole numbers from 0 to {LARGEST_SEED}, such as 0-4, 7",
            )
        if high - low >= MOST_SEEDS or len(found) > MOST_SEEDS:
            raise InvalidInput(f"There may be up to {MOST_SEEDS} seeds.", field="seeds",
                               given=part, allowed=f"up to {MOST_SEEDS}")
        found.update(dict.fromkeys(range(low, high + 1)))
    return tuple(found) or (0,)


def sweeps(text: object) -> tuple[Strategy, ...]:
    """One setting at several values, a line each: ``temperature 0.2 to 1.6 in 8`` or
    ``top_p 0.5, 0.9``, on the strategy in which it acts, or on another: ``… on Top-k``.

    Raises InvalidInput, naming the setting, for what is none and for values out of its range.
    """
    check_text(text, "sweep")
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    if len(lines) > MOST_STEPS:
        raise InvalidInput(f"There may be {MOST_STEPS} lines of sweeps.", field="sweep",
                           given=len(lines), allowed=f"up to {MOST_STEPS}")
    return tuple(one for line in lines for one in _sweep(line))


_LINE = re.compile(
    r"(?P<knob>[a-zA-Z][-\w ]*?)[ \t]*[:=]?[ \t]*(?P<values>[\d.].*?)"
    r"(?:[ \t]+on[ \t]+(?P<base>.+))?"
)
_RANGE = re.compile(r"([-\d.]+)\s+to\s+([-\d.]+)\s+in\s+(\d{1,4})(?:\s+steps?)?")


def _sweep(line: str) -> list[Strategy]:
    found = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
    wanted = found["knob"].strip().lower().replace(" ", "_") if found else ""
    labels = {KNOBS[name].label.lower().replace(" ", "_"): name for name in STARTS}
    knob = wanted if wanted in STARTS else labels.get(wanted)
    if found is None or knob is None:
        raise InvalidInput(
            f"“{line[:40]}” is not a setting and its values.", field="sweep", given=line,
            allowed=", ".join(STARTS), advice=f"Write it as {EXAMPLE}.",
        )
    base = _preset(found["base"]) if found["base"] else STARTS[knob].preset
    after = f" on {base}" if found["base"] else ""
    return [Strategy(f"{KNOBS[knob].short} {value:g}{after}", _with(PRESETS[base], knob, value))
            for value in _values(knob, found["values"])]


def _with(decoding: Decoding, knob: str, value: float) -> Decoding:
    changed: dict[str, Any] = {knob: int(value) if KNOBS[knob].whole else value}
    return replace(decoding, **changed)


def _preset(name: str) -> str:
    for known in PRESETS:
        if known.lower() == name.strip().lower():
            return known
    raise InvalidInput(f"There is no strategy “{name[:40]}” to sweep.", field="sweep", given=name,
                       allowed=", ".join(PRESETS))


def _values(knob: str, text: str) -> tuple[float, ...]:
    ends = _RANGE.fullmatch(text)
    try:
        if ends:
            return sweep(knob, float(ends[1]), float(ends[2]), int(ends[3]), MOST_STEPS)
        values = tuple(float(part) for part in re.split(r"[,;\s]+", text) if part)
    except ValueError:
        raise InvalidInput(
            f"“{text[:40]}” are no values of {KNOBS[knob].label}.", field="sweep", given=text,
            allowed=EXAMPLE,
        ) from None
    for value in values:
        whole = KNOBS[knob].whole and value.is_integer()
        KNOBS[knob].check("sweep", int(value) if whole else value)
    return values
