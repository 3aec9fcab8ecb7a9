"""Notice whether a cell's programs import the package under test: a pass without it says nothing of that package."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.model.host.scheme import layout_of
from tf_tester.model.host.world import Overlay
from tf_tester.ports.environment import Environment

_LINE = "tf-tester-imports.pth"
"""Python runs what stands in such a file when it starts, `-I`, `-E` and cleared variables notwithstanding."""


class ImportNotice(Struct, frozen=True):
    """What the Pythons of one environment tell."""

    environment: Environment
    """Their own, with what makes them tell it."""
    file: Path | None
    """Is there once one of them has imported the package; None: it can be used without an import, too."""

    @property
    def never_imported(self) -> bool:
        """Return whether it is known that none has; what they start besides can't use it."""
        return self.file is not None and not os.path.lexists(self.file)


@contextmanager
def noticing(
    preparation: Preparation, environment: Environment, harness: Path, *, told: Path, aside: Path
) -> Iterator[ImportNotice]:
    """Yield the notice of a cell's environment, which is as it was when the block ends.

    `told`: a folder that the programs may write into; `aside`: a new one for what is laid over the environment.
    """
    names = [name for name in preparation.import_names if name.isidentifier()]
    if not names or preparation.brings_programs:
        yield ImportNotice(environment, None)
        return
    file = told / "imported"
    source = (harness.parent / "importing" / "notice.py").read_text("utf-8")
    code = f"{source}\nNoticedImports({names!a}, {str(file)!a})\n"
    text = f"import sys; exec({code!a}, {{'__name__': 'tf_tester_notice'}})\n"
    site = layout_of(preparation.interpreter).site
    if environment.overlays:
        _write(aside / site / _LINE, text)
        first, *others = environment.overlays
        laid = Overlay(first.target, (aside, *first.lowers))
        yield ImportNotice(replace(environment, overlays=(laid, *others)), file)
        return
    line = environment.folder / site / _LINE
    _write(line, text)
    try:
        yield ImportNotice(environment, file)
    finally:
        line.unlink(missing_ok=True)


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="ascii")
