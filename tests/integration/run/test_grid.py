"""`tf-tester grid`: what each version saves is loaded under each, and every field says what became of it."""

import json
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import Run, User, finish
from tests.simulator import Simulator
from tests.waiting import until
from tests.wheels import make_wheel

KEEPER = """
__version__ = {version!r}
WRITES, READS = {writes!r}, {reads!r}


def save(path, weights):
    with open(path, "w") as file:
        file.write(WRITES + " " + " ".join(map(str, weights)))


def load(path):
    with open(path) as file:
        kind, *weights = file.read().split()
    if kind not in READS:
        raise ValueError("unknown format " + kind + ", this is keeper " + __version__)
    return [float(weight) for weight in weights]
"""
VERSIONS = {"1.0": ("old", ["old"]), "1.1": ("old", ["old"]), "2.0": ("new", ["old", "new"])}
FILE = """
import keeper
from tf_tester_helper import consumer, producer

@producer("model.txt")
def save(path):
    keeper.save(path, [0.25, 0.75])

@consumer("model.txt")
def load(path, producer):
    print("of", producer)
    assert keeper.load(path) == [0.25, 0.75]
"""


def with_keeper(user: User, index: Simulator, versions: Mapping[str, tuple[str, list[str]]]) -> User:
    """Return the user with an index of keeper. `versions`: the format that each writes, and those that it reads."""
    for version, (writes, reads) in versions.items():
        files = {"keeper.py": KEEPER.format(version=version, writes=writes, reads=reads)}
        name, content = make_wheel("keeper", version, files=files)
        index.add_wheel(name, content, upload_time="2022-01-01T00:00:00Z")
    user.env["TF_TESTER_PACKAGE"] = "keeper"
    return user


@pytest.fixture
def keeper(user: User, index: Simulator) -> User:
    """A user of keeper, whose version 2.0 saves in a format that the earlier ones can't load."""
    return with_keeper(user, index, VERSIONS)


def version_of(cell: str) -> str:
    return cell.split("==")[1].split("@")[0]


def fields(run: Run) -> dict[tuple[str, str], str]:
    """Outcomes by the versions that saved and loaded."""
    found = [event for event in run.record() if event["event"] == "field"]
    return {(version_of(one["producer"]), version_of(one["consumer"])): one["outcome"] for one in found}


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.record() if event["event"] == kind]


def test_each_version_loads_what_each_has_saved(keeper: User) -> None:
    keeper.write("check_grid.py", FILE)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,1.1,2.0")
    assert run.code == 1, run.err
    outcomes = fields(run)
    assert len(outcomes) == 9
    assert {pair for pair, outcome in outcomes.items() if outcome != "ok"} == {("2.0", "1.0"), ("2.0", "1.1")}
    assert outcomes["2.0", "1.0"] == "error"

    products = events(run, "product")
    assert sorted((version_of(one["cell"]), one["name"], one["files"]) for one in products) == [
        (version, "model.txt", 1) for version in VERSIONS
    ]
    digests = {version_of(one["cell"]): one["digest"] for one in products}
    assert digests["1.0"] == digests["1.1"] != digests["2.0"]
    for digest in digests.values():
        assert (keeper.store / "blobs" / digest[:2] / digest).is_file()

    [failed] = [
        one for one in events(run, "field") if (version_of(one["producer"]), one["outcome"]) == ("2.0", "error")
    ][:1]
    assert failed["exception"]["type"] == "ValueError"
    assert failed["summary"] == f"ValueError: unknown format new, this is keeper {version_of(failed['consumer'])}"
    rows = {row["id"]: row for row in run.results()["1.0"]["tests"]}
    assert rows["check_grid.py::load[model.txt from 1.1 py3.11]"]["stdout"] == "of keeper==1.1\n"
    assert rows["check_grid.py::save"]["outcome"] == "pass"
    assert failed["tests"] == ["check_grid.py::load[model.txt from 2.0 py3.11]"]


