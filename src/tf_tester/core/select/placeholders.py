"""Names that an index has and that nothing can be installed by: who is meant instead. Pure."""

from collections.abc import Iterable

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tf_tester.core.text.parsing import parse_requirement
from tf_tester.model.framework import Placeholder

_FROM_BELOW = ("==", "===", "~=", ">=")


def placeholder_version(name: str, version: str, placeholders: Iterable[Placeholder]) -> Placeholder | None:
    """Return the placeholder that a version is, if it is one; `name`: canonical."""
    return next((one for one in placeholders if one.name == name and _holds(one, version)), None)


def placeholder_asked(text: str, placeholders: Iterable[Placeholder]) -> Placeholder | None:
    """Return the placeholder that a requirement (PEP 508) means and nothing else, if there is one.

    >>> gpu = Placeholder("tensorflow-gpu", "tensorflow", ">=2.12")
    >>> placeholder_asked("tensorflow-gpu>=2.12", [gpu]) is gpu, placeholder_asked("tensorflow-gpu>=2.4", [gpu])
    (True, None)
    """
    requirement = parse_requirement(text)
    name = str(canonicalize_name(requirement.name))
    lowest = [one.version for one in requirement.specifier if one.operator in _FROM_BELOW]
    for one in placeholders:
        if one.name == name and (not one.versions or any(_holds(one, version) for version in lowest)):
            return one
    return None


def _holds(placeholder: Placeholder, version: str) -> bool:
    return not placeholder.versions or SpecifierSet(placeholder.versions).contains(
        version.removesuffix(".*"), prereleases=True
    )
