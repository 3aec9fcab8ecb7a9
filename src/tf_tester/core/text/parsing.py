"""Text of others, read by a library: whatever is wrong with it, that library's own error says so."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def parse_toml(text: str | bytes) -> dict[str, Any]:
    """Return a TOML document. Raises `tomllib.TOMLDecodeError`, `UnicodeDecodeError`.

    >>> parse_toml(b"a = 1")
    {'a': 1}
    """
    import tomllib

    try:
        return tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from None
    except ValueError as error:  # Python reads no number of thousands of digits
        raise tomllib.TOMLDecodeError(str(error).partition(";")[0]) from None


def parse_requirement(text: str) -> "Requirement":
    """Return a requirement (PEP 508). Raises `InvalidRequirement`.

    >>> parse_requirement("toy>=1").name
    'toy'
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except RecursionError:
        raise InvalidRequirement("it is nested too deeply") from None
