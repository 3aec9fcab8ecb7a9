"""What the cells of a run say of a failure, of output that drifts, and of warnings that came true."""

from datetime import UTC, datetime, timedelta

import msgspec.structs
import pytest

from tf_tester.core.outcome.deprecations import fulfilled_deprecations
from tf_tester.core.outcome.failures import differences
from tf_tester.core.outcome.output_differences import differing_output, normalised
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.advice import advice
from tf_tester.core.verdict.verdicts import FailureFinding, findings
from tf_tester.model.cause import Explanation, Verdict
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.host.limits import Limit
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact

ERA, LATEST = Resolution.ERA, Resolution.LATEST
BROKEN = ExceptionFact("TypeError", "no such thing")


def cell(version: str, python: str = "3.10", resolution: Resolution = ERA) -> Cell:
    return Cell.of("toy", version, python, resolution)


def lock(**versions: str) -> Lock:
    pins = (
        Pin(name, version, f"{name}-{version}.whl", f"{name}{version}", 1, "") for name, version in versions.items()
    )
    return Lock("3.10.1", ERA, None, tuple(pins))


def row(outcome: Outcome, **facts: object) -> TestRow:
    exception = None if outcome is Outcome.PASS else BROKEN
    return msgspec.structs.replace(TestRow("t.py", outcome, exception=exception), **facts)


def report(rows: dict[Cell, TestRow], locks: dict[Cell, Lock] | None = None) -> RunReport:
    return RunReport(
        cells=tuple(rows),
        results={one.name: CellResult(one.name, row.outcome, tests=(row,)) for one, row in rows.items()},
        locks={one.name: lock for one, lock in (locks or {}).items()},
    )


PASS, FAIL = row(Outcome.PASS), row(Outcome.FAIL)


def found_of(of: RunReport) -> FailureFinding:
    [found] = findings(differences(of)[0], of)
    return found


def verdict(of: RunReport) -> tuple[Verdict, str]:
    found = found_of(of)
    return found.verdict, found.span


def evidence_of(of: RunReport) -> str:
    return found_of(of).evidence


def test_the_same_cell_with_other_dependencies_is_a_dependency() -> None:
    assert verdict(report({cell("1"): PASS, cell("1", resolution=LATEST): FAIL}))[0] is Verdict.DEPENDENCY


def test_another_version_beside_the_same_files_is_the_framework() -> None:
    old, new = cell("1"), cell("2")
    beside = {old: lock(toy="1", gear="3"), new: lock(toy="2", gear="3")}
    assert verdict(report({old: PASS, new: FAIL}, beside))[0] is Verdict.FRAMEWORK
    beside[new] = lock(toy="2", gear="4")
    assert verdict(report({old: PASS, new: FAIL}, beside))[0] is Verdict.UNKNOWN
    assert verdict(report({old: PASS, new: FAIL}))[0] is Verdict.UNKNOWN, (
        "without locks nothing is known to be the same"
    )


def test_another_python_beside_the_same_versions_is_python() -> None:
    old, new = cell("1"), cell("1", "3.12")
    beside = {old: lock(toy="1", gear="3"), new: lock(toy="1", gear="3")}
    assert verdict(report({old: PASS, new: FAIL}, beside))[0] is Verdict.PYTHON
    beside[new] = lock(toy="1", gear="4")
    assert verdict(report({old: PASS, new: FAIL}, beside))[0] is Verdict.UNKNOWN


SITE = "/env/lib/python3.10/site-packages"
USER, TOY, GEAR, AXLE = "/home/me/t.py", f"{SITE}/toy/x.py", f"{SITE}/gear/y.py", f"{SITE}/axle.py"
OWNERS = {"toy": "toy", "gear": "gear", "axle": "axle"}


def raised(message: str, *files: str, function: str = "f", type: str = "TypeError") -> TestRow:
    frames = "".join(f'  File "{file}", line 1, in {function}\n    work()\n' for file in files)
    traceback = f"Traceback (most recent call last):\n{frames}{type}: {message}\n"
    return row(Outcome.FAIL, exception=ExceptionFact(type, message, files[-1]), traceback=traceback)