def test_the_report_is_a_heat_map_with_the_reasons_below(keeper: User) -> None:
    keeper.write("check_grid.py", FILE)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,1.1,2.0")
    lines = run.out.splitlines()
    assert lines[:8] == [
        "keeper: newer versions load all that older ones saved; "
        "older versions load what newer ones saved up to 1.1 (1.1 fails on",
        "  what 2.0 saved).",
        "",
        "keeper: saved by (rows), loaded by (columns)",
        "       1.0  1.1  2.0",
        "1.0     ok   ok   ok",
        "1.1     ok   ok   ok",
        "2.0      A    A   ok",
    ]
    at = lines.index("What fails")
    assert lines[at + 1] == "  A  ValueError: unknown format new, this is keeper 1.0"
    assert lines[at + 2] == "     at check_grid.py:12  assert keeper.load(path) == [0.25, 0.75]"
    assert lines[at + 3] == "     2 fields: saved by 2.0, loaded by 1.0, 1.1"
    assert "9 fields: 7 ok, 2 failed" in run.out
    assert all(len(line) <= 80 for line in lines[3:] if not line.startswith("Evidence"))
    assert keeper.run("show").out.splitlines()[:8] == lines[:8]
    assert "ValueError: unknown format new" in keeper.run("show", "last", "--failures").out


def test_two_commands_do_the_same_without_a_file(keeper: User) -> None:
    keeper.write("train.py", "import sys, keeper\nkeeper.save(sys.argv[1], [1.5])\n")
    keeper.write("predict.py", "import sys, keeper\nprint(sys.argv[2], keeper.load(sys.argv[1]))\n")
    run = keeper.run(
        "grid",
        "--save",
        "python train.py {product}",
        "--load",
        "python predict.py {product} '{producer}'",
        "--versions",
        "1.1,2.0",
    )
    assert run.code == 1, run.err
    assert fields(run) == {("1.1", "1.1"): "ok", ("1.1", "2.0"): "ok", ("2.0", "1.1"): "error", ("2.0", "2.0"): "ok"}
    rows = {row["id"]: row for row in run.results()["2.0"]["tests"]}
    row = rows["python predict.py {product} {producer}[product from 1.1 py3.11]"]
    assert row["stdout"] == "keeper==1.1 [1.5]\n"


@pytest.mark.whole
def test_other_versions_and_another_package_may_load(keeper: User, index: Simulator) -> None:
    reader = {"reader.py": "def load(path):\n    with open(path) as file: return file.read()\n"}
    name, content = make_wheel("reader", "5.0", files=reader)
    index.add_wheel(name, content, upload_time="2022-01-01T00:00:00Z")
    text = FILE.replace("import keeper", "").replace("    keeper.save", "    import keeper\n    keeper.save")
    keeper.write("check_grid.py", text.replace("assert keeper.load(path)", "import reader; assert reader.load(path)"))
    run = keeper.run(
        "grid", "check_grid.py", "--versions", "1.1,2.0", "--consumer-package", "reader", "--consumers", "5.0"
    )
    assert [one["outcome"] for one in events(run, "field")] == ["error", "error"]
    assert {one["consumer"].partition("==")[0] for one in events(run, "field")} == {"reader"}
    assert run.out.splitlines()[:3:2] == [
        "reader loads what keeper saved in 0 of 2 fields.",
        "keeper, loaded by reader: saved by (rows), loaded by (columns)",
    ]
    assert {cell["outcome"] for version, cell in run.results().items() if version != "5.0"} == {"pass"}
    keeper.write("check_grid.py", FILE)
    others = keeper.run("grid", "check_grid.py", "--versions", "2.0", "--consumers", "1.0,1.1,2.0")
    assert fields(others) == {("2.0", "1.0"): "error", ("2.0", "1.1"): "error", ("2.0", "2.0"): "ok"}


