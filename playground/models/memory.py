"""How many bytes this machine has, the container's own limit honoured; it knows no model.

Of a GPU only its own process can tell, so whoever shows one brings its numbers along.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/kfd"))


@dataclass(frozen=True, slots=True)
class Memory:
    """A place for models: ``free`` bytes could be taken now, of ``total``."""

    name: str
    free: int
    total: int


def reported(name: str, free: float, total: float) -> Memory | None:
    """What a device says of itself; None where it says nothing that can be true (NaN, negative)."""
    if not (math.isfinite(free) and math.isfinite(total) and 0 <= free <= total):
        return None
    return Memory(name, int(free), int(total))


def kind_of(device: str) -> str:
    """cpu, cuda or mps: of "auto", what the first process with torch will find here.

    Told by the driver's own files, because asking torch takes seconds and memory.
    """
    if device != "auto":
        return device.partition(":")[0]
    if any(path.exists() for path in _DRIVERS):
        return "cuda"
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return "mps" if apple else "cpu"


def host() -> Memory:
    """The memory of this machine, or of the container that the app runs in."""
    whole = psutil.virtual_memory()
    free, total, name = int(whole.available), int(whole.total), "this machine's memory"
    for limit, used, group in _limits():
        left = max(0, limit - used + _file_cache(group))
        if limit < total:
            total, name = limit, "this container's memory"
        free = min(free, left)
    return Memory(name, free, total)


def available_bytes() -> int:
    """Bytes that could be taken now without swapping."""
    return host().free


def _limits() -> Iterator[tuple[int, int, Path]]:
    """Each limit that holds for this process, the bytes used of it, and the group it is set on."""
    for group, limit, used in _groups():
        try:
            allowed, taken = (group / limit).read_text().strip(), int((group / used).read_text())
        except (OSError, ValueError):
            continue
        if allowed.isdigit():
            yield int(allowed), taken, group


def _groups() -> Iterator[tuple[Path, str, str]]:
    """The control groups of this process, from its own up to the root, in both versions."""
    for folder, files in ((_GROUPS, ("memory.max", "memory.current")),
                          (_GROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"))):
        own = folder / _own_path(folder is not _GROUPS)
        for group in (own, *own.parents):
            if group.is_relative_to(folder):
                yield group, *files


def _own_path(first_version: bool) -> str:
    """Where this process stands below the root, as in ``0::/system.slice/app.service``."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if ("memory" in names.split(",")) if first_version else number == "0":
            return "" if ".." in path else path.strip("/")
    return ""


def _file_cache(group: Path) -> int:
    """Bytes of the group that are only cached files, which the kernel gives back when asked."""
    try:
        rows = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(rows.get("inactive_file", 0))
    except (OSError, ValueError):
        return 0


def size(count: float) -> str:
    """Bytes in words, as a person says them."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_each:
            shown = count / bytes_each
            return f"{shown:.1f} {unit}" if shown < 10 else f"{shown:.0f} {unit}"
    return f"{count:.0f} bytes"
