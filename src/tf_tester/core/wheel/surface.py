"""What a package offers: public names and signatures, read from its sources without importing it. Pure.

Public is what can be reached from the package's top without a leading underscore: submodules, and names that a module
defines, exports (`__all__`) or, where it is a package's `__init__`, imports from its own project. Both branches of a
condition count. What is made at run time only is not seen, but for modules that are loaded lazily.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import griffe

_TESTS = re.compile(r"(^|\.)(tests?|testing_?data|conftest|test_\w+|\w+_test)(\.|$)")
_LONGEST_DEFAULT = 60
_DEEPEST = 12
"""Aliases and base classes that are followed."""
_PATHS = 2
"""Public names of one module under which what it has is told; others are only told themselves."""
_DUNDERS = frozenset({"__init__", "__call__", "__enter__", "__exit__", "__getitem__", "__iter__", "__len__", "__new__"})


class Parameter(Struct, frozen=True):
    """One of a function's."""

    name: str
    kind: str
    """`/` positional only, empty: either, `*` keyword only, `*args`, `**kwargs`."""
    default: str | None = None
    """As it is written; None: it must be given."""


class PublicName(Struct, frozen=True):
    """One public name."""

    kind: str
    """`module`, `class`, `function`, `attribute`, or `unknown`: made where there is no Python source."""
    parameters: tuple[Parameter, ...] | None = None
    """Of a function; of a class those it is made with. None: not known."""


class ModuleSource(Struct, frozen=True):
    """One module."""

    text: str
    is_package: bool


ModuleSources = Callable[[str], ModuleSource | None]
"""A module by its dotted name; None: there is none, or it has no Python source."""
Surface = Mapping[str, PublicName]
"""By dotted name, sorted."""


def read_surface(
    tops: Collection[str], modules: Collection[str], sources: ModuleSources, *, internal: Collection[str] = ()
) -> Surface:
    """Return all that can be reached from top-level modules.

    `modules`: names of all that there are, in other projects too that are taken from. `internal`: modules that are not
    meant for users, whatever their names; what others take from them is public all the same.
    """
    return _Reader(modules, sources, internal).read(tops)


