"""Lines for a person, whatever the stream can show and whatever is in them."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO


def say(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Print lines: controls are made visible, what the stream's encoding lacks is escaped, nothing gives commands to a
    CI system.
    """
    from tf_tester.report.lines import as_text, line, write

    write(stream or sys.stdout, as_text(line(text) for text in lines))


def say_json(value: Any) -> None:
    """Print one line of JSON."""
    from tf_tester.report.record import encode

    print(encode(value).decode())