FAULTS = {
    "raises": ("raise OSError('no licence')", "saved nothing: OSError: no licence"),
    "leaves": ("pass", "its product model.txt is refused: it left nothing at the path that it was given"),
    "link": ("import os; os.symlink('/etc/passwd', path)", "model.txt is a link that leads out of the product"),
    "climbs": ("import os; os.symlink('../../x', path)", "is a link that leads out of the product, to ../../x"),
    "moved": (
        "import os; place = os.path.dirname(path); os.rmdir(place); os.symlink('/etc', place)",
        "its product model.txt is refused: its folder is gone, or a link to another one",
    ),
    "pipe": ("import os; os.mkfifo(path)", "model.txt is a pipe: only files are taken"),
    "socket": (
        "import os, socket; os.chdir(os.path.dirname(path)); socket.socket(socket.AF_UNIX).bind('s')",
        "s is a socket: only files are taken",
    ),
    "hard": ("import os; open(path, 'w').close(); os.link(path, path + '2')", "has a second name (a hard link)"),
    "huge": ("open(path, 'wb').truncate(10 << 30)", "it left 1 file of 11 GB: 1.0 MB are taken at most"),
    "skips": ("import unittest; raise unittest.SkipTest('not in 1.0')", "1.0 py3.11 skipped it: not in 1.0"),
    "dies": ("import os; os._exit(3)", "saved nothing: the process left through os._exit(3)"),
}


GOES_DEEP = """
import keeper, os
from tf_tester_helper import producer

@producer("model.txt")
def save(path):
    keeper.save(path, [0.25])
    here = os.getcwd()
    for folder in (os.path.dirname(os.path.dirname(path)), here):
        os.chdir(folder)
        for _ in range(1100):  # more than Python calls in one another
            os.mkdir("d")
            os.chdir("d")
    os.chdir(here)
"""


def test_what_producers_leave_besides_is_cleared_away_however_deep(keeper: User) -> None:
    keeper.write("check_grid.py", GOES_DEEP)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0")
    assert run.code in (0, 1), run.out + run.err
    assert {row["outcome"] for row in run.results()["1.0"]["tests"] if row["id"].endswith("::save")} == {"pass"}
    assert [path.name for path in (keeper.store / "tmp").iterdir()] == []


SOME_FAULTS = ("climbs", "huge", "dies")


@pytest.mark.parametrize(
    "fault", [pytest.param(one, marks=() if one in SOME_FAULTS else pytest.mark.whole) for one in FAULTS]
)
def test_what_is_no_product_is_told_and_its_consumers_are_not_run(keeper: User, fault: str) -> None:
    code, told = FAULTS[fault]
    text = FILE.replace(
        "keeper.save(path, [0.25, 0.75])",
        f"if keeper.__version__ == '1.0':\n        {code}\n    else: keeper.save(path, [0.25, 0.75])",
    )
    keeper.write("check_grid.py", text)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,1.1", "--largest-product", "1M")
    assert fields(run) == {
        ("1.0", "1.0"): "not-run",
        ("1.0", "1.1"): "not-run",
        ("1.1", "1.0"): "ok",
        ("1.1", "1.1"): "ok",
    }
    assert run.code == (0 if fault == "skips" else 1)
    assert told in " ".join(run.out.split())
    assert "1.0      -    -" in run.out


@pytest.mark.whole
@pytest.mark.parametrize("isolation", ["namespace", "landlock"])
def test_no_consumer_is_shown_what_its_producer_could_not_read(keeper: User, isolation: str) -> None:
    (keeper.home / "secrets").mkdir()
    (keeper.home / "secrets" / "key").write_text("the-secret-of-the-house")
    keeper.write(
        "check_grid.py",
        f"""
import os
from tf_tester_helper import consumer, producer

@producer("m")
def save(path):
    os.rmdir(os.path.dirname(path))
    os.symlink({str(keeper.home / "secrets")!r}, os.path.dirname(path))

@consumer("m")
def load(path):
    print(open(os.path.join(os.path.dirname(path), "key")).read())
""",
    )
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0", "--isolation", isolation)
    assert "its folder is gone, or a link to another one" in " ".join(run.out.split())
    assert (
        "the-secret-of-the-house"
        not in (keeper.store / "runs" / run.record()[0]["run_id"] / "record.jsonl").read_text()
    )


@pytest.mark.whole
def test_what_a_consumer_changes_no_other_one_sees(keeper: User) -> None:
    keeper.write("check_grid.py", FILE + "    open(path, 'w').write('spoilt')\n    open(path + '.more', 'w').close()\n")
    for isolation in ("namespace", "landlock", "none"):
        run = keeper.run("grid", "check_grid.py", "--versions", "1.0,1.1", "--isolation", isolation)
        assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
        text = FILE.replace("print(", "import os; assert os.listdir(os.path.dirname(path)) == ['model.txt']; print(")
        keeper.write("check_grid.py", text)


