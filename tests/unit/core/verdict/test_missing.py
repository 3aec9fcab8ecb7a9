"""What a test lacks that could be given to it."""

import msgspec.structs
import pytest

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.select.own_modules import own_module
from tf_tester.core.verdict.missing import lacking
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

REST = "--env MY_KEY passes yours on: tests have only what is given so"
CELL = Cell.of("toy", "1.0", "3.11", Resolution.ERA)


def test_a_module_of_the_users_own_is_not_to_be_fetched() -> None:
    result = CellResult(CELL.name, Outcome.FAIL, tests=(module("mine"),), remarks=(own_module("mine", "src"),))
    assert lacking(RunReport(cells=(CELL,), results={CELL.name: result})) == ()


@pytest.mark.parametrize(
    "raised",
    [
        ExceptionFact("KeyError", "'MY_KEY'", "t.py", 3, "test_x"),
        ExceptionFact("KeyError", "'a b'", "<frozen os>", 714, "__getitem__"),
        ExceptionFact("RuntimeError", "the environment variable MY_KEY has the value 3"),
        ExceptionFact("RuntimeError", "an environment variable is not set"),
    ],
)
def test_what_speaks_of_no_missing_variable_names_none(raised: ExceptionFact) -> None:
    assert told(TestRow("t", Outcome.FAIL, raised)) == ()


def test_a_pytest_that_this_python_cannot_import_is_told() -> None:
    remark = "pytest cannot be imported in this environment"
    row = TestRow("t", Outcome.ERROR, ExceptionFact("AttributeError", "__spec__"), remarks=(remark,))
    [said] = told(row)
    assert said.startswith("--with 'pytest>=7' may bring a pytest that goes with this Python")


def test_files_of_one_name_are_told_to_be_the_reason() -> None:
    raised = ExceptionFact(
        "_pytest.pathlib.ImportPathMismatchError", "('test_a', 'x/test_a.py', PosixPath('test_a.py'))"
    )
    [said] = told(TestRow("t", Outcome.ERROR, raised))
    assert said.startswith("files of one name need an __init__.py beside each, or other names")
    installed = msgspec.structs.replace(
        raised, message="('a.b', '/env/lib/site-packages/a/b.py', PosixPath('src/a/b.py'))"
    )
    [said] = told(TestRow("t", Outcome.ERROR, installed))
    assert said.startswith("--pythonpath FOLDER, of its sources")


def told(*rows: TestRow) -> tuple[str, ...]:
    return lacking(RunReport(cells=(CELL,), results={CELL.name: CellResult(CELL.name, Outcome.FAIL, tests=rows)}))


def test_async_tests_beside_their_plugin_need_its_mode() -> None:
    row = TestRow("t", Outcome.FAIL, ExceptionFact("Failed", "async def functions are not natively supported."))
    lock = Lock("3.8.1", Resolution.ERA, None, (Pin("pytest-asyncio", "1.0", "p.whl", "ab" * 32, 3, url=""),))
    results = {CELL.name: CellResult(CELL.name, Outcome.FAIL, tests=(row,))}
    report = RunReport(cells=(CELL,), results=results, locks={CELL.name: lock})
    assert lacking(report) == ("-- --asyncio-mode=auto runs async tests",)


