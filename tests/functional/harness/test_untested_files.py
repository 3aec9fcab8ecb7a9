"""Files that are named like tests, and in which pytest finds none; and scripts that only define tests."""

import sys

import pytest

from tests.functional.harness.bench import Bench, Ran

RAN = "pytest found no tests in it: it ran as a script"


def outcome_of(bench: Bench, text: str, *more: str, **files: str) -> Ran:
    """Return what comes of `test_it.py`, given as a file that may be a script."""
    bench.write(test_it=text, **files)
    names = ("test_it.py", *more)
    return bench.run(sys.executable, "pytest", *names, or_scripts=[str(bench.folder / name) for name in names])


MAIN = "\nif __name__ == '__main__':\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("import json\nprint(json.dumps(1))", "pass", ""),
        ("import json\nassert json.dumps(1) == '1'", "pass", ""),
        ("for number in range(3): int(number)", "pass", ""),
        ("def main(): print('here')" + MAIN + "    main()", "pass", ""),
        ("def main(): raise ValueError('no')" + MAIN + "    main()", "fail", "ValueError: no"),
        ("import sys\ndef main(): return 3" + MAIN + "    sys.exit(main())", "fail", "SystemExit: 3"),
        ("import sys" + MAIN + "    sys.exit()", "pass", ""),
        ("import sys\nsys.exit(0)", "pass", ""),
        ("import sys\nsys.exit('it is broken')", "fail", "SystemExit: it is broken"),
        ("import sys\nprint('checked')\nraise SystemExit(4)", "fail", "SystemExit: 4"),
    ],
)
def test_what_does_something_when_it_is_run_is_judged_as_a_script(
    bench: Bench, text: str, status: str, told: str
) -> None:
    row = outcome_of(bench, text).row
    assert (row["id"], row["status"], row["remarks"]) == ("test_it.py", status, [RAN])
    exception = row["exception"]
    assert (f"{exception['type']}: {exception['message']}" if exception else "") == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys\nsys.exit(0)\ndef test_a(): assert False", "test_a"),
        ("def test_a(): assert False\nraise SystemExit", "test_a"),
        (
            "import sys, unittest\nsys.exit()\nclass Case(unittest.TestCase):\n    def test_a(self): self.fail()\n"
            "if sys:\n    async def test_b(): pass",
            "Case, test_b",
        ),
    ],
)
def test_a_file_that_leaves_before_its_tests_can_run_has_not_passed(bench: Bench, text: str, told: str) -> None:
    row = outcome_of(bench, text).row
    assert (row["id"], row["status"]) == ("test_it.py", "error")
    assert row["reason"] == f"it left when pytest imported it, and its tests didn't run: {told}"


@pytest.mark.parametrize(
    "text",
    [
        "import sys\ndef test_a(): pass\ntest_a()\nsys.exit(0)",
        "import sys\ndef testing(): return 0\nsys.exit(testing())",
        "import sys\nclass TestBench: pass\nsys.exit(0)",
    ],
)
def test_a_file_that_leaves_when_it_has_run_its_tests_itself_passes(bench: Bench, text: str) -> None:
    assert outcome_of(bench, text).row["status"] == "pass"


def test_a_script_that_leaves_is_judged_like_one_that_ends(bench: Bench, edge: str) -> None:
    row = bench.script(edge, "import sys\ndef test_a(): assert False\nprint(1)\nsys.exit(0)").row
    assert row["remarks"] == ["defines tests (test_a) that running it doesn't run: --runner pytest does"]


DEFINES_ONLY = [
    "",
    "import json",
    '"""What it is."""\nimport json\nSIZE = 3\ndef helper(): pass\nclass Base: pass',
    "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nos.environ['A'] = 'b'",
    "import warnings, logging\nwarnings.filterwarnings('ignore')\nlogging.basicConfig()",
    "try:\n    import numpy_of_old\nexcept ImportError:\n    numpy_of_old = None",
    "import unittest" + MAIN + "    unittest.main()",
    "import sys, pytest" + MAIN + "    sys.exit(pytest.main([__file__]))",
    "import tf" + MAIN + "    tf.test.main()",
    "def check_it(): assert False",
    "import random\nrandom.seed(3)",
    "import unittest, logging" + MAIN + "    logging.basicConfig()\n    result = unittest.main(exit=False)",
]