def compared(failing: TestRow, *locks: tuple[str, dict[str, str]], pythons: str = "") -> tuple[Verdict, str]:
    """The finding for a failure in the cells marked F, of versions 1, 2, … of toy; those marked P pass."""
    cells = [cell(str(n), pythons[n - 1 : n] or "3.10") for n in range(1, len(locks) + 1)]
    rows = [PASS if mark == "P" else failing for mark, _ in locks]
    beside = {one: lock(toy=one.version, **pins) for one, (_, pins) in zip(cells, locks, strict=True)}
    of = report(dict(zip(cells, rows, strict=True)), beside)
    results = {name: msgspec.structs.replace(result, owners=OWNERS) for name, result in of.results.items()}
    found = found_of(msgspec.structs.replace(of, results=results))
    return found.verdict, found.evidence


LOST = "module 'gear' has no attribute 'spin'"
BOTH = (("P", {"gear": "1", "axle": "1"}), ("F", {"gear": "2", "axle": "2"}))


@pytest.mark.parametrize(
    ("failing", "locks", "expected"),
    [
        # The test, the same everywhere, asks for a name that only other versions of gear have.
        (raised(LOST, USER, type="AttributeError"), BOTH, "dependency, gear 1 → 2: the error says that gear lacks it"),
        (
            raised("`x` was removed", USER, f"{SITE}/gear/__init__.py", type="AttributeError", function="__getattr__"),
            BOTH,
            "dependency, gear 1 → 2",
        ),
        # A table's column, say, that another distribution no longer makes.
        (
            raised("no 'spin'", USER, GEAR, type="AttributeError", function="__getattr__"),
            BOTH,
            "unknown, perhaps gear 1 → 2",
        ),
        (raised("cannot import name 'spin' from 'gear' (/x)", USER), BOTH, "dependency, gear 1 → 2"),
        (raised("No module named 'toy.old'", USER), BOTH, "framework, toy 1 → 2"),
        # It has gone with all that came with it.
        (
            raised("No module named 'yaml'", USER),
            (("P", {"pyyaml": "5", "gear": "1"}), ("F", {"gear": "2"})),
            "dependency, pyyaml 5 (gone)",
        ),
        # What asks for it has changed, too: it may be the one that is wrong.
        (raised(LOST, USER, TOY, type="AttributeError"), BOTH, "unknown, perhaps gear 1 → 2: the error says that gear"),
        (raised(LOST, USER, AXLE, type="AttributeError"), BOTH, "unknown, perhaps gear 1 → 2"),
        (
            raised(LOST, USER, AXLE, type="AttributeError"),
            (("P", {"gear": "1", "axle": "1"}), ("F", {"gear": "2", "axle": "1"})),
            "dependency, gear 1 → 2: the error says that gear lacks it, asked for by what hasn't changed",
        ),
        # gear raises it, and it alone has one border between what passes and what fails.
        (
            raised("no", USER, TOY, GEAR),
            (("P", {"gear": "1"}), ("F", {"gear": "2"}), ("P", {"gear": "1"})),
            "dependency, gear 1 → 2: the traceback ends in gear",
        ),
        (
            raised("no", USER, TOY),
            (("P", {"gear": "1"}), ("F", {"gear": "2"}), ("P", {"gear": "1"})),
            "unknown, likely gear 1 → 2",
        ),
        (raised("no", USER, GEAR), BOTH, "unknown, perhaps gear 1 → 2: the traceback ends in gear; 2 others changed"),
        (raised("no", USER), BOTH, "unknown, those that pass differ in dependencies, too: --why tells"),
        # Python calls it toy's, and it may be gear's.
        (raised("module 'toy.gear' has no attribute 'spin'", USER), BOTH, "unknown, perhaps toy 1 → 2"),
        (raised(f"cannot import name 'x' from 'toy.a' ({GEAR})", USER), BOTH, "dependency, gear 1 → 2"),
        (
            raised("no", USER, GEAR),
            (("F", {"gear": "2"}),),
            "unknown, it passes nowhere in this run; the traceback ends in gear 2",
        ),
        # A file of the user's stands before it.
        (raised("cannot import name 'x' from partially initialized module 'gear' (/x)", USER), BOTH, "unknown, those"),
        # No border: a version in the middle passes.
        (
            raised(LOST, USER, type="AttributeError"),
            (("P", {"gear": "1"}), ("F", {"gear": "2"}), ("P", {"gear": "3"}), ("F", {"gear": "4"})),
            "unknown, those that pass",
        ),
    ],
)
def test_the_distribution_that_a_failure_points_into_is_blamed_where_nothing_else_can_have_done_it(
    failing: TestRow, locks: tuple[tuple[str, dict[str, str]], ...], expected: str
) -> None:
    verdict, evidence = compared(failing, *locks)
    assert f"{verdict}, {evidence}".startswith(expected)