class _Reader:
    def __init__(self, modules: Collection[str], sources: ModuleSources, internal: Collection[str]) -> None:
        self._sources = sources
        self._internal = tuple(internal)
        self._children: dict[str, list[str]] = {}
        for name in sorted(modules):
            parent, _, child = name.rpartition(".")
            self._children.setdefault(parent, []).append(child)
        self._modules: dict[str, Any] = {}
        self._packages: set[str] = set()
        self._stars: dict[str, set[str]] = {}

    def read(self, tops: Collection[str]) -> Surface:
        found: dict[str, PublicName] = {}
        queue = deque((top, top) for top in tops if self._module(top) is not None)
        expanded: dict[str, int] = {}
        while queue:
            public, name = queue.popleft()
            found.setdefault(public, PublicName("module"))
            if expanded.get(name, 0) == _PATHS:
                continue
            expanded[name] = expanded.get(name, 0) + 1
            for member, target in self._public_members(name):
                path = f"{public}.{member}"
                if isinstance(target, str):
                    found.setdefault(path, PublicName("module"))
                    # `compat.v1.compat.v1.compat`: what comes back to itself is told once.
                    if member not in public.split("."):
                        queue.append((path, target))
                elif target is None:
                    found.setdefault(path, PublicName("unknown"))
                else:
                    found.setdefault(path, self._entry(target))
                    if target.is_class:
                        self._class(path, target, found)
        return dict(sorted(found.items()))

    def _public_members(self, name: str) -> "Iterator[tuple[str, str | griffe.Object | None]]":
        """Yield names with a module's name or what they stand for; None: what that is can't be seen."""
        module = self._module(name)
        if module is None:
            return
        exported = self._exported(name)
        for member, value in module.members.items():
            if value.is_alias and value.wildcard:
                if self._hands_on(name, value):
                    for taken in self._starred(value.target_path):
                        if taken not in module.members:
                            yield taken, self._look_up(value.target_path, taken)
                continue
            private = member.startswith("_") or (value.is_alias and not self._hands_on(name, value))
            if private and member not in exported:
                continue
            yield member, self._resolved(value, name)
        for child in self._children.get(name, ()):
            full = f"{name}.{child}"
            # Whoever led us to an internal module meant it.
            hidden = child.startswith("_") or (self._is_internal(full) and not self._is_internal(name))
            if not hidden and child not in module.members:
                yield child, full

    def _exported(self, name: str, depth: int = 0) -> set[str]:
        """Return `__all__`, as far as it can be read: also `__all__ += other.__all__`."""
        module = self._module(name)
        found: set[str] = set()
        for one in (module.exports or ()) if module is not None else ():
            if isinstance(one, str):
                found.add(one)
            elif depth < _DEEPEST and (other := getattr(getattr(one, "parent", None), "name", "")):
                target = self._look_up(name, other)
                found |= self._exported(target, depth + 1) if isinstance(target, str) else set()
        return found

    def _starred(self, name: str) -> set[str]:
        """Return what `from name import *` brings; looked for once."""
        if name not in self._stars:
            self._stars[name] = set()  # of modules that hold one another the inner one brings nothing
            self._stars[name] = self._star(name)
        return self._stars[name]

    def _star(self, name: str) -> set[str]:
        module = self._module(name)
        if module is None:
            return set()
        if exported := self._exported(name):
            return exported
        found: set[str] = set()
        for member, value in module.members.items():
            if value.is_alias and value.wildcard:
                found |= self._starred(value.target_path)
            elif not member.startswith("_") and (not value.is_alias or self._hands_on(name, value)):
                found.add(member)
        return found

    def _hands_on(self, name: str, alias: Any) -> bool:
        """Return whether an imported name is meant for others: in an `__init__`, from the projects that we have."""
        return name in self._packages and alias.target_path.partition(".")[0] in self._children.get("", ())

    def _is_internal(self, name: str) -> bool:
        if _TESTS.search(name):
            return True
        return any(name == one or name.startswith(f"{one}.") for one in self._internal)

    def _entry(self, value: "griffe.Object") -> PublicName:
        if value.is_function:
            return PublicName("function", _parameters(value))
        if value.is_class:
            return PublicName("class", self._made_with(value, 0))
        return PublicName("attribute")

    def _made_with(self, value: Any, depth: int) -> tuple[Parameter, ...] | None:
        """Return parameters of `__init__`, its own or inherited; without `self`."""
        init = value.members.get("__init__")
        if init is not None and init.is_function:
            return _parameters(init)[1:]
        for base in self._bases(value):
            if depth < _DEEPEST and (found := self._made_with(base, depth + 1)) is not None:
                return found
        return None

    def _class(self, path: str, value: Any, found: dict[str, PublicName]) -> None:
        """Read public methods and attributes of a class, inherited ones of its own project included."""
        open_ones, seen = deque([(value, 0)]), set()
        while open_ones:
            one, depth = open_ones.popleft()
            if id(one) in seen:
                continue
            seen.add(id(one))
            for name, member in one.members.items():
                if name.startswith("_") and (name not in _DUNDERS or name in ("__init__", "__new__")):
                    continue
                if not member.is_alias and not member.is_class:
                    kind = "function" if member.is_function else "attribute"
                    parameters = _parameters(member) if member.is_function else None
                    found.setdefault(f"{path}.{name}", PublicName(kind, parameters))
            if depth < _DEEPEST:
                open_ones.extend((base, depth + 1) for base in self._bases(one))

    def _bases(self, value: Any) -> list[Any]:
        """Return those whose source is there."""
        found = []
        for base in value.bases:
            name = str(base)
            module = value.module.path
            target = self._look_up(module, name) if re.fullmatch(r"[\w.]+", name) else None
            if target is not None and not isinstance(target, str) and target.is_class:
                found.append(target)
        return found

    def _look_up(self, module: str, dotted: str, depth: int = 0) -> Any:
        """Return what a dotted name means within a module: a module's name, an object, or None."""
        first, _, rest = dotted.partition(".")
        target = self._member(module, first, depth)
        while rest and isinstance(target, str):
            first, _, rest = rest.partition(".")
            target = self._member(target, first, depth)
        return None if rest else target

    def _member(self, module: str, name: str, depth: int) -> Any:
        """Return what a name means within a module; also one that came with a star."""
        holder = self._module(module)
        if holder is not None and name in holder.members:
            return self._resolved(holder.members[name], module, depth)
        if self._module(f"{module}.{name}") is not None:
            return f"{module}.{name}"
        stars = [one.target_path for one in holder.members.values() if one.is_alias and one.wildcard] if holder else []
        for star in stars if depth < _DEEPEST else ():
            if name in self._starred(star):
                return self._member(star, name, depth + 1)
        return None

    def _resolved(self, value: Any, module: str, depth: int = 0) -> Any:
        """Return a module's name, the object that an alias ends at, or None where that isn't to be found."""
        if depth > _DEEPEST:
            return None
        # Of an alias nothing else may be asked: griffe would look for its target where there is none.
        if value.is_alias:
            target = value.target_path
            if self._module(target) is not None:
                return target
            parent, _, name = target.rpartition(".")
            return self._member(parent, name, depth + 1)
        if value.is_module:
            return value.path
        if value.is_attribute:
            if (lazy := self._lazily(value, module)) is not None:
                return lazy
            # `add = math_ops.add`
            text = str(value.value) if value.value is not None else ""
            if re.fullmatch(r"[A-Za-z_][\w.]*", text) and text != value.name and depth < _DEEPEST:
                target = self._look_up(module, text, depth + 1)
                return value if target is None else target
        return value

    def _lazily(self, value: Any, module: str) -> str | None:
        """Return the module that `keras = _LazyLoader("keras", globals(), "keras.api._v2.keras")` stands for."""
        text = str(value.value) if value.value is not None else ""
        match = re.fullmatch(r"[\w.]*[Ll]azy\w*\((.*)\)", text, re.DOTALL)
        if match is None:
            return None
        last = match[1].rpartition(",")[2].strip()
        holder = self._module(module)
        if re.fullmatch(r"\w+", last) and holder is not None and last in holder.members:
            last = str(getattr(holder.members[last], "value", ""))
        name = last.strip("'\"")
        return name if re.fullmatch(r"[A-Za-z_][\w.]*", name) and self._module(name) is not None else None

    def _module(self, name: str) -> Any:
        """Read where it is asked for; None: it isn't there or is no Python."""
        if name not in self._modules:
            import griffe

            source = self._sources(name) if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) else None
            module = None
            if source is not None:
                path = _path(name, source.is_package)
                parent, _, last = name.rpartition(".")
                try:
                    # Relative imports are understood by way of the parents.
                    module = griffe.visit(last, path, source.text, parent=self._parent(parent))
                except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last one: the parser's stack
                    module = None
                if source.is_package:
                    self._packages.add(name)
            self._modules[name] = module
        return self._modules[name]

    def _parent(self, name: str) -> Any:
        """Return a package's module; of a folder without `__init__` an empty one."""
        if not name:
            return None
        if (known := self._module(name)) is not None:
            return known
        import griffe

        parent, _, last = name.rpartition(".")
        return griffe.Module(last, filepath=_path(name, is_package=True), parent=self._parent(parent))


def _path(name: str, is_package: bool) -> Any:
    from pathlib import PurePosixPath

    return PurePosixPath("/", *name.split("."), *(("__init__.py",) if is_package else ())).with_suffix(".py")


_KINDS = {
    "positional-only": "/",
    "positional or keyword": "",
    "keyword-only": "*",
    "variadic positional": "*args",
    "variadic keyword": "**kwargs",
}


def _parameters(function: Any) -> tuple[Parameter, ...]:
    found = []
    for one in function.parameters:
        kind = _KINDS.get(one.kind.value if one.kind is not None else "", "")
        default = None
        if one.default is not None and kind not in ("*args", "**kwargs"):
            text = " ".join(str(one.default).split())
            default = text if len(text) <= _LONGEST_DEFAULT else "…"
        found.append(Parameter(one.name.lstrip("*"), kind, default))
    return tuple(found)
