"""The processors that a script gets a copy of, since transformers has none; read as text.

What stands in decode/extra.py is copied and not written a second time, so that a script cannot
decode otherwise than this app.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_EXTRA = Path(__file__).parent.parent / "decode" / "extra.py"

_STEERED = '''
class SteeredMirostat(Mirostat):
    """generate() tells a processor of no choice: this one looks at the newest token itself."""

    left = None

    def __call__(self, ids, scores):
        if self.left is not None:
            self.accept(float(self.left[ids[0, -1]]))
        scores = super().__call__(ids, scores)
        self.left = torch.softmax(scores[0], dim=-1)
        return scores
'''


def classes_of(names: Sequence[str]) -> str:
    """These classes, and what they need of their module, as they stand there."""
    wanted, sources = list(dict.fromkeys(names)), _sources()
    needs = [name for name in sources if name.startswith("_")
             and any(re.search(rf"\b{name}\b", sources[one]) for one in wanted)]
    made = [sources[name] for name in (*needs, *wanted)]
    if "Mirostat" in wanted:
        made.append(_STEERED.strip())
    return "# What transformers lacks, as it stands in the playground.\n\n" + "\n\n\n".join(made)


@cache
def _sources() -> dict[str, str]:
    """Classes, functions and constants of decode/extra.py by name, without hints: a script needs
    no imports for these."""
    found: dict[str, str] = {}
    for node in ast.parse(_EXTRA.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = ast.unparse(_Plain().visit(node))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.unparse(node)
    return found


class _Plain(ast.NodeTransformer):
    """Takes hints out, and words that speak of a module that is not there."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Without hints and its docstring."""
        self.generic_visit(node)
        node.returns = None
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Without its hint."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Without its hint."""
        assert node.value is not None
        made = ast.Assign([node.target], self.visit(node.value))
        return ast.copy_location(made, node)
