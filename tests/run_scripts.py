"""Runs the Python files of folders one after the other, with no playground to import.

``python -I run_scripts.py`` from the repository's root reads the name of a folder from each line
and prints a JSON object for it: for each file what it printed, or the exception that ended it.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
from pathlib import Path


def run(folder: Path) -> dict[str, str]:
    """What each file of the folder says."""
    said = {}
    for path in sorted(folder.glob("*.py")):
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(path.read_text("utf-8"), path.name, "exec"), {"__name__": "__main__"})
        except Exception:
            said[path.stem] = traceback.format_exc()[-1500:]
        else:
            said[path.stem] = out.getvalue()
    return said


if __name__ == "__main__":
    sys.modules["playground"] = None  # type: ignore[assignment]  # importing it fails
    for line in sys.stdin:
        print(json.dumps(run(Path(line.rstrip("\n")))), flush=True)
