"""GitHub's expressions (`${{ … }}`), as far as our workflows and action use them; what else there is, is refused.

By https://docs.github.com/actions/reference/evaluate-expressions-in-workflows-and-actions: properties that aren't there
are empty, `==` ignores case, `&&` and `||` give one of their operands.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|-?\d+(?:\.\d+)?|[A-Za-z_][\w-]*|==|!=|&&|\|\||[<>]=?|[!().,\[\]])")
_WHOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\(\)")


class WrongExpression(Exception):
    """It is none that GitHub would take, or one that nobody here understands."""


class Expressions:
    """Evaluates expressions in some contexts (`github`, `inputs`, …) and with the status of the job."""

    def __init__(self, contexts: Mapping[str, Any], *, failed: bool = False, was_cancelled: bool = False) -> None:
        self._contexts = contexts
        self._functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "success": lambda: not failed and not was_cancelled,
            "failure": lambda: failed,
            "cancelled": lambda: was_cancelled,
            "format": lambda text, *words: re.sub(r"\{(\d+)\}", lambda found: as_text(words[int(found[1])]), text),
            "fromjson": json.loads,
            "tojson": json.dumps,
        }

    def filled(self, template: Any) -> Any:
        """Return a value with what its expressions come to; one that is nothing else keeps its type."""
        if isinstance(template, dict):
            return {name: self.filled(value) for name, value in template.items()}
        if isinstance(template, list):
            return [self.filled(value) for value in template]
        if not isinstance(template, str):
            return template
        if (whole := _WHOLE.fullmatch(template.strip())) and "${{" not in whole[1]:
            return self.value(whole[1])
        return _WHOLE.sub(lambda found: as_text(self.value(found[1])), template)

    def holds(self, condition: Any) -> bool:
        """Tell whether an `if` is so; without a word on the job's status it asks for `success()`, too."""
        text = as_text(condition).strip()
        text = whole[1] if (whole := _WHOLE.fullmatch(text)) else text
        value = self.value(text or "true")
        return bool(value) and (bool(_STATUS.search(text)) or bool(self._functions["success"]()))

    def value(self, text: str) -> Any:
        """Return what an expression comes to. Raises `WrongExpression`."""
        tokens = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise WrongExpression(f"{text[position:]!r} in {text!r}")
            tokens.append(found[1])
            position = found.end()
        reading = _Reading(tokens, self._contexts, self._functions)
        value = reading.any_of()
        if reading.tokens:
            raise WrongExpression(f"{reading.tokens[0]!r} in {text!r}")
        return value


def as_text(value: Any) -> str:
    """Return a value as it stands in a text."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dict() | list():
            raise WrongExpression("an object stands in a text")
        case _:
            return str(value)


class _Reading:
    def __init__(
        self, tokens: list[str], contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.tokens = tokens
        self._contexts = contexts
        self._functions = functions

    def any_of(self) -> Any:
        value = self._all_of()
        while self._next_is("||"):
            other = self._all_of()
            value = value or other
        return value

    def _all_of(self) -> Any:
        value = self._compared()
        while self._next_is("&&"):
            other = self._compared()
            value = value and other
        return value

    def _compared(self) -> Any:
        value = self._negated()
        for operator, compare in _COMPARISONS.items():
            if self._next_is(operator):
                return compare(value, self._negated())
        return value

    def _negated(self) -> Any:
        return not self._negated() if self._next_is("!") else self._value()

    def _value(self) -> Any:
        if self._next_is("("):
            value = self.any_of()
            self._take(")")
            return value
        token = self._take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token[0].isdigit() or token[0] == "-":
            return float(token)
        if token in _WORDS:
            return _WORDS[token]
        if self._next_is("("):
            value = self._called(token)
        elif token in self._contexts:
            value = self._contexts[token]
        else:
            raise WrongExpression(f"there is no context {token} here")
        while self.tokens[:1] in (["."], ["["]):
            if self._take() == ".":
                name = self._take()
            else:
                name = as_text(self.any_of())
                self._take("]")
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def _called(self, name: str) -> Any:
        words = []
        while not self._next_is(")"):
            words.append(self.any_of())
            self._next_is(",")
        if name.lower() not in self._functions:
            raise WrongExpression(f"there is no function {name}")
        return self._functions[name.lower()](*words)

    def _next_is(self, token: str) -> bool:
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False

    def _take(self, wanted: str = "") -> str:
        if not self.tokens or (wanted and self.tokens[0] != wanted):
            raise WrongExpression(f"{wanted or 'more'} is missing before {self.tokens}")
        return self.tokens.pop(0)


def _number(value: Any) -> float:
    return float(value or 0)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    if type(one) is type(other):
        return bool(one == other)
    try:
        return _number(one) == _number(other)
    except ValueError:
        return False


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": _same,
    "!=": lambda one, other: not _same(one, other),
    ">": lambda one, other: _number(one) > _number(other),
    "<": lambda one, other: _number(one) < _number(other),
}
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
