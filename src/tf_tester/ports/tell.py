"""Where the events of a run go as they happen."""

from collections.abc import Callable

from tf_tester.model.events import Event

Tell = Callable[[Event], None]
"""Takes an event as it happens; must return at once and be callable from any thread."""