def module(name: str) -> TestRow:
    exception = ExceptionFact("ModuleNotFoundError", f"No module named '{name}'")
    return TestRow("t", Outcome.FAIL, exception)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        *(
            (TestRow("t", Outcome.FAIL, raised), "--env MY_KEY=VALUE sets the variable MY_KEY, " + REST)
            for raised in (
                ExceptionFact("KeyError", "'MY_KEY'", "/usr/lib/python3.11/os.py", 680, "__getitem__"),
                ExceptionFact("KeyError", "'MY_KEY'", "<frozen os>", 714, "__getitem__"),
                ExceptionFact("RuntimeError", "environment variable MY_KEY is not set"),
                ExceptionFact("RuntimeError", "Please set the `MY_KEY` environment variable!"),
                ExceptionFact("x.ImproperlyConfigured", "You must define the environment variable MY_KEY before"),
                ExceptionFact("AssertionError", "Missing env var: MY_KEY"),
            )
        ),
        (module("yaml"), "--with pyyaml brings the module yaml"),
        (module("sklearn.svm"), "--with scikit-learn brings the module sklearn"),
        (module("distutils"), "--with setuptools brings the module distutils"),
        (module("google.protobuf"), "--with protobuf brings the module google.protobuf"),
        (module("imp"), "the module imp has left Python: --python 3.11 is the last that has it"),
        (module("telnetlib"), "the module telnetlib has left Python: --python 3.12 is the last that has it"),
        (
            TestRow("t", Outcome.ERROR, reason="fixture 'event_loop' not found"),
            "--with 'pytest-asyncio<1' brings event_loop",
        ),
        (
            TestRow("t", Outcome.FAIL, ExceptionFact("AttributeError", "module 'pytest' has no attribute 'collect'")),
            "--with 'pytest<7' is a pytest that this code is for",
        ),
        (
            TestRow("t", Outcome.FAIL, ExceptionFact("pytest.PytestRemovedIn9Warning", "Marks applied to fixtures")),
            "--with 'pytest<9' is a pytest that this code is for",
        ),
        (
            TestRow("t", Outcome.FAIL, ExceptionFact("TypeError", "fail() got an unexpected keyword argument 'msg'")),
            "--with 'pytest<8' is a pytest that this code is for",
        ),
        (
            TestRow("pytest", Outcome.CRASH, reason="it could not be started: pytest: No such file or directory"),
            "--with pytest may bring pytest: a cell has only what it is given",
        ),
        (
            TestRow("python", Outcome.FAIL, stderr="/tf-tester/env/bin/python: No module named nox\n", exit_code=1),
            "--with nox may bring nox: a cell has only what it is given",
        ),
        (
            TestRow(
                "t", Outcome.ERROR, reason="pytest could not begin: file or directory not found: pytest (--runner …)"
            ),
            "where tests are named, what follows -- goes to pytest itself, without the word pytest",
        ),
        (
            TestRow("a/b.py", Outcome.CRASH, reason="it could not be started: a/b.py: Permission denied"),
            "a/b.py is no program: -- python a/b.py runs it, as the file does before --",
        ),
        (module("pkg_resources"), "--with 'setuptools<81' brings the module pkg_resources"),
        (
            module("mine"),
            "the module mine may be yours: --pythonpath FOLDER finds it; "
            "else --with takes the distribution that brings it",
        ),
        (TestRow("t", Outcome.ERROR, reason="fixture 'mocker' not found"), "--with pytest-mock brings mocker"),
        (
            TestRow(
                "t", Outcome.ERROR, ExceptionFact("Failed", "'asyncio' not found in `markers` configuration option")
            ),
            "--with pytest-asyncio brings asyncio",
        ),
        (
            TestRow("t", Outcome.ERROR, reason="pytest could not begin: unrecognized arguments: --cov=mine -q"),
            "--with pytest-cov brings --cov",
        ),
        (
            TestRow("t", Outcome.ERROR, reason="pytest could not begin: unrecognized arguments: -n"),
            "--with pytest-xdist brings -n",
        ),
        (
            TestRow("t", Outcome.FAIL, ExceptionFact("Failed", "async def functions are not natively supported.\nYou")),
            "--with pytest-asyncio runs async tests",
        ),
    ],
)
def test_what_is_lacking_is_named_with_the_option_that_gives_it(row: TestRow, sentence: str) -> None:
    assert told(row, row) == (sentence,)


@pytest.mark.parametrize(
    "row",
    [
        module("toy.inner"),
        TestRow("t", Outcome.PASS, reason="fixture 'mocker' not found"),
        TestRow("t", Outcome.ERROR, reason="fixture 'my_own' not found"),
        TestRow("t", Outcome.FAIL, ExceptionFact("ValueError", "No module named 'yaml'")),
    ],
)
def test_nothing_is_guessed(row: TestRow) -> None:
    assert told(row) == ()


def test_no_more_than_a_few_are_told() -> None:
    assert len(told(*(module(f"m{number}") for number in range(9)))) == 3
