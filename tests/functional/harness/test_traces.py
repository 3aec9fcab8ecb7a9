"""Whether the package under test can have been used: what the event `end` says of it."""

import sys
from pathlib import Path

import pytest

from tests.functional.harness.bench import Bench
from tf_tester.harness.importing import traces

CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'])\n"
RUNNING = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
FORK = "import os\npid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)\n"
LATER = "import atexit\natexit.register(__import__, 'watched')\n"
LOOKED_FOR = "import importlib.util\nimportlib.util.find_spec('watched')\n"


@pytest.mark.parametrize(
    ("text", "untouched"),
    [
        ("print('hello')", True),
        ("import json, threading\nthreading.Thread(target=print).start()", True),
        ("import watched", False),
        ("try:\n    import watched\nexcept ImportError: pass\nimport sys; sys.modules.pop('watched')", False),
        ("from importlib import import_module\nimport_module('watched')", False),
        (LATER, False),
        (LOOKED_FOR, False),
        (CHILD, False),
        (RUNNING, False),
        (FORK, False),
    ],
)
def test_a_script_that_cannot_have_used_the_package_says_so(
    bench: Bench, edge: str, text: str, untouched: bool
) -> None:
    bench.write(watched="")
    ran = bench.script(edge, text, watch=["watched"])
    assert ran.event("end")["untouched"] is untouched


def test_a_thread_that_ends_while_it_is_looked_at_is_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    read = traces._read
    gone = iter([FileNotFoundError, ProcessLookupError])

    def read_later(file: str) -> str:
        if error := next(gone, None):
            raise error(file)
        return read(file)

    watch = traces.Traces(["watched"])
    monkeypatch.setattr(traces, "_read", read_later)
    assert watch.none([]) is not watch._had_children()
    assert next(gone, None) is None


def test_without_a_name_nothing_is_said(bench: Bench, edge: str) -> None:
    assert bench.script(edge, "print()").event("end")["untouched"] is False
    assert bench.script(edge, "print()", watch=["watched-stubs"]).event("end")["untouched"] is False


ASKS_THE_SYSTEM = """
import os, sys
os.system("true")
sys.path.remove(os.path.dirname(__file__))
del sys.modules["pluggy"]
import pluggy
"""


def test_a_process_that_pytest_starts_when_it_is_imported_is_none_of_the_tests(bench: Bench, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "pluggy.py").write_text(ASKS_THE_SYSTEM)
    bench.write(watched="", test_one="def test(): pass\n")
    path = {"PYTHONPATH": str(first)}
    ran = bench.run(sys.executable, "pytest", "test_one.py", watch=["watched"], environment=path)
    assert ran.event("end")["untouched"] is True


def test_pytest_alone_is_no_use_of_the_package(bench: Bench) -> None:
    here = sys.executable
    bench.write(watched="", test_one="def test(): pass\n", test_two="def test():\n    import watched\n")
    assert bench.run(here, "pytest", "test_one.py", watch=["watched"]).event("end")["untouched"] is True
    assert bench.run(here, "pytest", "test_two.py", watch=["watched"]).event("end")["untouched"] is False
    assert bench.run(here, "pytest", "test_one.py", watch=["pytest"]).event("end")["untouched"] is False
