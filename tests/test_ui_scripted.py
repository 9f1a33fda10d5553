"""Laws of the views that the browser draws: files that share a scope name each thing once."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from playground.ui import inside_view, token_stream
from playground.ui.scripted import ASSETS

DECLARED = re.compile(r"^(?:const|let|var|class|(?:async )?function\*?)\s+([A-Za-z_$][\w$]*)", re.M)
SCOPES = {"inside": inside_view.BUNDLE.scripts, "tokens": token_stream._SCRIPTS}


@pytest.mark.parametrize("scope", SCOPES)
def test_no_name_is_declared_twice(scope: str) -> None:
    """Two files with a ``counted`` of their own: neither of them ran, and no view was drawn."""
    text = "\n".join((ASSETS / name).read_text("utf-8") for name in SCOPES[scope])
    assert [name for name, times in Counter(DECLARED.findall(text)).items() if times > 1] == []
