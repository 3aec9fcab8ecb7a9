"""What is known of a failure beforehand: by its words, and by what is installed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from packaging.specifiers import SpecifierSet

from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.model.framework import KnownFailure
from tf_tester.model.outcome import TestRow

_LONGEST = 20_000
"""Characters looked at, at the end: a test can print what it likes."""


def about_known_failures(
    rows: Iterable[TestRow], versions: Mapping[str, str], known: Callable[[], Iterable[KnownFailure]]
) -> tuple[str, ...]:
    """Return what is known of the failures among the rows of a cell, each thing once, with its source.

    `versions`: of what is installed, by canonical names; of `python`, too. `known` is called where something failed.
    """
    texts = [what_ended(row)[-_LONGEST:] for row in rows if row.outcome.is_failure_of_the_test]
    return tuple(dict.fromkeys(_found(texts, versions, known() if texts else ())))


def _found(texts: list[str], versions: Mapping[str, str], known: Iterable[KnownFailure]) -> Iterator[str]:
    for one in known:
        version = versions.get(one.project)
        if version is not None and SpecifierSet(one.versions, prereleases=True).contains(version):
            pattern = re.compile(one.text)
            if any(pattern.search(text) for text in texts):
                yield f"known: {one.says} ({one.source})"
