"""What a grid is asked to do: functions of a file, or two commands."""

import re
from pathlib import Path

from msgspec import Struct

from tf_tester.core.grid.fields import PRODUCT_NAME
from tf_tester.core.select.runner import Runner
from tf_tester.errors import UsageError
from tf_tester.flow.run.jobs import ProductTask, TrialJob
from tf_tester.model.cell import Cell
from tf_tester.model.request import ScratchPlace, Trial

PLACE, MAKER, TARGET = "{product}", "{producer}", "{target}"
"""What stands in commands for the product's path, for who made it, and for the path of what is saved anew."""


class GridRequest(Struct, frozen=True):
    """How something is saved and loaded."""

    file: Path | None = None
    """With marked functions; None: the two commands do it."""
    save: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    resave: tuple[str, ...] = ()
    """What loads and saves anew; empty: nothing does, or functions of the file."""
    product: str = "product"
    """What is called so that the commands save and load; the last part of its path."""
    largest: int = 1 << 30
    """Bytes of one product's files."""
    fresh: bool = False
    """Each product is loaded by a process of its own, whatever is known of forking."""
    why: bool = False
    """Whether to find out with which release its borders came."""
    route: tuple[str, str] | None = None
    """The versions between which to find a way."""

    def check(self, trial: Trial) -> None:
        """Raise `UsageError` where this can't be meant."""
        if (self.file is None) == (not self.save and not self.load):
            raise UsageError(
                "A grid needs a FILE with producers and consumers, or the commands --save and --load.",
                hint="Mark functions with @producer and @consumer of tf_tester_helper, or give both commands.",
            )
        if self.file is not None and not self.file.is_file():
            raise UsageError(f"There is no file {self.file}.", hint="Check the name and the folder you are in.")
        if self.file is not None and self.file.suffix != ".py":
            raise UsageError(f"{self.file} is no Python file.", hint="Producers and consumers are functions in one.")
        for option, command in (("--save", self.save), ("--load", self.load)):
            if self.file is None and not any(PLACE in word for word in command):
                raise UsageError(
                    f"{option} doesn't say where the product is.", hint=f"{PLACE} in the command stands for its path."
                )
        if self.resave and not all(any(place in word for word in self.resave) for place in (PLACE, TARGET)):
            raise UsageError(
                "--resave doesn't say where the product is, and where the new one is to be.",
                hint=f"{PLACE} and {TARGET} in the command stand for their paths.",
            )
        if self.resave and self.file is not None:
            raise UsageError(
                "--resave is for commands, and there is a FILE.",
                hint="Mark a function of it with @resaver(NAME, OTHER_NAME) of tf_tester_helper.",
            )
        if not PRODUCT_NAME.fullmatch(self.product):
            raise UsageError(
                f"A product can't be called {self.product!r}.", hint="Use letters, digits and ._+-, 100 at most."
            )
        if trial.scratch is ScratchPlace.MEMORY:
            raise UsageError("A product in memory is gone with its cell.", hint="Leave --scratch memory out.")

    def saving(self, place: Path, producer: Cell) -> TrialJob:
        """Return what saves: every product into a folder of its own in `place`."""
        if self.file is not None:
            return TrialJob(Runner.PRODUCT, (self.file,), task=ProductTask("producer", place))
        folder = place / self.product
        command = _filled(self.save, folder / self.product, producer)
        task = ProductTask("producer", folder)
        return TrialJob(Runner.COMMAND, (), command=command, name=" ".join(self.save), task=task)

    def loading(self, task: ProductTask) -> TrialJob:
        """Return what loads the one product of a task."""
        if self.file is not None:
            return TrialJob(Runner.PRODUCT, (self.file,), task=task)
        words = {PLACE: str(task.place / task.product), MAKER: task.producer}
        command = tuple(_replaced(word, words) for word in self.load)
        return TrialJob(Runner.COMMAND, (), command=command, name=" ".join(self.load) + task.label, task=task)

    def resaving(self, task: ProductTask) -> TrialJob:
        """Return what loads the one product of a task and saves it anew, into its target."""
        if self.file is not None:
            return TrialJob(Runner.PRODUCT, (self.file,), task=task)
        words = {PLACE: str(task.place / task.product), MAKER: task.producer}
        if task.target is not None:
            words[TARGET] = str(task.target / task.saved_as)
        command = tuple(_replaced(word, words) for word in self.resave)
        return TrialJob(Runner.COMMAND, (), command=command, name=" ".join(self.resave) + task.label, task=task)


def made_by(cell: Cell) -> str:
    """Return how consumers are told who made a product: `toy==1.0`."""
    return ",".join(one.label for one in cell.tested)


def _filled(command: tuple[str, ...], path: Path, producer: Cell) -> tuple[str, ...]:
    words = {PLACE: str(path), MAKER: made_by(producer)}
    return tuple(_replaced(word, words) for word in command)


def _replaced(text: str, words: dict[str, str]) -> str:
    """Return the text with each of the words replaced once: what is put in isn't looked at again."""
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], text)