def test_a_file_that_can_be_collected_in_one_cell_alone_passes_there_by_its_tests() -> None:
    cells = [cell(version) for version in ("1", "2")]
    of = report({cells[0]: PASS, cells[1]: FAIL}, {one: lock(toy=one.version, gear="3") for one in cells})
    tests = (TestRow("t.py::one", Outcome.PASS), TestRow("t.py::two", Outcome.PASS))
    results = {**of.results, cells[0].name: CellResult(cells[0].name, Outcome.PASS, tests=tests)}
    assert verdict(msgspec.structs.replace(of, results=results))[0] is Verdict.FRAMEWORK


def test_where_the_python_changed_with_it_the_error_alone_is_not_enough() -> None:
    assert compared(raised(LOST, USER, type="AttributeError"), *BOTH, pythons="89")[0] is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        (raised("No module named 'imp'", USER), Verdict.PYTHON),
        (
            raised(
                "cannot import name 'Mapping' from 'collections' (/usr/lib/python3.10/collections/__init__.py)", USER
            ),
            Verdict.PYTHON,
        ),
        (raised("No module named 'imp'", USER, GEAR), Verdict.UNKNOWN),
        (raised("No module named 'yaml'", USER), Verdict.UNKNOWN),
    ],
)
def test_a_module_that_another_python_has_is_the_pythons(failing: TestRow, expected: Verdict) -> None:
    assert compared(failing, *BOTH, pythons="89")[0] is expected
    assert compared(failing, *BOTH)[0] is not Verdict.PYTHON


def test_of_a_dependency_the_change_that_the_traceback_ends_in_is_told() -> None:
    old, new = cell("1"), cell("1", resolution=LATEST)
    locks = {old: lock(toy="1", gear="1", axle="1"), new: lock(toy="1", gear="2", axle="2")}
    of = report({old: PASS, new: raised("no", USER, TOY, GEAR)}, locks)
    results = {name: msgspec.structs.replace(result, owners=OWNERS) for name, result in of.results.items()}
    found = found_of(msgspec.structs.replace(of, results=results))
    assert found.verdict is Verdict.DEPENDENCY
    assert found.evidence.endswith("; the traceback ends in gear: gear 1 → 2")


def test_what_experiments_could_not_tell_the_error_still_tells() -> None:
    old, new = cell("1"), cell("2")
    locks = {old: lock(toy="1", gear="1"), new: lock(toy="2", gear="2")}
    of = report({old: PASS, new: raised("No module named 'toy.old'", USER)}, locks)
    results = {name: msgspec.structs.replace(result, owners=OWNERS) for name, result in of.results.items()}
    unclear = Explanation(new, old, Verdict.UNKNOWN, 2, (), False, 4, test="t.py", remarks=("both fail",))
    of = msgspec.structs.replace(of, results=results, explanations=(unclear,))
    found = found_of(of)
    assert (found.verdict, found.explanation) == (Verdict.FRAMEWORK, unclear)


