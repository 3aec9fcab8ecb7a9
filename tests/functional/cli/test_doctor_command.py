"""`tf-tester doctor`, on a machine that is made up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from tf_tester import wiring
from tf_tester.cli.host.doctor import command
from tf_tester.core.config.settings import TABLE
from tf_tester.flow.host.doctor import Machine
from tf_tester.model.host.abilities import Ability, Isolation, IsolationKind, StoreFacts
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter

PYTHON = Interpreter(Path("/py/bin/python3.8"), "3.8.18", "cpython", "cp38", 64, "cpython-38", "pyenv")
ESCAPING = BrokenInterpreter(Path("/broken/python3"), "it ended with status 1: \x1b[31mred")
MACHINE = Machine(
    tool="tf-tester 0.1.0",
    python="3.11.7 (/usr/bin/python3)",
    uv=lambda: (Path("/bin/uv"), "0.9.2"),
    interpreters=lambda: ([PYTHON], [ESCAPING]),
    store=lambda: StoreFacts(Path("/store"), True, "", 80 * 10**9, "ext4", True),
    damage=list,
    private=list,
    cores=lambda: 2,
    jobs=2,
    memory=lambda: (24 * 10**9, 20 * 10**9),
    offline=True,
    authority=lambda: "https://index.example/simple",
    get=lambda: pytest.fail("nobody is to be asked"),
    mirrors=list,
    isolation=lambda: Isolation(IsolationKind.LANDLOCK, ("it sees which files there are",), "", ()),
    abilities=lambda: [Ability("own /proc", False, "mounting /proc: EPERM (Operation not permitted)", "EPERM")],
    monotonic=lambda: 0.0,
)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for setting in TABLE:
        monkeypatch.delenv(setting.variable, raising=False)


def doctor(monkeypatch: pytest.MonkeyPatch, machine: Machine, *arguments: str) -> tuple[Result, int]:
    @contextmanager
    def wired(settings: Any, *, environ: Any, private: Any) -> Iterator[Machine]:
        yield machine

    monkeypatch.setattr(wiring, "machine", wired, raising=False)
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False)
    assert isinstance(result.return_value, int)
    return result, result.return_value


def test_the_report_says_state_finding_and_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    result, code = doctor(monkeypatch, MACHINE)
    assert code == 0
    assert result.output.splitlines() == [
        "ok    tf-tester     tf-tester 0.1.0 in Python 3.11.7 (/usr/bin/python3)",
        "ok    uv            0.9.2 (/bin/uv)",
        "warn  interpreters  1 found: 3.8; 1 Python that does not run",
        "                    3.8.18  /py/bin/python3.8  (pyenv)",
        "                    broken  /broken/python3: it ended with status 1: \\x1b[31mred",
        "                    Repair or remove those that don't run.",
        "ok    store         /store: 80 GB free on ext4, with hard links",
        "ok    contents      nothing of it is damaged, as far as shows without reading all (`tf-tester cache verify`)",
        "ok    cores         2; --jobs auto runs as many cells at once",
        "ok    memory        24 GB, 20 GB of it free now",
        "ok    index         https://index.example/simple is not asked: offline is set",
        "ok    mirrors       none; files come from the index itself",
        "warn  isolation     landlock, which can't keep a test from everything; limits checked several times a second",
        "                    it sees which files there are",
        "warn  own /proc     not available: mounting /proc: EPERM (Operation not permitted)",
        "                    Containers hide parts of /proc: run with an unmasked one "
        "(`--security-opt systempaths=unconfined`).",
    ]


def test_where_nothing_can_run_the_exit_code_is_4(monkeypatch: pytest.MonkeyPatch) -> None:
    result, code = doctor(monkeypatch, replace(MACHINE, interpreters=lambda: ([], [])))
    assert code == 4
    assert "bad   interpreters  there is no Python that tests could run in" in result.output


def test_json_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    result, code = doctor(monkeypatch, MACHINE, "--json")
    report = json.loads(result.output)
    assert (report["can_run"], code) == (True, 0)
    assert report["checks"][1] == {
        "name": "uv",
        "state": "ok",
        "finding": "0.9.2 (/bin/uv)",
        "advice": "",
        "details": [],
    }


def test_colors_are_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = doctor(monkeypatch, MACHINE, "--color", "always")
    assert "\x1b[32mok  \x1b[0m" in result.output
    assert "\x1b[31mred" not in result.output
