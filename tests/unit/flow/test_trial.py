"""What runs in a cell, what it sees, and what is read of it afterwards."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tf_tester.core.outcome.harness_events import (
    HarnessEvent,
    HarnessLog,
    InstalledDistribution,
    PackageImported,
    SessionCollected,
    SessionStarted,
)
from tf_tester.core.select.runner import Runner
from tf_tester.errors import UsageError
from tf_tester.flow.run import trial as of_a_trial
from tf_tester.flow.run.cell_world import (
    OwnPlaces,
    ScratchFolders,
    _mirror_folder,
    clean_environment,
    own_places,
    private_folders,
)
from tf_tester.flow.run.jobs import TrialJob, jobs_of, of_project, tools_of, with_last_failed, working_folder
from tf_tester.flow.run.trial import LIMIT, _identity_remarks, _may_go_on, _Refusals, _remarks_on, bounded
from tf_tester.flow.taken.collecting import WrittenFolder, collect
from tf_tester.flow.taken.reading import opened_safely
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.limits import Limits
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.model.request import ScratchPlace, Trial
from tf_tester.ports.environment import Environment

SCRIPT = "print('hello')\n"
TESTS = "def test_it(): pass\n"
CASES = "import unittest\nclass A(unittest.TestCase):\n    def test_it(self): pass\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {
        "a.py": SCRIPT,
        "b.py": SCRIPT,
        "test_a.py": TESTS,
        "test_b.py": TESTS,
        "test_c.py": CASES,
        "tests/test_d.py": CASES,
        "tests/deep/e_test.py": CASES,
        "mixed/test_f.py": CASES,
        "mixed/test_g.py": TESTS,
        "scripts/test_h.py": SCRIPT,
        "empty/data.csv": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def jobs(folder: Path, *names: str, runner: str = "auto") -> list[tuple[str, str]]:
    found = jobs_of(Trial(targets=tuple(folder / name for name in names), runner=runner))
    return [(str(job.runner), " ".join(str(path.relative_to(folder)) for path in job.targets)) for job in found]


# -- what runs


def test_a_folder_that_vanishes_while_tests_are_looked_for_costs_nothing(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.scandir

    def vanishing(path: Any = ".") -> Any:
        if str(path).endswith("vanished"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return look(path)

    (files / "gone/vanished").mkdir(parents=True)
    with monkeypatch.context() as patched, pytest.raises(UsageError, match="has no test files"):
        patched.setattr(os, "scandir", vanishing)
        jobs(files, "gone")


def test_scripts_run_one_by_one_and_tests_of_a_kind_together(files: Path) -> None:
    assert jobs(files, "a.py", "b.py", "test_a.py", "test_b.py", "test_c.py") == [
        ("script", "a.py"),
        ("script", "b.py"),
        ("pytest", "test_a.py test_b.py test_c.py"),
    ]


def test_the_order_that_was_given_is_kept(files: Path) -> None:
    assert jobs(files, "test_a.py", "a.py", "test_b.py") == [
        ("pytest", "test_a.py"),
        ("script", "a.py"),
        ("pytest", "test_b.py"),
    ]


@pytest.mark.parametrize("name", ["tests", "mixed", "scripts", ".", "test_a.py::test_it", "a.py::test_it"])
def test_folders_and_single_tests_are_for_pytest(files: Path, name: str) -> None:
    assert jobs(files, name) == [("pytest", name)]


def test_what_is_named_like_tests_may_be_a_script_all_the_same(files: Path) -> None:
    (files / "c.py").write_text("def test_it(): pass")
    targets = tuple(files / name for name in ("test_a.py", "tests", "c.py", "test_b.py::test_it", "test_b.py"))
    [job] = jobs_of(Trial(targets=targets))
    assert job.or_scripts == (files / "test_a.py", files / "test_b.py")
    [job] = jobs_of(Trial(targets=targets, runner="pytest"))
    assert job.or_scripts == ()


@pytest.mark.parametrize("arguments", [("-x",), ("-v",), ("--epochs", "3")])
def test_a_file_that_may_be_a_script_may_be_one_with_arguments(files: Path, arguments: tuple[str, ...]) -> None:
    [job] = jobs_of(Trial(targets=(files / "test_a.py",), arguments=arguments))
    assert job == TrialJob(Runner.PYTEST, (files / "test_a.py",), (files / "test_a.py",))


@pytest.mark.parametrize("runner", ["auto", "pytest"])
def test_a_test_that_the_file_does_not_have_is_refused_with_those_that_are_near(files: Path, runner: str) -> None:
    with pytest.raises(UsageError, match=r"test_a\.py has no test test_ti\.") as caught:
        jobs_of(Trial(targets=(files / "test_a.py::test_ti",), runner=runner))
    assert caught.value.hint == "Did you mean test_a.py::test_it?"
    (files / "pytest.ini").write_text("[pytest]\naddopts = --doctest-modules\n")
    assert jobs(files, "test_a.py::test_ti") == [("pytest", "test_a.py::test_ti")], "a doctest may be called so"


def test_what_only_tells_something_runs_no_tests(files: Path) -> None:
    with pytest.raises(UsageError, match="With --collect-only, pytest runs no tests"):
        jobs_of(Trial(targets=(files / "test_a.py",), arguments=("-q", "--collect-only")))


def test_arguments_for_pytest_mean_pytest(files: Path) -> None:
    [job] = jobs_of(Trial(targets=(files / "a.py",), arguments=("--doctest-modules",)))
    assert job == TrialJob(Runner.PYTEST, (files / "a.py",))
    [job] = jobs_of(Trial(targets=(files / "a.py",), arguments=("--epochs", "3")))
    assert job.runner is Runner.SCRIPT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\npython_files = a*.py"),
        ("setup.cfg", "[tool:pytest]\npython_files = a*.py"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = ['a*.py']"),
    ],
)
def test_a_projects_own_names_of_test_files_are_known(files: Path, name: str, text: str) -> None:
    (files / "deep").mkdir()
    (files / "deep/a.py").write_text(SCRIPT)
    (files / "deep/.git").mkdir()
    (files / name).write_text(text)
    assert jobs(files, "a.py", "test_a.py") == [("pytest", "a.py test_a.py")]
    assert jobs(files, "deep/a.py") == [("script", "deep/a.py")], "another repository"


def test_a_notebook_brings_ipython_where_it_needs_it(files: Path) -> None:
    (files / "a.ipynb").write_text('{"cells": [{"cell_type": "code", "source": ["x = 1"]}]}')
    (files / "b.ipynb").write_text('{"cells": [{"cell_type": "code", "source": ["!ls"]}]}')
    plain, magic = (jobs_of(Trial(targets=(files / name,))) for name in ("a.ipynb", "b.ipynb"))
    assert (plain[0].runner, tools_of(plain)) == (Runner.SCRIPT, ())
    assert (magic[0].runner, tools_of(magic)) == (Runner.SCRIPT, ("ipython",))


def test_a_runner_that_was_given_is_taken(files: Path) -> None:
    assert jobs(files, "test_a.py", "a.py", runner="script") == [("script", "test_a.py"), ("script", "a.py")]
    assert jobs(files, "a.py", "tests", runner="pytest") == [("pytest", "a.py tests")]


def test_a_command_needs_no_targets() -> None:
    assert jobs_of(Trial(command=("make", "check"))) == (TrialJob(Runner.COMMAND, ()),)


@pytest.mark.parametrize(
    ("names", "runner", "said", "hint"),
    [
        ([], "auto", "nothing to run", "a command after `--`"),
        (["test_aa.py"], "auto", "There is no file", "Did you mean test_a.py"),
        (["zzz"], "auto", "There is no file", "Check the name"),
        (["no/where.py"], "auto", "There is no file", "no folder"),
        (["empty"], "auto", "has no test files", "test_*.py"),
        (["empty"], "unittest", "has no test files", "test_*.py"),
        (["tests"], "script", "is a folder, not a script", "--runner pytest"),
    ],
)
def test_what_cannot_be_run_is_told(files: Path, names: list[str], runner: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        jobs(files, *names, runner=runner)
    assert hint in caught.value.hint


def test_a_file_in_an_old_encoding_is_read(files: Path) -> None:
    (files / "old.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'\ndef test_it(): pass\n")
    (files / "wrong.py").write_bytes(b"name = '\xe9'\ndef test_it(): pass\n")
    assert [kind for kind, _ in jobs(files, "old.py", "wrong.py")] == ["pytest"]


def test_only_pytest_has_to_be_brought() -> None:
    assert tools_of([TrialJob(Runner.SCRIPT, ()), TrialJob(Runner.PYTEST, ())]) == ("pytest",)
    assert tools_of([TrialJob(Runner.SCRIPT, ()), TrialJob(Runner.UNITTEST, ()), TrialJob(Runner.COMMAND, ())]) == ()


# -- what it sees


ENVIRONMENT = Environment(Path("/env"), Path("/env/bin/python"), Path("/env/bin"))


def seen(environ: dict[str, str], trial: Trial | None = None) -> dict[str, str]:
    return clean_environment(
        trial or Trial(), ENVIRONMENT, OwnPlaces(Path("/home"), Path("/tmp1"), Path("/home")), "me", environ
    )


def test_nothing_of_the_callers_variables_but_what_is_listed() -> None:
    env = seen(
        {"AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/mine", "PATH": "/mine", "HOME": "/me", "TZ": "Asia/Tokyo"}
    )
    assert "AWS_SECRET_ACCESS_KEY" not in env
    assert "PYTHONPATH" not in env
    assert (env["TZ"], env["HOME"], env["TMPDIR"], env["VIRTUAL_ENV"]) == ("Asia/Tokyo", "/home", "/tmp1", "/env")
    assert (env["USER"], env["LOGNAME"]) == ("me", "me")
    assert env["PATH"].split(os.pathsep)[0] == "/env/bin"
    assert "/mine" not in env["PATH"]


@pytest.mark.parametrize(
    ("home", "seen_at"),
    [
        ("/home/somebody", "/home/somebody"),
        ("/root/", "/root"),
        ("/tmp/build/home", "/tmp/build/home"),
        ("", "/home/me"),
        ("/", "/home/me"),
        ("relative", "/home/me"),
        ("/tmp", "/home/me"),
        ("/usr/share/service", "/home/me"),
    ],
)
def test_a_home_is_seen_where_the_users_is_unless_that_is_no_place_for_one(home: str, seen_at: str) -> None:
    with own_places(ScratchFolders(Path("/s"), in_memory=False, user="me"), {"HOME": home}, (), moves=True) as places:
        assert (places.home, places.temporary) == (Path(seen_at), Path("/tmp"))
        assert [(str(one.folder), str(one.seen_at)) for one in places.moved] == [
            ("/s/root/home/me", seen_at),
            ("/s/root/tmp", "/tmp"),
            ("/s/root/var-tmp", "/var/tmp"),
        ]


def test_a_temporary_folder_with_a_long_path_has_a_short_one_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    scratch = ScratchFolders(tmp_path / ("long" * 20), in_memory=False)
    scratch.make()
    with own_places(scratch, {}, (), moves=False) as places:
        assert len(str(places.temporary)) < 20
        assert places.temporary.resolve() == scratch.temporary
        assert places.home == scratch.home
    assert not os.path.lexists(places.temporary)


def test_data_in_a_home_is_linked_from_a_home_elsewhere(tmp_path: Path) -> None:
    mine = tmp_path / "home/me"
    for name in (".keras/datasets", ".cache/hub"):
        (mine / name).mkdir(parents=True)
    scratch = ScratchFolders(tmp_path / "s", in_memory=False, user="me")
    scratch.make()
    data = (mine / ".keras/datasets", mine / ".keras", mine / ".cache/hub", Path("/data"), mine)
    with own_places(scratch, {"HOME": str(mine)}, data, moves=False) as places:
        links = {str(path.relative_to(places.home)) for path in places.home.rglob("*") if path.is_symlink()}
        assert links == {".keras", ".cache/hub"}
        assert (places.home / ".keras").readlink() == mine / ".keras"
    assert {path.name for path in mine.iterdir()} == {".keras", ".cache"}


def test_its_language_is_utf_8_unless_the_caller_has_one() -> None:
    assert seen({})["LANG"] == "C.UTF-8"
    assert seen({"LANG": "zh_CN.UTF-8"})["LANG"] == "zh_CN.UTF-8"


def test_it_leaves_no_bytecode_and_its_sets_have_one_order() -> None:
    env = seen({})
    assert (env["PYTHONDONTWRITEBYTECODE"], env["PYTHONNOUSERSITE"], env["PYTHONHASHSEED"]) == ("1", "1", "0")


def test_what_the_user_gives_has_the_last_word() -> None:
    trial = Trial(env=(("HOME", "/other"), ("TOKEN", "mine")), pythonpath=(Path("/a"), Path("/b")))
    env = seen({"TOKEN": "not this"}, trial)
    assert (env["HOME"], env["TOKEN"], env["PYTHONPATH"]) == ("/other", "mine", f"/a{os.pathsep}/b")


def test_relative_paths_work_and_new_files_stay_private(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "data").mkdir(parents=True)
    (source / "data/x.txt").write_text("x")
    (source / "y.txt").write_text("y")
    (source / "hidden").mkdir()
    (source / "broken").symlink_to("nowhere")
    target.mkdir()
    _mirror_folder(source, target, {source / "hidden"})
    assert (target / "data/x.txt").read_text() == "x"
    (target / "new").write_text("")
    (target / "y.txt").unlink()
    assert {entry.name for entry in source.iterdir()} == {"data", "y.txt", "broken", "hidden"}
    assert not os.path.lexists(target / "hidden")


def test_what_lies_in_a_shown_folder_is_shown_with_it_unless_something_between_them_is_hidden(tmp_path: Path) -> None:
    project, tests, tool = tmp_path / "project", tmp_path / "project/tests", tmp_path / "project/venv/lib/tool"
    other = tmp_path / "other"
    for folder in (tests, tool, other):
        folder.mkdir(parents=True)
    (project / "file.py").touch()
    found = private_folders([tests, project, tool, other, project / "file.py"], [project / "venv"])
    assert sorted(found) == sorted([project, tool, other])


def test_a_job_works_in_its_root_folder_where_the_request_was_made_outside_of_that(tmp_path: Path) -> None:
    tests = tmp_path / "own/tests"
    tests.mkdir(parents=True)
    (tmp_path / "own/setup.py").touch()
    (tests / "test_it.py").write_text(TESTS)
    job = TrialJob(Runner.PYTEST, (tests / "test_it.py",))

    def place(cwd: Path, runner: Runner = Runner.PYTEST) -> Path:
        return working_folder(Trial(cwd=cwd), replace(job, runner=runner))

    assert place(tmp_path) == tmp_path / "own"
    assert place(tmp_path / "own/examples") == tmp_path / "own"
    assert place(tests) == tests
    assert place(tmp_path, Runner.SCRIPT) == tmp_path


def test_without_a_target_it_is_the_project_in_the_folder(tmp_path: Path) -> None:
    assert of_project(Trial(cwd=tmp_path)).targets == ()
    (tmp_path / "setup.cfg").touch()
    found = of_project(Trial(cwd=tmp_path))
    assert (found.targets, found.as_set) == ((tmp_path,), True)
    assert of_project(Trial(cwd=tmp_path, command=("true",))).targets == ()


def test_a_folder_that_is_gone_is_mirrored_by_nothing(tmp_path: Path) -> None:
    _mirror_folder(tmp_path / "gone", tmp_path, ())
    assert list(tmp_path.iterdir()) == []


# -- what is read of it


def test_what_matches_is_collected_and_no_link_is_followed(tmp_path: Path) -> None:
    written, evidence = tmp_path / "written", tmp_path / "evidence"
    (written / "out").mkdir(parents=True)
    (tmp_path / "secret.xml").write_text("secret")
    for name in ("coverage.xml", "out/model.bin", "out/other.txt"):
        (written / name).write_text(name)
    (written / "link.xml").symlink_to(tmp_path / "secret.xml")
    (written / "folder").symlink_to(tmp_path)
    os.link(tmp_path / "secret.xml", written / "hard.xml")
    os.mkfifo(written / "pipe.xml")
    [told] = collect(("*.xml", "out/*.bin"), [WrittenFolder(written, "")], evidence)
    found = {str(path.relative_to(evidence)) for path in evidence.rglob("*") if path.is_file()}
    assert found == {"collected/coverage.xml", "collected/out/model.bin"}
    assert told.startswith("2 files (25 B) collected into")
    assert collect(("*.nothing",), [WrittenFolder(written, "")], evidence) == (
        "--collect *.nothing: no such file was written",
    )
    assert "2 left out" in collect(("*.xml", "out/*.bin"), [WrittenFolder(written, "")], evidence)[0]


def test_what_failed_last_is_asked_for_as_in_pytest(files: Path) -> None:
    trial = Trial(targets=(files / "test_a.py",), arguments=("-q", "--lf"))
    assert with_last_failed(trial, asked=False) == replace(trial, arguments=("-q",), last_failed=True)
    assert not with_last_failed(replace(trial, arguments=("-q",)), asked=False).last_failed
    with pytest.raises(UsageError, match="has no tests"):
        with_last_failed(Trial(command=("true",)), asked=True)


def test_short_output_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before|caf\xc3\xa9 \xff")
    assert bounded(tmp_path / "out") == "before|café \ufffd"
    assert bounded(tmp_path / "out", 7) == "café \ufffd"
    assert bounded(tmp_path / "out", 700) == ""
    assert bounded(tmp_path / "none") == ""


def test_long_output_keeps_its_head_and_tail(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"skip" + b"a" * LIMIT + b"b" * LIMIT)
    text = bounded(tmp_path / "out", 4)
    assert text.startswith("aaa")
    assert text.endswith("bbb")
    assert f"\n[… {LIMIT} bytes left out …]\n" in text
    assert len(text) < LIMIT + 50
    (tmp_path / "out").write_bytes(b"c" * LIMIT)
    assert bounded(tmp_path / "out") == "c" * LIMIT


def test_lines_that_are_no_events_are_told() -> None:
    assert _remarks_on(HarnessLog(dropped=0)) == ()
    assert _remarks_on(HarnessLog(dropped=1))[0].startswith("1 line was left out of what the harness told")
    assert _remarks_on(HarnessLog(dropped=7_654))[0].startswith("7,654 lines were left out of what the harness told")


def test_what_a_test_may_have_made_is_read_only_where_it_is_a_file_of_its_own(tmp_path: Path) -> None:
    def read(path: Path) -> bytes | None:
        with opened_safely(path) as stream:
            return None if stream is None else stream.read()

    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    assert read(file) == b"0123456789"
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "link", "pipe", "."):
        assert read(tmp_path / name) is None
    os.link(file, tmp_path / "second")
    assert read(file) is None


PLANNED = PlannedCell(
    Cell.of("toy", "1.0", "3.8", Resolution.ERA), Interpreter(Path("/p"), "3.8.18", "cpython", "cp38", 64, "cpython-38")
)


@pytest.mark.parametrize(
    ("python", "installed", "remarks"),
    [
        ("3.8.18", "1.0.0", []),
        ("3.8.18", "2.0", ["toy 1.0 was asked for, 2.0 was installed"]),
        ("3.8.18", None, ["toy 1.0 was asked for, none was installed"]),
        ("3.9.1", "1.0", ["Python 3.8.18 was asked for, 3.9.1 ran"]),
    ],
)
def test_what_ran_is_compared_with_what_was_asked_for(python: str, installed: str | None, remarks: list[str]) -> None:
    distribution = None if installed is None else InstalledDistribution("toy", installed)
    start = SessionStarted(python=python, distribution=distribution)
    assert list(_identity_remarks([PackageImported(0.5), start] * 2, PLANNED)) == remarks


def test_a_process_that_tells_of_many_imports_has_a_few_remarks() -> None:
    imports = [PackageImported(0.5, name=f"toy{number}", foreign="/x" * 1_000) for number in range(1_000)]
    told = _identity_remarks(imports, PLANNED)
    assert (len(told), told[-1]) == (11, "and 990 more of the kind")
    assert max(map(len, told)) == 500


@pytest.mark.parametrize(
    ("runner", "outcome", "events", "goes_on"),
    [
        (Runner.PYTEST, Outcome.CRASH, [SessionCollected(("a", "b"))], True),
        (Runner.PYTEST, Outcome.CRASH, [SessionCollected(("a",))], False),
        (Runner.PYTEST, Outcome.CRASH, [SessionCollected()], False),
        (Runner.PYTEST, Outcome.CRASH, [], False),
        (Runner.PYTEST, Outcome.FAIL, [SessionCollected(("a", "b"))], False),
        (Runner.UNITTEST, Outcome.CRASH, [SessionCollected(("a", "b"))], False),
    ],
)
def test_only_a_crash_with_tests_left_is_gone_on_with(
    runner: Runner, outcome: Outcome, events: list[HarnessEvent], goes_on: bool
) -> None:
    row = TestRow("a", outcome)
    assert _may_go_on([row], events, TrialJob(runner, ()), {"a": row}) is goes_on


def test_a_path_that_failures_name_is_looked_for_once_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(of_a_trial, "_kept", lambda asked, _stage: looked.append(asked.path))
    execution = SimpleNamespace(sandbox=SimpleNamespace(name="namespace"), network=False, limits=Limits())
    stage: Any = SimpleNamespace(
        services=SimpleNamespace(execution=execution), trial=SimpleNamespace(scratch=ScratchPlace.DISK)
    )
    refusals = _Refusals(stage)
    for number in range(3_000):
        told = f"No such file or directory: '/same' -> '/{number}'"
        refusals.told(TestRow("t", Outcome.FAIL, reason=told))
    assert looked[:3] == ["/same", "/0", "/1"]
    assert len(looked) == len(set(looked)) == 2_000