@pytest.mark.parametrize(
    "exception",
    [
        ExceptionFact("ImportError", "libcudart.so.11.0: cannot open shared object file: No such file or directory"),
        ExceptionFact("ImportError", "/lib/libc.so.6: version `GLIBC_2.34' not found (required by x.so)"),
        ExceptionFact("OSError", "[Errno 28] No space left on device"),
    ],
)
def test_what_the_machine_lacks_is_the_environment(exception: ExceptionFact) -> None:
    assert verdict(report({cell("1"): row(Outcome.FAIL, exception=exception)}))[0] is Verdict.ENVIRONMENT
    assert verdict(report({cell("1"): row(Outcome.OOM, exception=None)}))[0] is Verdict.ENVIRONMENT


LIBCUDART = "libcudart.so.11.0: cannot open shared object file: No such file or directory"
TENSORFLOW_SAYS = (
    "2026-11-30 14:56:10.1: W tensorflow/stream_executor/platform/default/dso_loader.cc:64] Could not load dynamic "
    f"library 'libcudart.so.11.0'; dlerror: {LIBCUDART}\n"
)


def chain(first: str, source: str = "work()", link: str = "During handling of the above exception, another") -> str:
    """A traceback of two exceptions."""
    frame = f'Traceback (most recent call last):\n  File "t.py", line 3, in work\n    {source}\n'
    links = {"During": " exception occurred:", "The ab": ""}
    return f"{frame}{first}\n\n{link}{links[link[:6]]}\n\n{frame}TypeError: no such thing\n"


CAUSE = "The above exception was the direct cause of the following exception:"
ASSERTION = ExceptionFact("AssertionError", "")


@pytest.mark.parametrize(
    ("outcome", "facts", "expected"),
    [
        # TensorFlow prints it at each import, and goes on.
        (Outcome.FAIL, {"exception": ASSERTION, "stderr": TENSORFLOW_SAYS}, Verdict.UNKNOWN),
        (Outcome.FAIL, {"stderr": TENSORFLOW_SAYS + LIBCUDART}, Verdict.UNKNOWN),
        (Outcome.CRASH, {"exception": None, "reason": "killed by SIGABRT", "stderr": TENSORFLOW_SAYS}, Verdict.UNKNOWN),
        (Outcome.CRASH, {"exception": None, "reason": "killed by SIGSEGV", "stderr": LIBCUDART}, Verdict.UNKNOWN),
        (Outcome.CRASH, {"exception": None, "reason": "killed by SIGILL", "stderr": ""}, Verdict.ENVIRONMENT),
        (
            Outcome.CRASH,
            {"exception": None, "reason": "killed by SIGABRT", "stderr": f"what(): {LIBCUDART}\nAborted"},
            Verdict.ENVIRONMENT,
        ),
        # A command, and a script that leaves by itself, have said why before.
        (Outcome.FAIL, {"exception": None, "exit_code": 127, "stderr": f"python: {LIBCUDART}"}, Verdict.ENVIRONMENT),
        (
            Outcome.FAIL,
            {"exception": ExceptionFact("SystemExit", "1"), "stderr": f"no GPU: {LIBCUDART}"},
            Verdict.ENVIRONMENT,
        ),
        # What led to the last exception counts, but not what an assertion interrupted.
        (Outcome.FAIL, {"traceback": chain(f"ImportError: {LIBCUDART}")}, Verdict.ENVIRONMENT),
        (Outcome.FAIL, {"exception": ASSERTION, "traceback": chain(f"ImportError: {LIBCUDART}")}, Verdict.UNKNOWN),
        (
            Outcome.FAIL,
            {"exception": ASSERTION, "traceback": chain(f"ImportError: {LIBCUDART}", link=CAUSE)},
            Verdict.ENVIRONMENT,
        ),
        (Outcome.FAIL, {"traceback": chain("KeyError: 1", f"raise ImportError('{LIBCUDART}')")}, Verdict.UNKNOWN),
        (
            Outcome.FAIL,
            {"exception": ExceptionFact("ImportError", f"Traceback (most recent call last):\n {LIBCUDART}\nFailed")},
            Verdict.ENVIRONMENT,
        ),
        # pytest-xdist has carried it here as text.
        (
            Outcome.FAIL,
            {"exception": None, "traceback": f"E   OSError: x\n--- Captured stderr ---\n{LIBCUDART}"},
            Verdict.UNKNOWN,
        ),
        (Outcome.FAIL, {"exception": None, "traceback": f"E   ImportError: {LIBCUDART}"}, Verdict.ENVIRONMENT),
    ],
)
def test_only_what_made_it_fail_is_the_environment(
    outcome: Outcome, facts: dict[str, object], expected: Verdict
) -> None:
    assert verdict(report({cell("1"): row(outcome, **facts)}))[0] is expected


