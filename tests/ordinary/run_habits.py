"""Each habit in a process of its own, as a test of its name. Only who names this file runs it (`bench/ordinary.py`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from habits import HABITS, SKIP

HERE = Path(__file__).parent
WANTED = os.environ.get("HABITS", "").split("|")


@pytest.mark.parametrize("name", [name for name in HABITS if WANTED == [""] or name in WANTED])
def test_habit(name, tmp_path):
    script = tmp_path / "habit.py"
    script.write_text(HABITS[name], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=str(HERE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    if done.returncode == SKIP:
        pytest.skip("this machine lacks what it takes")
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
