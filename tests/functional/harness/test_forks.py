"""One interpreter serves several fields: forked right after the import, each fork for itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import Struct

from tests.functional.harness.bench import Bench

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="forks are for Linux")  # noqa: PTH110

LOAD = """
import os
from tf_tester_helper import consumer
import frame

@consumer("a")
def load(path, producer):
    {body}
"""
FRAME = "import os\nprint('imported in', os.getpid(), os.environ.get('FRAME'))\nUSED = []\n"


class Field(Struct):
    """What one fork has told, and how it ended."""

    said: list[dict[str, Any]]
    ended: dict[str, Any]

    @property
    def rows(self) -> dict[str, str]:
        return {one["id"]: one["status"] for one in self.said if one["event"] == "test"}


class Served(Struct):
    """What became of the fields of one interpreter."""

    fields: list[Field]
    events: list[dict[str, Any]]
    out: str
    exit_code: int

    def event(self, kind: str) -> dict[str, Any]:
        (found,) = (event for event in self.events if event["event"] == kind)
        return found


def serve(
    bench: Bench,
    python: str,
    text: str,
    *,
    fields: int = 3,
    timeout: float = 60.0,
    output: int | None = None,
    between: Callable[[Path], bool] = lambda _place: True,
) -> Served:
    """Have an interpreter load a product `fields` times; `between` is called with the folder of the forks."""
    work = bench.folder.parent
    bench.write(grid=text, installed__frame=FRAME)
    product = work / "product"
    product.mkdir(exist_ok=True)
    (product / "a").write_text("saved")
    forks = work / "forks"
    told = [
        {"product": "a", "from": str(product), "producer": f"toy=={at}", "label": f"[a from {at}]"}
        for at in range(fields)
    ]
    order = {
        "mode": "product",
        "targets": [str(bench.folder / "grid.py")],
        "events": None,
        "watch": ["frame"],
        "rootdir": str(bench.folder),
        "role": "consumer",
        "place": str(product),
        "forks": {"names": ["frame"], "folder": str(forks), "timeout": timeout, "output": output},
        "fields": told,
    }
    (work / "order.json").write_text(json.dumps(order))
    # As if it were installed: of the user's folder nothing is imported before the fork.
    start = f"""