NO_NAME = ExceptionFact("gaierror", "[Errno -3] Temporary failure in name resolution")
READ_ONLY = ExceptionFact("OSError", "[Errno 30] Read-only file system: '/data/cache'")


@pytest.mark.parametrize(
    ("facts", "isolation", "network", "expected"),
    [
        ({"exception": NO_NAME}, "namespace", False, Verdict.SANDBOX),
        ({"exception": NO_NAME}, "landlock", False, Verdict.SANDBOX),
        ({"exception": NO_NAME}, "namespace", True, Verdict.UNKNOWN),
        ({"exception": NO_NAME}, "none", True, Verdict.UNKNOWN),
        ({"traceback": chain("OSError: [Errno 101] Network is unreachable")}, "namespace", False, Verdict.SANDBOX),
        ({"traceback": chain("OSError: x", 'say("Network is unreachable")')}, "namespace", False, Verdict.UNKNOWN),
        ({"stderr": "tried to report: Network is unreachable"}, "namespace", False, Verdict.UNKNOWN),
        ({"exception": READ_ONLY}, "namespace", False, Verdict.SANDBOX),
        ({"exception": READ_ONLY}, "none", True, Verdict.UNKNOWN),
        ({"limit": Limit.PROCESSES}, "none", True, Verdict.SANDBOX),
        ({"limit": Limit.MEMORY}, "namespace", False, Verdict.UNKNOWN),
    ],
)
def test_what_the_sandbox_keeps_from_a_test_is_the_sandbox(
    facts: dict[str, object], isolation: str, network: bool, expected: Verdict
) -> None:
    plain = report({cell("1"): row(Outcome.FAIL, **facts)})
    told = msgspec.structs.replace(plain, request={"isolation": isolation, "network": network})
    assert verdict(told)[0] is expected


def test_what_a_test_lacks_everywhere_is_told_instead_of_what_more_cells_would() -> None:
    unset = row(Outcome.FAIL, exception=ExceptionFact("KeyError", "'KEY'", "<frozen os>", 714, "__getitem__"))
    found = report({cell("1.0"): unset, cell("2.0"): unset})
    told = found_of(found)
    assert told.evidence.startswith("it passes nowhere in this run: --env KEY=VALUE sets the variable KEY")
    assert told.enough


@pytest.mark.parametrize(
    ("command", "evidence", "advised"),
    [
        (
            "test",
            ": a version beside it (--versions) with which it passes, or --why, would tell",
            "the same command with",
        ),
        ("bisect", ": a version with which it passes, or `tf-tester test --why`, would tell", "`tf-tester test --why`"),
        ("blame", ": other dependencies with which it passes, or a lock (--good), would tell", ""),
    ],
)
def test_each_command_is_told_what_it_can_do(command: str, evidence: str, advised: str) -> None:
    found = msgspec.structs.replace(report({cell("1.0"): FAIL, cell("2.0"): FAIL}), request={"command": command})
    assert evidence_of(found) == "it passes nowhere in this run" + evidence
    why = [one.purpose for one in advice(found) if "--why" in one.purpose]
    assert len(why) == bool(advised)
    assert all(one.startswith(advised) for one in why)