def test_a_product_may_be_a_folder_or_several_files(keeper: User) -> None:
    keeper.write(
        "check_grid.py",
        """
import os, stat
from tf_tester_helper import consumer, producer

@producer("model")
def save(path):
    os.makedirs(path + "/empty")
    with open(path + "/run", "w") as file:
        file.write("run")
    os.chmod(path + "/run", 0o750)
    os.symlink("run", path + "/again")
    open(path + ".index", "w").close()

@consumer("model")
def load(path):
    assert sorted(os.listdir(os.path.dirname(path))) == ["model", "model.index"]
    assert sorted(os.listdir(path)) == ["again", "empty", "run"]
    assert stat.S_IMODE(os.stat(path + "/run").st_mode) == 0o755
    assert os.readlink(path + "/again") == "run" and open(path + "/again").read() == "run"
""",
    )
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0")
    assert (run.code, fields(run)) == (0, {("1.0", "1.0"): "ok"}), run.out
    [product] = events(run, "product")
    assert (product["files"], product["size"]) == (2, 3)


def test_each_product_has_a_picture_of_its_own(keeper: User) -> None:
    more = """
@producer("other")
def keep(path):
    if keeper.__version__ == "1.0":
        raise RuntimeError("too old")
    keeper.save(path, [1])

@consumer("other")
def use(path):
    keeper.load(path)
"""
    keeper.write("check_grid.py", FILE + more)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,2.0")
    titles = [line for line in run.out.splitlines() if line.endswith("loaded by (columns)")]
    assert [title.partition(":")[0] for title in titles] == ["model.txt", "other"]
    found = {
        (one["product"], version_of(one["producer"]), version_of(one["consumer"])): one for one in events(run, "field")
    }
    assert len(found) == 8
    assert found["other", "1.0", "2.0"]["outcome"] == "not-run"
    assert found["other", "1.0", "2.0"]["summary"] == "1.0 py3.11 saved nothing: RuntimeError: too old"


def test_a_version_that_cannot_run_has_its_fields_too(keeper: User) -> None:
    keeper.write("check_grid.py", FILE)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,2.0", "--with", "nothing-like-it; python_version<'4'")
    assert run.code in (3, 4)
    assert set(fields(run).values()) == {"not-run"}
    assert len(fields(run)) == 4
    assert "Could not run" in run.out