import runpy, sys
sys.prefix = {str(bench.folder / "installed")!r}
sys.argv = ["run.py", {str(work / "order.json")!r}]
sys.path[:0] = [{str(bench.harness)!r}, {str(bench.folder / "installed")!r}]
runpy.run_path({str(bench.harness / "run.py")!r}, run_name="__main__")
"""
    ours, theirs = socket.socketpair()
    with (work / "out").open("wb") as out, ours:
        words = [python, "-c", start]
        process = subprocess.Popen(words, stdin=theirs.fileno(), stdout=out, stderr=out, cwd=bench.folder)
        theirs.close()
        events = []
        # The last answer may be left unread: then the end of the connection is a reset.
        with ours.makefile("rb") as lines, contextlib.suppress(ConnectionResetError):
            for line in lines:
                events.append(json.loads(line))
                if events[-1]["event"] in ("forking", "field-ended"):
                    ours.sendall(b"+" if between(forks) else b"-")
        code = process.wait(60)
    said: list[list[dict[str, Any]]] = [[] for _ in range(fields)]
    for one in events:
        if one["event"] == "field-said":
            said[one["field"]].append(json.loads(one["line"]))
    ended = [one for one in events if one["event"] == "field-ended"]
    found = [Field(said[one["field"]], one) for one in ended]
    return Served(found, events, (work / "out").read_text(), code)


def test_each_field_is_a_fork_of_one_import_with_a_product_of_its_own(bench: Bench, python: str) -> None:
    body = """
    from tf_tester_helper import record
    assert frame.USED == [] and open(path).read() == "saved"
    frame.USED.append(1)
    open(path, "w").write("changed")
    assert os.environ["TMPDIR"] == os.path.dirname(os.environ["TF_TESTER_VALUES"]) + "/t"
    record("p", 1.5)
    print(producer)
    """
    served = serve(bench, python, LOAD.replace("{body}", body.strip()))
    assert [field.rows for field in served.fields] == [{f"grid.py::load[a from {at}]": "pass"} for at in range(3)]
    assert [[one["event"] for one in field.said] for field in served.fields] == [
        ["start", "loading", "collected", "test-start", "values", "test", "end"]
    ] * 3
    assert [field.said[-2]["stdout"] for field in served.fields] == ["toy==0\n", "toy==1\n", "toy==2\n"]
    assert served.out.count("imported in") == 1
    assert len({field.said[0]["pid"] for field in served.fields}) == 3
    assert [(field.ended["code"], field.ended["leftovers"]) for field in served.fields] == [(0, 0)] * 3
    kinds = [event["event"] for event in served.events if event["event"] not in ("field-said", "field-ended")]
    assert kinds == ["start", "import", "forking", "end"]
    assert served.exit_code == 0
    for at in range(3):
        assert (bench.folder.parent / "forks" / str(at) / "values" / "values.jsonl").read_text().count("\n") == 1


def test_variables_are_set_before_the_framework_reads_them(bench: Bench, python: str) -> None:
    text = '"""Doc."""\nimport os\nos.environ["FRAME"] = "1"\nos.environ.setdefault("FRAME", "2")\n' + LOAD
    served = serve(bench, python, text.replace("{body}", "pass"))
    assert [*served.fields[0].rows.values()] == ["pass"]
    assert served.out.rstrip().endswith(" 1")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("print('first')", "it does other things before it imports frame"),
        ("import own", "it does other things before it imports frame"),
        ("import os\nos.environ['FRAME'] = str(1)", "it does other things before it imports frame"),
        ("import frame.nothing", "its first imports fail: ModuleNotFoundError: No module named 'frame.nothing'"),
        ("import frame\nimport (", "its first imports fail: SyntaxError: "),
    ],
)
def test_a_file_of_which_no_fork_would_be_what_its_process_is_says_why(
    bench: Bench, edge: str, first: str, reason: str
) -> None:
    bench.write(own="import os\nos.environ['FRAME'] = 'own'\n")
    served = serve(bench, edge, first + "\n" + LOAD.replace("{body}", "pass"))
    assert served.fields == []
    assert served.event("unforked")["reason"].startswith(reason)
    assert served.exit_code == 0
    assert "first\n" not in served.out


ENDS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "raises": ("raise KeyError('x')", {"code": 1}, ["fail"]),
    "exits": ("os._exit(7)", {"code": 7}, []),
    "dies": ("os.kill(os.getpid(), 11)", {"code": None, "signal": 11}, []),
    "waits": ("import threading; threading.Event().wait()", {"signal": 9, "timed_out": True}, []),
    "prints": ("while True: os.write(1, b'x' * 1000)", {"signal": 9, "over_output": True}, []),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_one_fork_is_told_and_the_next_one_follows(bench: Bench, edge: str, end: str) -> None:
    body, ended, statuses = ENDS[end]
    text = LOAD.replace("{body}", f"if producer == 'toy==1':\n        {body}")
    served = serve(bench, edge, text, timeout=1.0 if end == "waits" else 60.0, output=100_000)
    before, field, after = served.fields
    assert {name: field.ended[name] for name in ended} == ended
    assert [*field.rows.values()] == statuses
    assert [*before.rows.values()] == [*after.rows.values()] == ["pass"]


def test_what_a_fork_leaves_running_is_ended_before_the_next_one(bench: Bench, edge: str) -> None:
    body = """
    if producer == "toy==0":
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(writing, b"%d" % os.getpid())
                while True: __import__("time").sleep(1000)
            os._exit(0)
        open("daemon", "wb").write(os.read(reading, 100))
    """
    alive: list[bool] = []

    def between(_place: Path) -> bool:
        file = bench.folder / "daemon"
        if file.exists():
            alive.append(psutil.pid_exists(int(file.read_text())))
        return True

    served = serve(bench, edge, LOAD.replace("{body}", body.strip()), fields=2, between=between)
    assert served.fields[0].ended["leftovers"] >= 1
    assert alive == [False, False]


def test_a_fork_holds_no_channel_but_its_own(bench: Bench, edge: str) -> None:
    """Whatever it writes anywhere comes with its own number."""
    body = """
    line = b'{"event": "field-ended", "field": 1, "wall_s": 0, "cpu_s": 0, "peak_rss_kib": 0, "code": 0}\\n'
    for descriptor in range(3, 1024):
        try:
            os.write(descriptor, line)
        except OSError:
            pass
    """
    served = serve(bench, edge, LOAD.replace("{body}", body.strip()), fields=2)
    assert [field.ended["field"] for field in served.fields] == [0, 1]
    for field in served.fields:
        assert any(one["event"] == "field-ended" for one in field.said)


def test_random_numbers_are_others_in_each_fork(bench: Bench, edge: str) -> None:
    text = "import random\n" + LOAD.replace("{body}", "print(random.random())")
    served = serve(bench, edge, text)
    assert len({field.said[-2]["stdout"] for field in served.fields}) == 3


def test_the_caller_ends_it_between_two_forks(bench: Bench, edge: str) -> None:
    answers = iter([True, False])
    served = serve(bench, edge, LOAD.replace("{body}", "pass"), between=lambda _: next(answers))
    assert (len(served.fields), served.exit_code, served.events[-1]["event"]) == (1, 0, "end")
