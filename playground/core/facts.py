"""What decides the tokens of a run beside the run itself, told by who loaded the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """A model as it really runs; a field that is not told is empty.

    ``dtype`` and ``device`` are those of the weights, ``quantization`` how they are stored
    ("none", or a method such as "nf4"), ``attention`` the implementation, ``lane`` how its texts
    are read (see models.lanes). ``template`` is the first 16 hex digits of the SHA-256 of the chat
    template's text. The ids ``ends`` end a text, and ``pad`` pads one. The versions are those of
    the libraries and of this package.
    """

    dtype: str = ""
    device: str = ""
    quantization: str = ""
    attention: str = ""
    lane: str = ""
    template: str = ""
    ends: tuple[int, ...] = ()
    pad: int | None = None
    torch: str = ""
    transformers: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Spelled:
    """The texts among the settings of a run, in the ids of its model.

    ``banned``, ``bias`` and ``forced`` as in ``Decoding``, a text in each of its spellings;
    ``negative`` is the negative prompt. ``breakers`` are what DRY matches nothing over, ``spared``
    what XTC never takes away.
    """

    banned: tuple[tuple[int, ...], ...] = ()
    bias: tuple[tuple[tuple[int, ...], float], ...] = ()
    forced: tuple[int, ...] = ()
    negative: tuple[int, ...] = ()
    breakers: tuple[int, ...] = ()
    spared: tuple[int, ...] = ()
