"""What lies among the user's files and is no part of a test: neither in its key nor shown to it."""

import re
from collections.abc import Collection, Iterable, Sequence

HIDDEN_NAMES = frozenset(
    (
        # History, which every commit changes.
        ".git", ".hg", ".svn", ".bzr", ".jj",
        # Environments; those of any name have one of `ENVIRONMENT_MARKS`.
        ".tox", ".nox", "node_modules",
        # Made from other files, by other programs than the test.
        "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".pytype", ".ipynb_checkpoints",
    )
)  # fmt: skip
"""Files and folders of these names are hidden wherever they are."""
ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})
"""What has one of these in it is an environment (PEP 405, conda), and is hidden."""
_EVERYWHERE = frozenset({"__pycache__"})
"""Of which a traceback may speak without meaning that it is missed."""


def is_hidden(name: str, inside: Collection[str], shown: Collection[str]) -> bool:
    """Return whether a file or folder is hidden.

    `inside`: the names in it, where it is a folder. `shown`: names that the user wants to be visible.
    """
    return name not in shown and (name in HIDDEN_NAMES or not ENVIRONMENT_MARKS.isdisjoint(inside))


def missed(hidden: Iterable[str], texts: Sequence[str]) -> list[str]:
    """Return those names of hidden files that a failing test's texts contain as words."""
    words = sorted(set(hidden) - _EVERYWHERE)
    return [word for word in words if any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text) for text in texts)]
