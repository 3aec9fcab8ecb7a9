"""What a notebook needs, from its text."""

import json

_DISPLAY_ONLY = ("%matplotlib", "%config", "%load_ext", "%reload_ext", "%autoreload", "%pylab")
"""Magics that a run without IPython passes over; the harness has the same list."""


def needs_ipython(text: str) -> bool:
    """Tell whether a notebook has cells that are IPython's own language: magics, `!command`, `get_ipython()`.

    >>> needs_ipython('{"cells": [{"cell_type": "code", "source": ["!ls"]}]}')
    True
    >>> needs_ipython('{"cells": [{"cell_type": "code", "source": ["x = 7"]}]}')
    False
    """
    try:
        notebook = json.loads(text.removeprefix("\ufeff"))
        cells = notebook.get("cells") or [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        sources = ["".join(cell.get("source") or cell.get("input") or "") for cell in cells if _is_code(cell)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # the run says what is wrong with it
    lines = [line.strip() for source in sources for line in source.splitlines()]
    magics = [line for line in lines if line.startswith(("%", "!")) and not line.startswith(_DISPLAY_ONLY)]
    return bool(magics) or any("get_ipython()" in line for line in lines)


def _is_code(cell: dict[str, object]) -> bool:
    return cell["cell_type"] == "code"