@pytest.mark.parametrize(
    ("command", "evidence"), [("test", "--why"), ("bisect", "`tf-tester test --why`"), ("blame", "")]
)
def test_where_dependencies_differ_too_each_command_is_told_what_tells(command: str, evidence: str) -> None:
    found = report({cell("1.0"): FAIL, cell("2.0", "3.11"): PASS})
    said = evidence_of(msgspec.structs.replace(found, request={"command": command}))
    assert said == "those that pass differ in dependencies, too" + (f": {evidence} tells" if evidence else "")


def test_the_shell_that_is_advised_opens_the_cells_own_environment() -> None:
    of_a_lock = report({cell("1.0", resolution=Resolution.LOCK): FAIL})
    assert not [one for one in advice(of_a_lock) if one.command]
    pinned = report({cell("1.0").beside([CellRequirement("numpy", "1.24.0")]): FAIL})
    commands = [one.command for one in advice(pinned) if one.command]
    assert commands == ["tf-tester shell 1.0 --package toy --with numpy==1.24.0"]
    era = datetime(2022, 1, 1, tzinfo=UTC)
    pin = Pin("numpy", "1.24.0", "numpy.whl", "0" * 64, None, "", upload_time=era + timedelta(days=300))
    lock = Lock("3.10.1", Resolution.ERA, era, (pin,))
    newer = msgspec.structs.replace(pinned, locks={one.name: lock for one in pinned.cells})
    assert not [one for one in advice(newer) if one.command], "what is asked for by --with is of the era"


def test_what_pytest_refused_is_nobodys_fault_but_the_requests() -> None:
    reason = "pytest could not begin: not found: /home/me/test_a.py::test_x: cannot open shared object file"
    refused = row(Outcome.ERROR, exception=None, reason=reason, could_not_begin=True)
    assert evidence_of(report({cell("1.0"): refused, cell("2.0"): refused})) == "pytest refused what it was given"


def test_where_nothing_was_tested_no_other_cell_tells_why() -> None:
    empty = report({cell("1"): row(Outcome.EMPTY, exception=None), cell("1", resolution=LATEST): PASS})
    assert differences(empty) == ((), 0)
    assert not [one for one in advice(empty) if "--why" in one.purpose]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("FFF", "with every version that ran"),
        ("PFF", "from 2 on; not with 1"),
        ("FFP", "up to 2; not with 3"),
        ("PFP", "2 only; not with 1 and 3"),
        ("PFFP", "2 to 3; not with 1 and 4"),
        ("FPF", ""),
        ("F", ""),
    ],
)
def test_where_a_failure_begins_and_ends(line: str, told: str) -> None:
    rows = {cell(str(number)): PASS if letter == "P" else FAIL for number, letter in enumerate(line, 1)}
    assert verdict(report(rows))[1] == told


def test_the_nearest_cell_that_passes_is_the_witness() -> None:
    cells = [cell(version) for version in ("1", "2", "3")]
    beside = {one: lock(toy=one.version, gear="3") for one in cells}
    of = report(dict(zip(cells, (PASS, PASS, FAIL), strict=True)), beside)
    assert found_of(of).evidence.startswith("2 py3.10 passes")


def test_a_full_stop_is_no_other_failure() -> None:
    rows = {
        cell("1"): row(Outcome.FAIL, exception=ExceptionFact("AttributeError", "no attribute 'object'")),
        cell("2"): row(Outcome.FAIL, exception=ExceptionFact("AttributeError", "no attribute 'object'.\nUse object.")),
    }
    assert len(differences(report(rows))[0]) == 1


# -- output


def printed(*outputs: str) -> RunReport:
    return report({cell(f"{n}.0.0"): row(Outcome.PASS, stdout=text) for n, text in enumerate(outputs, 1)})


def test_one_that_says_something_else_is_found() -> None:
    [differing] = differing_output(
        printed("start\n✅ 1.0.0 in 0.3 s\n", "start\n✅ 2.0.0 in 12 s\n", "start\n❌ 3.0.0: KeyError\n")
    )
    assert [one.version for one in differing.cells] == ["3.0.0"]
    assert (differing.line, differing.usual) == ("❌ 3.0.0: KeyError", "✅ 1.0.0 in 0.3 s")


