"""How builds are held: as tests are, in a sandbox, under limits, for so long and no longer."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from tf_tester.core.outcome.judge import how_it_died
from tf_tester.core.outcome.sandboxed import no_network
from tf_tester.errors import BuildEnded
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import World
from tf_tester.ports.execute import Command, Executor, Sandbox
from tf_tester.ports.tell import Tell

_LONGEST_ERRORS = 1 << 18
"""Bytes of a build's standard error, from its end: there it says what went wrong."""


class Confinement(Struct, frozen=True):
    """What holds a build."""

    executor: Executor
    sandbox: Callable[[], Sandbox]
    """Asked for when there is something to be built. Raises `IsolationUnavailable`."""
    limits: Limits
    timeout: float | None
    """Seconds."""
    network: bool = False
    """Whether its sandbox lets a build reach the network."""
    tell: Tell = lambda _event: None
    """Hears of a `Delay` while something is built."""

    def hint(self, told: str) -> str:
        """Return which option gives a build what its sandbox kept from it, by what it told; empty: it isn't that."""
        if self.network or self.sandbox().name is IsolationKind.NONE or not (said := no_network(told)):
            return ""
        return f"The build says {said!r}: builds have no network; --build-network gives it to them."

    def run(self, command: Command, world: World, streams: Path, *, scratch: Sequence[Path]) -> tuple[Exit, str]:
        """Run a build and return how it ended and the last that it said on standard error.

        `streams`: an empty folder of which the build sees nothing; `scratch`: folders whose size is limited. Raises
        `BuildEnded` where it didn't end by itself.
        """
        return self.run_ours(self.sandbox().wrap(command, world), streams, scratch=scratch)

    def run_ours(self, command: Command, streams: Path, *, scratch: Sequence[Path]) -> tuple[Exit, str]:
        """Run a program of ours for a build, without the sandbox, under the same limits; likewise in all else."""
        end = self.executor.run(
            command,
            stdout=streams / "stdout",
            stderr=streams / "stderr",
            timeout=self.timeout,
            limits=self.limits,
            scratch=scratch,
        )
        errors = _last_of(streams / "stderr")
        if end.sandbox_error:
            raise BuildEnded(
                f"its sandbox could not be made: {end.sandbox_error}",
                hint="`tf-tester doctor` shows what this system allows.",
            )
        if (death := how_it_died(end)) is not None:
            hint = "--timeout gives it longer." if end.timed_out else ""
            raise BuildEnded(death[1], hint=hint, detail=errors)
        return end, errors


def _last_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _LONGEST_ERRORS))
            return stream.read(_LONGEST_ERRORS).decode("utf-8", "replace")
    except FileNotFoundError:  # it was never started
        return ""
