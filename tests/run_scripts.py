"""Runs the Python files of a folder one after the other, with no playground to import.

``python -I run_scripts.py FOLDER`` from the repository's root prints a JSON object: for each file
what it printed, or the exception that ended it.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
from pathlib import Path


def main() -> None:
    """Run them all."""
    sys.modules["playground"] = None  # type: ignore[assignment]  # importing it fails
    said = {}
    for path in sorted(Path(sys.argv[1]).glob("*.py")):
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(path.read_text("utf-8"), path.name, "exec"), {"__name__": "__main__"})
        except Exception:
            said[path.stem] = traceback.format_exc()[-1500:]
        else:
            said[path.stem] = out.getvalue()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
