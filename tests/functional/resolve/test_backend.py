"""What uv does for a build is held as the build is, though it runs outside of its sandbox."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.pythons import running
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


def build(folder: Path, line: str, **held: Any) -> None:
    (folder / "source").mkdir()
    (folder / "out").mkdir()
    confinement = Confinement(LocalExecutor(), NoSandbox, held.get("limits", Limits()), held.get("timeout"))

    task = BuildTask(folder / "source", folder / "source", folder / "out", running(), "http://127.0.0.1:9", lambda: 0.0)
    BackEnd(ShellAsUv(folder / "uv", line), confinement, lambda _word: _Folder(folder)).build(task, "")


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
        build(tmp_path, line, **held)
