"""`tf-tester grid`, where the framework's data says that its consumers may be forked: the record, and what counts."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Run, User
from tests.integration.run.test_grid import KEEPER, events, fields
from tests.simulator import Simulator
from tests.wheels import make_wheel

VERSIONS = "1.2.0,1.3.0,1.5.0"
FILE = """
import os
import sklearn
from tf_tester_helper import consumer, producer, record

@producer("model")
def save(path):
    sklearn.save(path, [0.25, 0.75])
    record("weights", [0.25, 0.75])

@consumer("model")
def load(path, producer):
    in_fork = "/forks/" in path
    weights = sklearn.load(path)
    {body}
    record("weights", weights)
"""


@pytest.fixture
def learner(user: User, index: Simulator) -> User:
    """A user of something called scikit-learn, of which it is known that it may be forked."""
    for version in VERSIONS.split(","):
        source = KEEPER.format(version=version, writes="old", reads=["old"]) + "print('imported')\n"
        name, content = make_wheel("scikit-learn", version, files={"sklearn.py": source})
        index.add_wheel(name, content, upload_time="2022-01-01T00:00:00Z")
    user.env["TF_TESTER_PACKAGE"] = "scikit-learn"
    return user


def grid(user: User, body: str, *words: str, text: str = FILE) -> Run:
    user.write("check_grid.py", text.replace("{body}", body))
    return user.run("grid", "check_grid.py", "--versions", VERSIONS, *words)


def forked(run: Run) -> list[bool]:
    return [one["forked"] for one in events(run, "field")]


def evidence(run: Run) -> Path:
    line = next(line for line in run.out.splitlines() if line.startswith("Evidence:"))
    return Path(line.removeprefix("Evidence: "))


ISOLATIONS = [
    pytest.param("namespace"),
    pytest.param("landlock", marks=pytest.mark.whole),
    pytest.param("none", marks=pytest.mark.whole),
]


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_one_import_serves_all_fields_of_a_consumer(learner: User, isolation: str) -> None:
    body = "assert open(path).read().startswith('old'); open(path, 'w').write('spoilt'); print(producer)"
    run = grid(learner, body, "--isolation", isolation)
    assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
    assert forked(run) == [True] * 9
    printed = [file.read_text() for file in evidence(run).rglob("load/forks-*/stdout")]
    assert printed == ["imported\n"] * 3
    assert len(events(run, "value")) == 12
    rows = {row["id"]: row for row in run.results()["1.5.0"]["tests"]}
    assert rows["check_grid.py::load[model from 1.2.0 py3.11]"]["stdout"] == "scikit-learn==1.2.0\n"
    assert run.results()["1.5.0"]["import_s"] is not None
    assert not any(row["remarks"] for row in rows.values())


@pytest.mark.parametrize(
    "fault",
    [
        "if in_fork: raise ValueError('in a fork')",
        pytest.param("if in_fork: os._exit(0)", marks=pytest.mark.whole),
        pytest.param("if in_fork: os.kill(os.getpid(), 11)", marks=pytest.mark.whole),
        pytest.param("if in_fork: os.kill(os.getppid(), 9)", marks=pytest.mark.whole),
        "if in_fork: weights[0] += 1",
    ],
)
def test_what_is_wrong_in_a_fork_alone_is_not_wrong(learner: User, fault: str) -> None:
    run = grid(learner, fault)
    assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
    assert forked(run) == [False] * 9
    assert len(events(run, "value")) == 12
    assert all(len(result["tests"]) == 4 for result in run.results().values())


def test_what_is_wrong_in_a_process_of_its_own_too_is_told_by_that_one(learner: User) -> None:
    run = grid(learner, "if producer.endswith('1.5.0') and sklearn.__version__ == '1.2.0': raise ValueError(in_fork)")
    outcomes = fields(run)
    assert [pair for pair, outcome in outcomes.items() if outcome != "ok"] == [("1.5.0", "1.2.0")]
    [failed] = [one for one in events(run, "field") if one["outcome"] == "error"]
    assert (failed["summary"], failed["forked"]) == ("ValueError: False", False)
    assert forked(run).count(True) == 8
    wrong = grid(learner, "weights[0] += sklearn.__version__ == '1.2.0'")
    assert set(fields(wrong).values()) == {"ok", "wrong-numbers"}
    assert [one["forked"] for one in events(wrong, "field") if one["outcome"] == "wrong-numbers"] == [False] * 3


@pytest.mark.whole
def test_a_fork_that_waits_for_ever_is_not_waited_for_and_the_others_are_not_forked(learner: User) -> None:
    run = grid(learner, "if in_fork: __import__('threading').Event().wait()", "--timeout", "15s")
    assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
    assert forked(run) == [False] * 9


LEAVE = """
    for place in ("~/left", "/tmp/left", "left.txt"):
        place = os.path.expanduser(place)
        assert not os.path.exists(place), place
        open(place, "w").close()