@pytest.mark.whole
def test_other_reports_can_be_made_of_the_record(keeper: User) -> None:
    keeper.write("check_grid.py", FILE)
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0,2.0", "--json", "--report", "junit=out.xml")
    assert run.code == 1
    lines = [json.loads(line) for line in run.out.splitlines()]
    assert [line["event"] for line in lines].count("field") == 4
    assert lines[0]["request"]["grid"]["producers"] == ["keeper==1.0@py3.11@era", "keeper==2.0@py3.11@era"]
    assert "keeper: saved by (rows), loaded by (columns)" in run.err
    assert 'failures="1"' in Path(keeper.folder, "out.xml").read_text()
    for form in ("html", "markdown", "json"):
        assert keeper.run("report", "last", "--format", form, "-o", f"out.{form}").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "A grid needs a FILE with producers and consumers, or the commands --save and --load."),
        (("none.py",), "There is no file"),
        (("notes.txt",), "is no Python file."),
        (("check_grid.py", "--save", "x {product}"), "A FILE and commands both say what is saved and loaded."),
        (("--save", "python a.py", "--load", "python b.py {product}"), "--save doesn't say where the product is."),
        (("--save", "python a.py {product}"), "--load doesn't say where the product is."),
        (("--save", "'", "--load", "b {product}"), "--save is no command: No closing quotation."),
        (("check_grid.py", "--scratch", "memory"), "A product in memory is gone with its cell."),
        (("--save", "a {product}", "--load", "b {product}", "--product", "a/b"), "A product can't be called 'a/b'."),
        (("check_grid.py", "--largest-product", "much"), "'much' is not"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_runs(keeper: User, words: tuple[str, ...], told: str) -> None:
    keeper.write("check_grid.py", FILE)
    keeper.write("notes.txt", "")
    run = keeper.run("grid", *words, "--versions", "1.0")
    assert (run.code, run.out) == (2, "")
    assert told in run.err


def test_a_file_that_marks_nothing_says_what_marks(keeper: User) -> None:
    keeper.write("check_grid.py", "import keeper\n")
    run = keeper.run("grid", "check_grid.py", "--versions", "1.0")
    assert run.code == 3
    assert "nothing in it saves anything (@producer(NAME) of tf_tester_helper marks what does)" in " ".join(
        run.out.split()
    )


def test_ctrl_c_ends_the_grid_and_tells_every_cell(keeper: User) -> None:
    tag = secrets.token_hex(8)
    sleep = f"import subprocess, sys; subprocess.call([sys.executable, '-c', 'import time; time.sleep(1000)', '{tag}'])"
    keeper.write("check_grid.py", FILE + f"    {sleep}\n")
    process = keeper.start("grid", "check_grid.py", "--versions", "1.0,1.1", "--jobs", "1")

    def is_running() -> bool:
        assert process.poll() is None
        return any(tag in one.info["cmdline"] for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"])

    until(is_running)
    process.send_signal(signal.SIGINT)
    run = finish(process)
    assert run.code == 130
    assert run.outcomes() == {"1.0": "interrupted", "1.1": "interrupted"}
    assert run.record()[-1]["event"] == "run-finished"
    assert "The run was interrupted." in run.out
    assert not any(tag in one.info["cmdline"] for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"])


WEIGHED = """
import keeper
from tf_tester_helper import consumer, producer, record

@producer("model.txt")
def save(path):
    keeper.save(path, [0.25, 0.75])
    record("weights", [0.25, 0.75])

@consumer("model.txt")
def load(path):
    weights = keeper.load(path)
    {change}
    record("weights", weights{allowed})
"""


def weigh(user: User, change: str, *words: str, allowed: str = "", text: str = WEIGHED) -> Run:
    """Run a grid of 1.0 and 1.1 whose consumers change what they have loaded, for the version `keeper.__version__`."""
    user.write("check_grid.py", text.replace("{change}", change).replace("{allowed}", allowed))
    return user.run("grid", "check_grid.py", "--versions", "1.0,1.1", *words)


@pytest.mark.whole
def test_other_numbers_without_an_error_are_wrong_and_both_are_told(keeper: User) -> None:
    run = weigh(keeper, "if keeper.__version__ == '1.1': weights[1] += 0.15")
    assert run.code == 1
    assert fields(run) == {
        ("1.0", "1.0"): "ok",
        ("1.1", "1.0"): "ok",
        ("1.0", "1.1"): "wrong-numbers",
        ("1.1", "1.1"): "wrong-numbers",
    }
    [wrong, _] = [one for one in events(run, "field") if one["outcome"] == "wrong-numbers"]
    [difference] = wrong["differences"]
    assert difference["max_abs"] == pytest.approx(0.15)
    assert (difference["at"], difference["expected"], difference["got"]) == ([1], "0.75", "0.9")
    assert (difference["outside"], difference["count"], difference["dtypes"]) == (1, 2, ["<f8", "<f8"])
    told = "weights[1] is 0.9, not 0.75; 1 of 2 numbers differ (max abs 0.15, max rel 0.2, "
    assert wrong["summary"].startswith(told)
    assert run.results()["1.1"]["outcome"] == "fail"
    rows = {row["id"]: row for row in run.results()["1.1"]["tests"]}
    assert rows["check_grid.py::load[model.txt from 1.0 py3.11]"]["reason"] == wrong["summary"]
    assert "1.0     ok   !=" in run.out
    assert "Wrong numbers" in run.out
    assert "saved by 1.0, loaded by 1.1: weights[1] is 0.9, not 0.75" in " ".join(run.out.split())
    assert "4 fields: 2 ok, 2 with wrong numbers" in run.out

    values = events(run, "value")
    assert len(values) == 6
    assert all((one["name"], one["dtype"], one["shape"]) == ("weights", "<f8", [2]) for one in values)
    for one in values:
        blob = keeper.store / "blobs" / one["digest"][:2] / one["digest"]
        assert blob.read_bytes().startswith(b"\x93NUMPY")


@pytest.mark.whole
def test_what_is_allowed_is_no_difference(keeper: User) -> None:
    for isolation in ("namespace", "landlock", "none"):
        run = weigh(keeper, "weights[1] += 0.15", "--isolation", isolation, allowed=", atol=0.2")
        assert (run.code, len(events(run, "value"))) == (0, 6)
    assert weigh(keeper, "weights[1] += 0.15", allowed=", rtol=0.1, atol=0").code == 1
    assert weigh(keeper, "weights[1] += 1e-9").code == 0


@pytest.mark.whole
def test_shape_and_nan_count_and_a_name_that_only_one_has_does_not(keeper: User) -> None:
    shapes = weigh(keeper, "weights = [weights]")
    assert set(fields(shapes).values()) == {"wrong-numbers"}
    assert "weights is of shape (1, 2), not of shape (2,)" in shapes.out
    nan = weigh(keeper, "weights[0] = float('nan')")
    assert set(fields(nan).values()) == {"wrong-numbers"}
    assert "weights[0] is nan, not 0.25" in nan.out
    assert set(fields(weigh(keeper, "record('more', 1)")).values()) == {"ok"}


def test_without_a_value_of_the_producer_its_own_version_is_the_reference(keeper: User) -> None:
    text = WEIGHED.replace('    record("weights", [0.25, 0.75])\n', "")
    run = weigh(keeper, "weights[0] += 0.5 * (keeper.__version__ == '1.1')", text=text)
    assert fields(run) == {
        ("1.0", "1.0"): "ok",
        ("1.1", "1.1"): "ok",
        ("1.0", "1.1"): "wrong-numbers",
        ("1.1", "1.0"): "wrong-numbers",
    }


@pytest.mark.whole
def test_numbers_that_vary_within_one_version_are_flaky(keeper: User) -> None:
    run = weigh(keeper, "import os; weights[0] = int.from_bytes(os.urandom(6), 'big')")
    assert (run.code, set(fields(run).values())) == (0, {"flaky"})
    assert "Numbers that vary within one version" in run.out
    assert "1.0      ~    ~" in run.out
    cells = run.results().values()
    assert all("flaky, its numbers vary from run to run" in str(cell["tests"][-1]["remarks"]) for cell in cells)


def test_commands_record_too_and_what_is_no_value_is_told(keeper: User) -> None:
    keeper.write("save.py", "import sys, keeper\nkeeper.save(sys.argv[1], [1.5])\n")
    load = """
import json, os, sys
folder = os.environ["TF_TESTER_VALUES"]
def tell(name, content):
    with open(os.path.join(folder, name + ".npy"), "wb") as file: file.write(content)
    with open(os.path.join(folder, "values.jsonl"), "a") as file:
        file.write(json.dumps({"name": name, "file": name + ".npy"}) + "\\nrubbish\\n")
tell("text", b"hello")
tell("object", b"\\x93NUMPY\\x01\\x00\\x05\\x00pickle")
open(folder + "/values.jsonl", "a").write('{"name": "out", "file": "../../../../../etc/passwd"}\\n')
os.symlink("/etc/passwd", folder + "/link.npy")
open(folder + "/values.jsonl", "a").write('{"name": "link", "file": "link.npy"}\\n')
"""
    keeper.write("load.py", load.replace("\\\\", "\\"))
    words = ("--save", "python save.py {product}", "--load", "python load.py {product}", "--versions", "1.0")
    run = keeper.run("grid", *words)
    assert (run.code, set(fields(run).values())) == (0, {"ok"}), run.out
    told = " ".join(run.out.split())
    assert "a recorded value was left out: text: its file is no array of numbers" in told
    assert "object: its file is no array of numbers" in told
    assert "out: its file is gone" in told
    assert "link: its file is gone" in told
    assert events(run, "value") == []


FORMATS = {
    "1.0": ("a", ["a"]),
    "1.1": ("a", ["a"]),
    "1.2": ("b", ["a", "b"]),
    "1.3": ("b", ["a", "b"]),
    "2.0": ("c", ["b", "c"]),
    "3.0": ("d", ["d"]),
}
RESAVING = """
import keeper
from tf_tester_helper import consumer, producer, record, resaver

@producer("model.txt")
def save(path):
    keeper.save(path, [0.25, 0.75])
    record("weights", [0.25, 0.75])

@consumer("model.txt")
def load(path):
    record("weights", keeper.load(path))

@resaver("model.txt")
def convert(path, target):
    keeper.save(target, keeper.load(path))
"""


def over(way: dict[str, Any]) -> list[str]:
    """The versions that a way leads over."""
    return [version_of(hop["consumer"]) for hop in way["hops"]]


@pytest.fixture
def formats(user: User, index: Simulator) -> User:
    """A user of keeper, of which each version reads what the one before has written, and not always more."""
    return with_keeper(user, index, FORMATS)


def test_the_way_to_a_version_is_gone_saving_anew_in_between(formats: User) -> None:
    formats.write("check_grid.py", RESAVING)
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,1.2,2.0", "--route", "1.0:2.0")
    assert fields(run)["1.0", "2.0"] == "error"
    [way] = events(run, "route")
    assert (way["product"], way["arrived"], way["compared"], way["failed"]) == ("model.txt", True, ["weights"], [])
    assert [(version_of(hop["consumer"]), hop["saved_as"]) for hop in way["hops"]] == [
        ("1.2", "model.txt"),
        ("2.0", ""),
    ]
    digest = way["hops"][0]["digest"]
    assert b"b 0.25 0.75" in (formats.store / "blobs" / digest[:2] / digest).read_bytes()
    lines = run.out.splitlines()
    at = lines.index("The way from 1.0 to 2.0")
    assert " ".join(" ".join(lines[at + 1 : at + 3]).split()) == (
        "model.txt: load in 1.2, save it again, load in 2.0 (run from end to end; weights as it was saved)"
    )
    assert run.code == 1, "a field failed, as before"


@pytest.mark.whole
def test_where_there_is_no_way_the_nearest_is_told(formats: User) -> None:
    formats.write("check_grid.py", RESAVING)
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,1.2,2.0,3.0", "--route", "1.0:3")
    [way] = events(run, "route")
    assert (way["arrived"], over(way)) == (False, ["1.2", "2.0"])
    assert (
        "there is no way: nothing that 1.0's product can become is rightly loaded by 3.0; "
        "the nearest that it comes to is 2.0: load in 1.2, save it again, load in 2.0"
    ) in " ".join(run.out.split())
    plain = formats.write("check_grid.py", RESAVING.replace("@resaver", "# @resaver"))
    alone = formats.run("grid", plain.name, "--versions", "1.0,1.2,2.0", "--route", "1.0:2.0")
    [way] = events(alone, "route")
    assert way["summary"].startswith("nothing saves it anew on the way (@resaver of tf_tester_helper marks what does")
    assert over(way) == ["1.2"]


@pytest.mark.whole
def test_a_way_that_the_grid_promised_and_that_fails_is_told_and_another_one_is_gone(formats: User) -> None:
    broken = "    if keeper.__version__ == '1.3': raise OSError('full')\n"
    formats.write("check_grid.py", RESAVING.replace("    keeper.save(target", broken + "    keeper.save(target"))
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,1.2,1.3,2.0", "--route", "1.0:2.0")
    [way] = events(run, "route")
    assert (way["arrived"], over(way)) == (True, ["1.2", "2.0"])
    assert way["failed"] == ["1.3 doesn't save model.txt anew as model.txt: OSError: full"]
    worse = (
        "    weights = keeper.load(path)\n    keeper.save(target, [w + (keeper.__version__ == '1.3') for w in weights])"
    )
    formats.write("check_grid.py", RESAVING.replace("    keeper.save(target, keeper.load(path))", worse))
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,1.2,1.3,2.0", "--route", "1.0:2.0")
    [way] = events(run, "route")
    assert (way["arrived"], over(way)) == (True, ["1.2", "2.0"])
    [failed] = way["failed"]
    assert failed.startswith("2.0 takes model.txt, which 1.3 saved, not as expected: weights[0] is 1.25, not 0.25")


@pytest.mark.whole
def test_a_command_may_save_anew(formats: User) -> None:
    formats.write("train.py", "import sys, keeper\nkeeper.save(sys.argv[1], [1.5])\n")
    formats.write("predict.py", "import sys, keeper\nprint(keeper.load(sys.argv[1]))\n")
    formats.write("convert.py", "import sys, keeper\nkeeper.save(sys.argv[2], keeper.load(sys.argv[1]))\n")
    words = (
        "--save",
        "python train.py {product}",
        "--load",
        "python predict.py {product}",
        "--versions",
        "1.0,1.2,2.0",
    )
    run = formats.run("grid", *words, "--resave", "python convert.py {product} {target}", "--route", "1.0:2.0")
    [way] = events(run, "route")
    assert (way["arrived"], over(way)) == (True, ["1.2", "2.0"])
    assert "no numbers were compared" in run.out


def test_each_border_has_the_release_that_caused_it(formats: User) -> None:
    formats.write("check_grid.py", RESAVING)
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,2.0", "--why")
    found = {(one["side"], version_of(one["held"])): one for one in events(run, "border")}
    assert set(found) == {("saved", "1.0"), ("saved", "2.0"), ("loaded", "1.0"), ("loaded", "2.0")}
    saved = found["saved", "1.0"]
    assert (saved["before"], saved["after"], saved["breaks"], saved["tried"]) == ("1.1", "1.2", True, 2)
    assert saved["summary"] == "ValueError: unknown format b, this is keeper 1.0"
    assert [found["loaded", "2.0"][name] for name in ("before", "after", "breaks")] == ["1.3", "2.0", False]
    assert [found["loaded", "1.0"][name] for name in ("before", "after", "breaks")] == ["1.3", "2.0", True]
    assert [found["saved", "2.0"][name] for name in ("before", "after", "breaks")] == ["1.1", "1.2", False]
    told = " ".join(run.out.split())
    assert "1.2 1.0 fails on what 1.2 and later versions save: ValueError: unknown format b, this is keeper 1.0" in told
    assert set(run.results()) == {"1.0", "2.0"}, "what was tried for it is no cell of the grid"


@pytest.mark.whole
def test_wrong_numbers_have_their_release_and_both_values(user: User, index: Simulator) -> None:
    for number in range(6):
        text = KEEPER.format(version=f"1.{number}", writes="a", reads=["a"])
        text = text.replace("float(weight)", f"float(weight) + 0.5 * {number >= 4}")
        name, content = make_wheel("keeper", f"1.{number}", files={"keeper.py": text})
        index.add_wheel(name, content, upload_time="2022-01-01T00:00:00Z")
    user.env["TF_TESTER_PACKAGE"] = "keeper"
    user.write("check_grid.py", RESAVING)
    run = user.run("grid", "check_grid.py", "--versions", "1.0,1.5", "--why")
    [border] = events(run, "border")
    assert (border["side"], border["before"], border["after"]) == ("loaded", "1.3", "1.4")
    [difference] = border["differences"]
    assert (difference["name"], difference["expected"], difference["got"]) == ("weights", "0.25", "0.75")
    assert border["fields"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--route", "1.0"), "--route '1.0' isn't two versions."),
        (("--route", "1.0:9"), "--route names 9, and no version of the grid that loads is that one."),
        (("--route", "0.9:1.2"), "--route names 0.9, and no version of the grid that saves is that one."),
        (("--route", "1.0:1.0"), "--route begins and ends with the same version."),
        (("--resave", "python a.py {product} {target}"), "--resave is for commands, and there is a FILE."),
        (("--resave", "python a.py {product}"), "--resave doesn't say where the product is, and where the new one"),
    ],
)
def test_a_way_that_cannot_be_meant_is_told_before_anything_runs(
    formats: User, words: tuple[str, ...], told: str
) -> None:
    formats.write("check_grid.py", RESAVING)
    run = formats.run("grid", "check_grid.py", "--versions", "1.0,1.2", *words)
    assert (run.code, run.out) == (2, "")
    assert told in run.err