def test_where_no_two_say_the_same_each_is_compared_with_the_one_before() -> None:
    found = differing_output(printed("❌ KeyError\n", "✅\n", "❌ NameError\n"))
    assert [(one.cells[0].version, one.others[0].version, one.line) for one in found] == [
        ("2.0.0", "1.0.0", "✅"),
        ("3.0.0", "2.0.0", "❌ NameError"),
    ]


def test_a_line_that_is_missing_or_more_is_told() -> None:
    [differing] = differing_output(printed("a\nb\n", "a\nb\n", "a\n"))
    assert (differing.line, differing.usual) == ("", "b")
    [differing] = differing_output(printed("a\n", "a\n", "a\nc\n"))
    assert (differing.line, differing.usual) == ("c", "")


def test_only_what_passes_is_compared() -> None:
    rows = {cell("1"): row(Outcome.PASS, stdout="a"), cell("2"): row(Outcome.FAIL, stdout="b")}
    assert differing_output(report(rows)) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 0.25 s, 3 of 4", "took 12.5 s, 4 of 4"),
        ("loss: -0.5 [1. 2.5]", "loss: 0.25 [-1.5 2]"),
        ("nan", "1.0"),
        ("object at 0x7f12ab", "object at 0x55aa01"),
        ("/tmp/a1b2/model", "/var/tmp/zz/model"),
        ("2.8.0 of 2026-11-27 10:00:01", "2.12.1 of 2025-01-02 23:59:59"),
        ("{'b', 'a'}", "{'a', 'b'}"),
        ("\x1b[32mok\x1b[0m", "ok"),
    ],
)
def test_what_varies_from_run_to_run_is_no_difference(one: str, other: str) -> None:
    assert differing_output(printed(one, other)) == ()


def test_words_are_a_difference() -> None:
    assert normalised("✅ saved") != normalised("❌ saved")
    assert normalised("{'a', 'b'}") != normalised("{'a', 'c'}")


# -- warnings that came true


def test_a_warning_that_came_true_is_told_with_the_version() -> None:
    warning = WarningFact("DeprecationWarning", "`np.object` is a deprecated alias for `object`.\nMore.", count=2)
    gone = ExceptionFact("AttributeError", "module 'numpy' has no attribute 'object'")
    rows = {
        cell("1.19"): PASS,
        cell("1.22"): row(Outcome.PASS, warnings=(warning,)),
        cell("1.24"): row(Outcome.FAIL, exception=gone),
        cell("1.26"): row(Outcome.FAIL, exception=gone),
    }
    [found] = fulfilled_deprecations(report(rows))
    assert found.name == "object"
    assert [one.version for one in found.warning_cells] == ["1.22"]
    assert found.breaks.version == "1.24"
    assert found.warning == "`np.object` is a deprecated alias for `object`."


@pytest.mark.parametrize(
    ("category", "message", "failure"),
    [
        ("UserWarning", "np.object", "module 'numpy' has no attribute 'object'"),
        ("DeprecationWarning", "np.objects are gone", "module 'numpy' has no attribute 'object'"),
        ("DeprecationWarning", "np.object", "something else"),
    ],
)
def test_a_warning_that_names_something_else_is_none(category: str, message: str, failure: str) -> None:
    rows = {
        cell("1"): row(Outcome.PASS, warnings=(WarningFact(category, message),)),
        cell("2"): row(Outcome.FAIL, exception=ExceptionFact("AttributeError", failure)),
    }
    assert fulfilled_deprecations(report(rows)) == ()


def test_a_warning_of_a_later_version_foretells_nothing() -> None:
    rows = {
        cell("1"): row(Outcome.FAIL, exception=ExceptionFact("AttributeError", "x has no attribute 'object'")),
        cell("2"): row(Outcome.PASS, warnings=(WarningFact("DeprecationWarning", "object"),)),
    }
    assert fulfilled_deprecations(report(rows)) == ()
