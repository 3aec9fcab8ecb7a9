"""Time the first import of the watched packages, and remember where their code lies."""

import os
import sys

from ..measure import Stopwatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..events import Events

# The one frame we put between the import system and the package bears the import system's file name: Python then leaves
# it out of tracebacks and does not count it for a warning's stacklevel.
_TIMED_EXECUTION = compile(
    """
def timed(execute, begin, end):
    def exec_module(module):
        begin(module)
        succeeded = False
        try:
            execute(module)
            succeeded = True
        finally:
            end(module, succeeded)
    return exec_module
""",
    "<frozen importlib._bootstrap>",
    "exec",
)


class ImportWatch:
    """A finder, first on ``sys.meta_path`` until every watched name has been imported once.

    It lets the other finders find and only shadows ``exec_module`` of the one loader they made, until that is called;
    the loader stays the original object.
    """

    def __init__(self, names: "list[str]", events: "Events") -> None:
        self._pending = set(names)
        self._names = names
        self._events = events
        self._found = {}  # type: dict[str, list[str]]
        self._executed = set()  # type: set[str]
        names_and_values = {}  # type: dict[str, Any]
        exec(_TIMED_EXECUTION, names_and_values)
        self._timed = names_and_values["timed"]
        if self._pending:
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Return the spec that the finders after this one agree on; only its loader's ``exec_module`` is shadowed."""
        if name not in self._pending:
            return None
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else []:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                self._shadow(name, spec.loader)
                self._found[name] = _folders(spec.submodule_search_locations, spec.origin)
                return spec
        return None

    def executed(self) -> "frozenset[str]":
        """Return the watched names of which the code was run, or can have been."""
        return frozenset(self._executed)

    def tell(self, events: "Events") -> None:
        """Tell there what is imported from now on."""
        self._events = events

    def folders(self) -> "list[str]":
        """Return where the code of the watched packages lies, as far as they have been imported."""
        for name in self._names:
            module = sys.modules.get(name)
            if name not in self._found and module is not None:
                self._found[name] = _folders(getattr(module, "__path__", None), getattr(module, "__file__", None))
        return [folder for folders in self._found.values() for folder in folders]

    def _shadow(self, name: str, loader: "Any") -> None:
        """Time the next ``exec_module`` of a loader, if it is an object made for this one module."""
        if getattr(loader, "name", None) != name or not hasattr(loader, "exec_module"):
            self._executed.add(name)  # nobody would tell
            return
        watches = []

        def begin(module: "Any") -> None:
            loader.__dict__.pop("exec_module", None)
            self._executed.add(name)
            watches.append(Stopwatch())

        def end(module: "Any", succeeded: bool) -> None:
            if name in self._pending:
                self._pending.discard(name)
                version = getattr(module, "__version__", None)
                version = version if type(version) is str else None
                file = getattr(module, "__file__", None)
                foreign = file if type(file) is str and not is_installed(file) else None
                told = {"version": version, "foreign": foreign}
                self._events.write("import", name=name, ok=succeeded, **dict(told, **watches[-1].read()))
            if not self._pending and self in sys.meta_path:
                sys.meta_path.remove(self)

        try:
            loader.exec_module = self._timed(loader.exec_module, begin, end)
        except AttributeError:  # a loader with slots: the import stays untimed
            self._executed.add(name)


def is_installed(file: str) -> bool:
    """Return whether a file lies in the environment, or beside the interpreter's own library."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix]
    return any(file.startswith(os.path.join(place, "")) for place in places)


def _folders(locations: "Any", file: "str | None") -> "list[str]":
    try:
        found = list(locations) if locations else [file]
    except Exception:  # the user's package may have any __path__
        found = [file]
    return [os.path.normpath(folder) for folder in found if isinstance(folder, str)]
