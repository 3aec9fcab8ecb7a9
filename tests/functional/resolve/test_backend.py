"""What uv does for a build is held as the build is, though it runs outside of its sandbox."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.pythons import running
from tests.waiting import until
from tf_tester.errors import BuildEnded
from tf_tester.execute.local import LocalExecutor
from tf_tester.model.host.limits import Limits
from tf_tester.ports.execute import Command
from tf_tester.resolve.backend import BackEnd, BuildTask
from tf_tester.resolve.confinement import Confinement
from tf_tester.resolve.uv import Uv
from tf_tester.sandbox.none import NoSandbox

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs of POSIX")


class ShellAsUv(Uv):
    """Runs a line of shell in place of uv."""

    def __init__(self, home: Path, line: str) -> None:
        super().__init__(home)
        self._line = line

    def command(self, words: Sequence[str], *, cwd: Path, index: str) -> Command:
        return Command(("/bin/sh", "-c", self._line), {"PATH": os.defpath}, cwd)


def build(uv: Uv, folder: Path, executor: LocalExecutor, **held: Any) -> None:
    (folder / "source").mkdir()
    (folder / "out").mkdir()
    confinement = Confinement(executor, NoSandbox, held.get("limits", Limits()), held.get("timeout"))
    task = BuildTask(folder / "source", folder / "source", folder / "out", running(), "http://127.0.0.1:9", lambda: 0.0)
    BackEnd(uv, confinement, lambda _word: _Folder(folder)).build(task, "")


class _Folder(TemporaryDirectory[str]):
    def __init__(self, folder: Path) -> None:
        super().__init__(dir=folder)

    def __enter__(self) -> Any:
        return Path(super().__enter__())


@pytest.mark.parametrize(
    ("line", "held", "said"),
    [
        ("sleep 600", {"timeout": 0.2}, "stopped after"),
        ("yes", {"limits": Limits(output=1 << 20)}, "it printed more than 1M"),
        ("yes > big", {"limits": Limits(scratch=1 << 20)}, "it wrote more than 1M"),
        ("x=$(yes)", {"limits": Limits(memory=64 << 20)}, "it needed more memory than 64M"),
    ],
)
def test_what_is_installed_for_a_build_has_its_limits_and_its_time(
    tmp_path: Path, line: str, held: dict[str, Any], said: str
) -> None:
    with pytest.raises(BuildEnded, match=said):
        build(ShellAsUv(tmp_path / "uv", line), tmp_path, LocalExecutor(), **held)


def test_who_stops_it_ends_what_is_installed_for_a_build(tmp_path: Path) -> None:
    """As Ctrl-C does: `stop` of uv first, so that what has ended is no failure."""
    uv, executor = ShellAsUv(tmp_path / "uv", "touch begun; exec sleep 600"), LocalExecutor()
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(build, uv, tmp_path, executor)
        until(lambda: any(tmp_path.glob("*/begun")))
        uv.stop()
        executor.stop()
        with pytest.raises(InterruptedError):
            built.result()