def test_what_only_defines_and_sets_up_has_tested_nothing(bench: Bench) -> None:
    files = {f"test_{number}": text for number, text in enumerate(DEFINES_ONLY)}
    ran = outcome_of(bench, "x = 1", *(f"{name}.py" for name in files), tf="", **files)
    told = {row["id"]: (row["status"], row["reason"], row["remarks"]) for row in ran.rows.values()}
    nothing: tuple[str, str, list[str]] = ("empty", "no tests were found", [])
    assert told == {"test_it.py": nothing} | {f"{name}.py": nothing for name in files}


def test_a_main_block_in_which_a_test_runner_finds_nothing_has_tested_nothing(bench: Bench) -> None:
    row = outcome_of(bench, "import unittest" + MAIN + "    print('tests')\n    unittest.main()").row
    assert (row["status"], row["reason"]) == ("empty", "no tests were found")


def test_what_ran_when_pytest_imported_it_does_not_run_again(bench: Bench) -> None:
    text = "print('body')\nclass Kept: pass" + MAIN + "    import pickle\n    print(pickle.loads(pickle.dumps(Kept)))"
    row = outcome_of(bench, text).row
    assert row["status"] == "pass"
    assert row["stdout"] == "body\n<class 'test_it.Kept'>\n"


def test_a_main_block_finds_an_ordinary_main_module(bench: Bench) -> None:
    text = (
        "import multiprocessing, sys\ndef double(x): return 2 * x"
        + MAIN
        + "    assert sys.modules['__main__'].__file__ == __file__ == sys.argv[0] and len(sys.argv) == 1\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(double, [1, 2]))"
    )
    row = outcome_of(bench, text).row
    assert (row["status"], row["stdout"]) == ("pass", "[2, 4]\n")


def test_tests_are_tests_although_the_file_has_a_main_block(bench: Bench) -> None:
    ran = outcome_of(bench, "def test_a(): pass" + MAIN + "    raise ValueError")
    assert ran.statuses == {"test_it.py::test_a": "pass"}


def test_tests_that_are_left_out_are_tests(bench: Bench) -> None:
    bench.write(test_it="print('x')\ndef test_a(): pass")
    scripts = [str(bench.folder / "test_it.py")]
    ran = bench.run(sys.executable, "pytest", "test_it.py", or_scripts=scripts, args=["-k", "other"])
    assert ran.statuses == {"test_it.py": "empty"}


def test_a_module_that_skips_itself_is_skipped(bench: Bench) -> None:
    row = outcome_of(bench, "import pytest\npytest.importorskip('absent')\nprint('x')").row
    assert (row["status"], row["remarks"]) == ("skip", [])


def test_a_module_that_fails_is_an_error_as_pytest_says(bench: Bench) -> None:
    row = outcome_of(bench, "import absent_module\nprint('x')").row
    assert (row["status"], row["exception"]["type"]) == ("error", "ModuleNotFoundError")


def test_where_pytest_finds_nothing_load_tests_may(bench: Bench) -> None:
    text = (
        "import unittest\ndef bad(): assert False\ndef good(): pass\n"
        "def load_tests(loader, tests, pattern):\n"
        "    return unittest.TestSuite(map(unittest.FunctionTestCase, [good, bad]))\n"
        "if __name__ == '__main__': unittest.main()"
    )
    ran = outcome_of(bench, text)
    assert sorted(ran.statuses.values()) == ["fail", "pass"]
    assert all("load_tests" in row["remarks"][0] for row in ran.rows.values())
    broken = outcome_of(bench, "def load_tests(*_): raise ValueError('no')")
    assert (broken.row["id"], broken.row["status"], broken.row["exception"]["type"]) == (
        "test_it.py",
        "error",
        "ValueError",
    )


def test_each_file_is_judged_for_itself(bench: Bench) -> None:
    files = {"test_a": "def test_a(): pass", "test_b": "print(1)", "test_c": "import json"}
    ran = outcome_of(bench, "x = 1", "test_a.py", "test_b.py", "test_c.py", **files)
    assert ran.statuses == {
        "test_it.py": "empty",
        "test_a.py::test_a": "pass",
        "test_b.py": "pass",
        "test_c.py": "empty",
    }


def test_a_main_block_that_kills_the_process_is_named(bench: Bench) -> None:
    ran = outcome_of(bench, "import os" + MAIN + "    os._exit(3)")
    assert ran.exit_code == 3
    assert [event["id"] for event in ran.events if event["event"] == "test-start"] == ["test_it.py"]
    assert "end" not in ran.kinds


# -- scripts


