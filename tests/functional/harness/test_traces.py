"""Whether a process has used the package under test: what the event `end` says of it, and what others tell."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.harness.bench import HARNESS, Bench

CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'])\n"
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
        (LOOKED_FOR, True),
        (CHILD, True),
    ],
)
def test_a_script_that_has_not_used_the_package_says_so(bench: Bench, edge: str, text: str, untouched: bool) -> None:
    bench.write(watched="")
    ran = bench.script(edge, text, watch=["watched"])
    assert ran.event("end")["untouched"] is untouched


def test_without_a_name_nothing_is_said(bench: Bench, edge: str) -> None:
    assert bench.script(edge, "print()").event("end")["untouched"] is False
    assert bench.script(edge, "print()", watch=["watched-stubs"]).event("end")["untouched"] is False


def test_pytest_alone_is_no_use_of_the_package(bench: Bench) -> None:
    here = sys.executable
    bench.write(watched="", test_one="def test(): pass\n", test_two="def test():\n    import watched\n")
    assert bench.run(here, "pytest", "test_one.py", watch=["watched"]).event("end")["untouched"] is True
    assert bench.run(here, "pytest", "test_two.py", watch=["watched"]).event("end")["untouched"] is False
    assert bench.run(here, "pytest", "test_one.py", watch=["pytest"]).event("end")["untouched"] is False


LINE = "tf-tester-imports.pth"
FORKED = "import os\nif not os.fork():\n    import watched\n    os._exit(0)\nos.wait()\n"
HOOKED = "import sys, importlib.machinery as m\nsys.meta_path.insert(0, m.PathFinder)\nimport watched\n"
LEFT = "import os, watched\nos._exit(0)\n"
REPLACED = "import os, sys\nos.open = None\nimport watched\n"


@pytest.mark.parametrize(
    ("text", "imported"),
    [
        ("pass", False),
        ("import watched.deep", True),
        ("import unwatched", False),
        ("__import__('importlib').import_module('watched')", True),
        (LOOKED_FOR, False),
        (LATER, True),
        (FORKED, True),
        (HOOKED, True),
        (LEFT, True),
        (REPLACED, True),
    ],
)
def test_any_python_notices_that_it_imports_the_package(tmp_path: Path, edge: str, text: str, imported: bool) -> None:
    site, told = tmp_path / "site", tmp_path / "told"
    (site / "watched").mkdir(parents=True)
    for name in ("watched/__init__.py", "watched/deep.py", "unwatched.py"):
        (site / name).touch()
    code = f"{(HARNESS / 'importing/notice.py').read_text()}\nNoticedImports(['watched'], {str(told)!r})\n"
    (site / LINE).write_text(f"import sys; exec({code!a}, {{'__name__': 'tf_tester_notice'}})\n")
    first = f"import site\nsite.addsitedir({str(site)!r})\n"
    ran = subprocess.run([edge, "-c", first + text], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert told.exists() is imported