"""


def test_what_a_fork_leaves_behind_no_other_field_finds(learner: User) -> None:
    run = grid(learner, LEAVE.strip(), "--isolation", "namespace")
    assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
    # With one left there is nothing to be gained.
    assert len([*evidence(run).rglob("load/forks-*/stdout")]) == 6
    assert forked(run).count(True) == 6


FORGE = """
    if producer.endswith("1.2.0"):
        fields = {"field": 1, "wall_s": 0, "cpu_s": 0, "peak_rss_kib": 0, "code": 0}
        name = "check_grid.py::load[model from 1.3.0 py3.11]"
        passed = [{"event": "start"}, {"event": "collected", "ids": [name]}, {"event": "test-start", "id": name}]
        passed += [{"event": "test", "id": name, "status": "pass"}, {"event": "end", "exit_code": 0}]
        said = [dict(fields, event="field-said", line=json.dumps(one)) for one in passed]
        lines = "".join(json.dumps(one) + "\\n" for one in (*said, dict(fields, event="field-ended")))
        for descriptor in range(3, 1024):
            try: os.write(descriptor, lines.encode())
            except OSError: pass
        for name in ("mem", "fd/500", "fd/3"):
            try: open("/proc/%d/%s" % (os.getppid(), name), "r+b").close()
            except OSError: pass
            else: os._exit(0)
        libc = ctypes.CDLL(None)
        assert libc.ptrace(16, os.getppid(), None, None) != 0 or not in_fork, "traced"
    if producer.endswith("1.3.0"): raise ValueError("this field fails")
"""


@pytest.mark.parametrize("isolation", ISOLATIONS[:2])
def test_a_fork_can_neither_speak_for_another_field_nor_look_into_its_parent(learner: User, isolation: str) -> None:
    text = FILE.replace("import os\n", "import ctypes, json, os\n")
    run = grid(learner, FORGE.strip(), "--isolation", isolation, text=text)
    outcomes = fields(run)
    assert {pair: outcome for pair, outcome in outcomes.items() if outcome != "ok" and pair[0] != "1.2.0"} == {
        ("1.3.0", version): "error" for version in VERSIONS.split(",")
    }
    # Who could look into it would have ended at once, and been run again.
    forgers = [one for one in events(run, "field") if "==1.2.0@" in one["producer"]]
    assert [(one["outcome"], one["forked"]) for one in forgers] == [("ok", True)] * 3
    told: list[dict[str, Any]] = [one for one in events(run, "field") if one["outcome"] == "error"]
    assert {one["summary"] for one in told} == {"ValueError: this field fails"}


def test_whoever_asks_for_it_or_has_a_file_that_does_more_gets_no_forks(learner: User) -> None:
    asked = grid(learner, "pass", "--fresh")
    assert (asked.code, forked(asked)) == (0, [False] * 9)
    more = grid(learner, "pass", text=FILE.replace("import os\n", "import os\nNUMBER = len(os.name)\n"))
    assert (more.code, forked(more)) == (0, [False] * 9)
    told = "each product was loaded by a process of its own: it does other things before it imports sklearn"
    assert told in " ".join(more.out.split())
