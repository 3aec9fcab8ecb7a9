"""How the public names of a package differ from one version to another. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tf_tester.core.wheel.surface import Parameter, PublicName, Surface


class Changed(Struct, frozen=True):
    """A name whose signature is another one."""

    name: str
    before: str
    after: str
    breaks: tuple[str, ...]
    """What calls that worked may stumble over; empty: none does."""
    notes: tuple[str, ...] = ()
    """Other differences: defaults, what may be given besides."""


class ApiChanges(Struct, frozen=True):
    """By name. Of a module or class that is gone or new its members aren't named."""

    gone: tuple[str, ...]
    new: tuple[str, ...]
    changed: tuple[Changed, ...]
    count_before: int
    count_after: int


def compare(before: Surface, after: Surface) -> ApiChanges:
    """Return what is gone, new, and changed."""
    changed = []
    for name, entry in before.items():
        other = after.get(name)
        if other is not None and (found := _changed(name, entry, other)) is not None:
            changed.append(found)
    return ApiChanges(
        _topmost(before.keys() - after.keys()),
        _topmost(after.keys() - before.keys()),
        tuple(changed),
        len(before),
        len(after),
    )


def signature(name: str, entry: PublicName) -> str:
    """Return a signature as Python writes it: `save(obj, path, *, options=None)`."""
    if entry.parameters is None:
        return name
    parts: list[str] = []
    kinds = [one.kind for one in entry.parameters]
    for place, one in enumerate(entry.parameters):
        if one.kind == "*" and "*args" not in kinds and (place == 0 or kinds[place - 1] != "*"):
            parts.append("*")
        stars = {"*args": "*", "**kwargs": "**"}.get(one.kind, "")
        parts.append(f"{stars}{one.name}" + (f"={one.default}" if one.default is not None else ""))
        if one.kind == "/" and (place + 1 == len(kinds) or kinds[place + 1] != "/"):
            parts.append("/")
    return f"{name}({', '.join(parts)})"


def _topmost(names: Iterable[str]) -> tuple[str, ...]:
    known = set(names)
    return tuple(sorted(name for name in known if not _has_ancestor(name, known)))


def _has_ancestor(name: str, known: set[str]) -> bool:
    while "." in name:
        name = name.rpartition(".")[0]
        if name in known:
            return True
    return False


def _changed(name: str, before: PublicName, after: PublicName) -> Changed | None:
    if "unknown" in (before.kind, after.kind):
        return None
    short = name.rpartition(".")[2]
    if before.kind != after.kind:
        # A function may be written as a value: `add = export(add)`.
        grave = "module" in (before.kind, after.kind)
        return Changed(name, before.kind, after.kind, (f"is a {after.kind} now",)) if grave else None
    if before.parameters is None or after.parameters is None or before.parameters == after.parameters:
        return None
    breaks, notes = _differences(before.parameters, after.parameters)
    return Changed(name, signature(short, before), signature(short, after), tuple(breaks), tuple(notes))


def _differences(before: Sequence[Parameter], after: Sequence[Parameter]) -> tuple[list[str], list[str]]:
    """Return what breaks calls, and what doesn't."""
    old, new = _named(before), _named(after)
    takes_all = any(one.kind == "**kwargs" for one in after)
    breaks: list[str] = []
    notes: list[str] = []
    for name in old:
        if name not in new:
            (notes if takes_all else breaks).append(f"{name} is gone" + (", or among **kwargs" if takes_all else ""))
    for name, one in new.items():
        earlier = old.get(name)
        if earlier is None:
            (breaks if one.default is None else notes).append(
                f"{name} must be given" if one.default is None else f"{name}={one.default} is new"
            )
            continue
        if one.default is None and earlier.default is not None:
            breaks.append(f"{name} must be given")
        elif one.default != earlier.default and earlier.default is not None:
            notes.append(f"{name}: default {earlier.default} → {one.default}")
        if one.kind == "*" and earlier.kind != "*":
            breaks.append(f"{name} only as a keyword")
        elif one.kind == "/" and earlier.kind != "/":
            breaks.append(f"{name} only by position")
    places = [name for name, one in old.items() if one.kind != "*" and name in new and new[name].kind != "*"]
    by_position = [name for name, one in new.items() if one.kind != "*"]
    before_positions = [name for name, one in old.items() if one.kind != "*"]
    moved = [name for name in places if before_positions.index(name) != by_position.index(name)]
    if moved:
        breaks.append(f"another place for {', '.join(moved)}")
    for star in ("*args", "**kwargs"):
        had, has = any(one.kind == star for one in before), any(one.kind == star for one in after)
        if had != has:
            (breaks if had else notes).append(f"{star} is {'gone' if had else 'new'}")
    return breaks, notes


def _named(parameters: Sequence[Parameter]) -> Mapping[str, Parameter]:
    return {one.name: one for one in parameters if one.kind not in ("*args", "**kwargs")}
