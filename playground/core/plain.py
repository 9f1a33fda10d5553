"""Frozen values as plain JSON and back, each field checked; it knows no type by name.

The type hints of a dataclass are its schema. A field that has its default is left out, so that
texts stay short and an older text reads as what it meant. Where a hint names several dataclasses,
such as ``Prompt``, the object says which one it is as ``kind``. What a stranger wrote is refused
with the path of the field that is wrong, before any value is made of it; the value's own checks
come after that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from playground.errors import InvalidInput

T = TypeVar("T")
KIND = "kind"
_NOT_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def to_plain(value: object) -> Any:
    """``value`` as what JSON has: dicts, lists, strings, numbers, booleans and None.

    A float that JSON lacks becomes the string "Infinity", "-Infinity" or "NaN". Raises TypeError
    for a value that no hint could bring back, such as a set.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        return {
            one.name: _tagged(hints[one.name], given)
            for one in fields(value)
            if not _is_default(one, given := getattr(value, one.name))
        }
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(hint: type[T], data: object, name: str = "") -> T:
    """The value of type ``hint`` that ``data`` is the plain form of.

    ``name`` is what the whole is called in sentences. Raises InvalidInput naming the path of the
    first field that is unknown, missing or of another type, or what the value itself refuses.
    """
    made: T = _read(hint, data, name)
    return made


def to_text(data: object) -> str:
    """Canonical JSON of plain data: names sorted, no space, the same text for equal data.

    Raises ValueError for numbers that are not finite; ``to_plain`` leaves none.
    """
    return json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def from_text(text: str, name: str) -> Any:
    """Plain data from JSON that a stranger may have written.

    Raises InvalidInput for what is no JSON, nests too deep, names a field twice, or holds a number
    that is not finite or has too many digits. The caller bounds the text's length.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        reason = "it nests too deep"
    except ValueError as error:  # also of a name that stands twice and of an endless number
        reason = str(error)[:120]
    raise InvalidInput(f"The {name} is no JSON that can be read: {reason}.", field=name)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:40]!r} stands twice in one object")
        found[name] = value
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number in JSON")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_default(field: Field[Any], given: object) -> bool:
    """Whether a field has its default; by type as well, for 1 equals True."""
    if field.default is not MISSING:
        default = field.default
    elif field.default_factory is not MISSING:
        default = field.default_factory()
    else:
        return False
    return type(default) is type(given) and default == given


def _tagged(hint: Any, value: object) -> Any:
    """A field's plain form; with its kind where the hint allows several dataclasses."""
    plain = to_plain(value)
    if len(_classes(hint)) > 1 and isinstance(plain, dict):
        return {KIND: type(value).__name__, **plain}
    if isinstance(value, tuple) and any(len(_classes(one)) > 1 for one in get_args(hint)):
        inner = get_args(hint)[0]
        return [_tagged(inner, one) for one in value]
    return plain


def _classes(hint: Any) -> list[type]:
    return [one for one in _options(hint) if isinstance(one, type) and is_dataclass(one)]


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _read(hint: Any, data: object, path: str) -> Any:
    options = _options(hint)
    if len(options) > 1:
        return _read_one_of(options, data, path)
    if get_origin(hint) is Literal:
        for one in get_args(hint):
            if type(one) is type(data) and one == data:
                return one
        _refuse(path, data, " or ".join(repr(one) for one in get_args(hint)))
    if get_origin(hint) is tuple:
        return _read_tuple(get_args(hint), data, path)
    if is_dataclass(hint):
        return _read_object(hint, data, path)
    return _read_plain(hint, data, path)


def _read_one_of(options: tuple[Any, ...], data: object, path: str) -> Any:
    """The first option that the data fits; of several dataclasses the one that it names."""
    if isinstance(data, dict):
        classes = [one for one in options if isinstance(one, type) and is_dataclass(one)]
        if len(classes) > 1:
            rest = dict(data)
            kind = rest.pop(KIND, None)
            found = [one for one in classes if one.__name__ == kind]
            if not found:
                names = ", ".join(one.__name__ for one in classes)
                _refuse(f"{path}.{KIND}", kind, names)
            return _read(found[0], rest, path)
        if classes:
            return _read(classes[0], data, path)
    for option in options:
        if _fits(option, data):
            return _read(option, data, path)
    return _refuse(path, data, " or ".join(_called(one) for one in options))


def _fits(hint: Any, data: object) -> bool:
    """Whether data has the outer shape of a hint."""
    if get_origin(hint) is Literal:
        return any(type(one) is type(data) and one == data for one in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(data, list)
    if hint is float:
        return type(data) in (int, float) or (isinstance(data, str) and data in _NOT_FINITE)
    return hint is type(data) or (hint is NoneType and data is None)


def _read_tuple(inner: tuple[Any, ...], data: object, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        _refuse(path, data, "a list")
    if len(inner) == 2 and inner[1] is Ellipsis:
        kinds = (inner[0],) * len(data)
    elif len(data) == len(inner):
        kinds = inner
    else:
        _refuse(path, data, f"a list of {len(inner)}")
    pairs = enumerate(zip(kinds, data, strict=True))
    return tuple(_read(kind, one, f"{path}[{n}]") for n, (kind, one) in pairs)


def _read_object(kind: Any, data: object, path: str) -> Any:
    if not isinstance(data, dict):
        _refuse(path, data, "an object")
    known = {one.name: one for one in fields(kind)}
    for name in data:
        if name not in known:
            _refuse(f"{path}.{name}"[:120], "", "no such field")
    for name, one in known.items():
        needed = one.default is MISSING and one.default_factory is MISSING
        if needed and name not in data:
            _refuse(f"{path}.{name}", None, "given")
    hints = _hints(kind)
    return kind(**{name: _read(hints[name], one, f"{path}.{name}") for name, one in data.items()})


def _read_plain(hint: Any, data: object, path: str) -> Any:
    if hint is float:
        if isinstance(data, str) and data in _NOT_FINITE:
            return _NOT_FINITE[data]
        if type(data) is float:
            return data
        if type(data) is int and abs(data) <= 1e308:
            return float(data)
    elif hint is NoneType:
        if data is None:
            return None
    elif type(data) is hint:
        if isinstance(data, str):
            _check_characters(path, data)
        return data
    return _refuse(path, data, _called(hint))


def _check_characters(path: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(path, "", "text without halves of characters (lone surrogates)")


def _called(hint: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false",
             NoneType: "null"}
    if get_origin(hint) is tuple:
        return "a list"
    if get_origin(hint) is Literal:
        return " or ".join(repr(one) for one in get_args(hint))
    return names.get(hint, "an object")


def _refuse(path: str, given: object, allowed: str) -> NoReturn:
    raise InvalidInput(
        f"{path.lstrip('.')} cannot be read: it must be {allowed}.",
        field=path.lstrip("."), given=given, allowed=allowed,
    )