@pytest.mark.parametrize(
    "text",
    [
        "from checks import *",
        "from checks import Base\nclass Deep(Base):\n    def test_bad(self): assert False",
        "def _check():\n    def t(): assert False\n    return t\nglobals().update(test_a=_check())\ndel _check",
        "def _check():\n    def t(): assert False\n    return t\n"
        "for name in ('a', 'b'):\n    globals()['test_' + name] = _check()",
        "import json\nif json:\n    def test_bad(): assert False",
        "class TestIt:\n    def test_bad(self): assert False",
    ],
)
def test_a_script_that_only_defines_tests_has_tested_nothing(bench: Bench, edge: str, text: str) -> None:
    checks = "import unittest\nclass Base(unittest.TestCase): pass\ndef test_shared(): assert False"
    bench.write(checks=checks)
    row = bench.script(edge, text).row
    assert row["status"] == "empty"
    assert "--runner pytest" in row["reason"]


NOTHING = "it does nothing when it is run"
MANY = "".join(f"def helper_{number}(x): return x\n" for number in range(30))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NOTHING),
        ("\n# nothing\n", NOTHING),
        ("SIZE = 3", NOTHING),
        ("def main(): pass", f"{NOTHING}: it only defines main"),
        ("import json\ndef main(): json.dumps(1)", f"{NOTHING}: it only defines main"),
        ("import json\nclass Net(json.JSONEncoder):\n    size = max(1, 2)", f"{NOTHING}: it only defines Net"),
        (
            "try:\n    import json\nexcept ImportError:\n    async def a(): pass\nelse:\n    def b(): pass",
            f"{NOTHING}: it only defines a, b",
        ),
        (
            "import sys\nsys.path.insert(0, '.')\n" + MANY,
            f"{NOTHING}: it only defines helper_0, helper_1, helper_2, ...",
        ),
    ],
)
def test_a_script_that_does_nothing_has_tested_nothing(bench: Bench, edge: str, text: str, reason: str) -> None:
    row = bench.script(edge, text).row
    assert (row["status"], row["reason"]) == ("empty", reason)


@pytest.mark.parametrize(
    "text", ["import json", "import json\nSIZE = json.__name__", "import json\ndef main(): pass\nmain()"]
)
def test_a_script_that_imports_or_calls_something_does_something(bench: Bench, edge: str, text: str) -> None:
    row = bench.script(edge, text).row
    assert (row["status"], row["reason"]) == ("pass", None)


def test_a_script_that_defines_tests_beside_what_it_does_is_remarked_on(bench: Bench, edge: str) -> None:
    bench.write(checks="def test_shared(): assert False")
    row = bench.script(edge, "from checks import *\nprint(1)").row
    assert (row["status"], row["remarks"]) == (
        "pass",
        ["defines tests (test_shared) that running it doesn't run: --runner pytest does"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "def test_a(): pass\ntest_a()",
        "def test_a(): pass\nfor test in (test_a,): test()",
        "def test_step(images, labels): pass\nprint(1)",
        "def test_a(): pass\n[value() for name, value in list(globals().items()) if name.startswith('test_')]",
        "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\nunittest.main()",
        "import unittest\nfrom unittest import TestCase\nprint(1)",
    ],
)
def test_a_script_that_runs_its_tests_itself_passes(bench: Bench, edge: str, text: str) -> None:
    row = bench.script(edge, text).row
    assert (row["status"], row["remarks"]) == ("pass", [])


def test_a_script_whose_test_runner_finds_nothing_is_empty(bench: Bench, python: str) -> None:
    row = bench.script(python, "import unittest\nprint(1)\nunittest.main()").row
    assert (row["status"], row["reason"]) == ("empty", "no tests were found")


# -- doctests


def test_a_doctest_says_what_it_expected_and_what_it_got(bench: Bench) -> None:
    bench.write(calc='"""\n>>> 1 + 1\n3\n>>> print("a\\\\nb")\na\n"""\ndef fail():\n    """\n    >>> 1 / 0\n    """\n')
    ran = bench.run(sys.executable, "pytest", "calc.py", args=["--doctest-modules", "--doctest-continue-on-failure"])
    row, other = ran.rows["calc.py::calc"], ran.rows["calc.py::calc.fail"]
    assert (row["status"], row["exception"]["message"]) == ("fail", "expected 3, got 2")
    assert (row["exception"]["line"], row["exception"]["text"]) == (2, "1 + 1")
    assert (other["status"], other["exception"]["type"]) == ("fail", "ZeroDivisionError")
