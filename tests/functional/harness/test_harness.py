"""The harness, started as the project starts it, in every CPython from 3.6 on that this machine has."""

from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.functional.harness.bench import HARNESS, Bench, Ran
from tf_tester.core.outcome.harness_events import HarnessEvent

# ---------------------------------------------------------------------------------------------------------------------
# the code itself


def test_every_file_of_the_harness_is_python_3_6() -> None:
    for file in HARNESS.rglob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_harness_imports_the_standard_library_only() -> None:
    imported = set()
    for file in HARNESS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"pytest", "IPython", "numpy", "_tf_tester_harness"}


def test_one_session_writes_every_kind_of_event(bench: Bench, python: str) -> None:
    bench.write(
        watched="", test_it="import watched, unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass"
    )
    ran = bench.run(python, "unittest", "test_it.py", watch=["watched"])
    saves = "from tf_tester_helper import *\n@producer('m')\ndef save(path): record('x', 1)\n"
    bench.write(grid=f"{saves}@resaver('m')\ndef again(path, target): pass")
    variables = {"TF_TESTER_VALUES": str(bench.folder)}
    grid = bench.run(python, "product", "grid.py", role="producer", place=str(bench.folder), environment=variables)
    of_forks = {"forking", "unforked", "field-said", "field-ended"}  # in test_forks.py
    assert {*ran.kinds, *grid.kinds} | of_forks == {kind.__struct_config__.tag for kind in get_args(HarnessEvent)}


@pytest.mark.parametrize("line", ["'many'", "10 ** 400", "-1", "True", "None"])
def test_a_syntax_error_may_have_any_line(bench: Bench, edge: str, line: str) -> None:
    ran = bench.script(edge, f"raise SyntaxError('m', ('/x.py', {line}, 1, 5))")
    exception = ran.row["exception"]
    assert (exception["type"], exception["file"], exception["text"]) == ("SyntaxError", "/x.py", None)
    assert exception["line"] == (1 if line == "True" else None)


def test_a_reason_to_skip_may_be_any_object(bench: Bench, edge: str) -> None:
    text = """
        import unittest
        class T(unittest.TestCase):
            @unittest.skip(5)
            def test_skip(self): pass
        """
    ran = bench.write(test_it=text).run(edge, "unittest", "test_it.py")
    assert (ran.row["status"], ran.row["reason"]) == ("skip", "5")


# ---------------------------------------------------------------------------------------------------------------------
# script: outcomes


def test_a_script_that_ends_passes(bench: Bench, python: str) -> None:
    ran = bench.script(python, "print('hello')")
    assert (ran.exit_code, ran.out, ran.err) == (0, "hello\n", "")
    assert ran.kinds == ["start", "test-start", "test", "end"]
    assert ran.row["id"] == "script.py"
    assert ran.row["status"] == "pass"
    assert ran.row["exit_code"] == 0
    assert ran.row["exception"] is ran.row["reason"] is None
    assert (ran.row["stdout"], ran.row["stderr"], ran.row["traceback"]) == ("", "", "")
    assert ran.event("end")["exit_code"] == 0
    assert ran.event("end")["collected"] == 1


def test_a_row_has_exactly_the_promised_fields(bench: Bench, edge: str) -> None:
    row = bench.script(edge, "raise ValueError('x')").row
    assert set(row) == {
        *("event", "id", "status", "exception", "traceback", "stdout", "stderr", "reason", "warnings", "remarks"),
        *("wall_s", "cpu_s", "peak_rss_kib", "exit_code", "could_not_begin"),
    }
    assert set(row["exception"]) == {"type", "message", "file", "line", "function", "text", "in_package"}


def test_the_start_says_which_interpreter_runs(bench: Bench, edge: str) -> None:
    bench.write(
        script="import platform, sys; print(platform.python_version(), platform.python_implementation(), sys.prefix)"
    )
    ran = bench.run(edge, "script", "script.py")
    start = ran.event("start")
    assert f"{start['python']} {start['implementation']} {start['prefix']}\n" == ran.out
    assert Path(start["executable"]).exists()
    assert start["pid"] > 0


FAILING = """
    class Trouble(Exception):
        pass

    def cause_it():
        raise Trouble("no\\nway")

    cause_it()
    """


def test_a_script_that_raises_fails_with_the_place(bench: Bench, python: str) -> None:
    ran = bench.script(python, FAILING)
    assert ran.exit_code == ran.row["exit_code"] == ran.event("end")["exit_code"] == 1
    assert ran.row["status"] == "fail"
    assert ran.row["exception"] == {
        "type": "Trouble",
        "message": "no\nway",
        "file": str(bench.folder / "script.py"),
        "line": 6,
        "function": "cause_it",
        "text": 'raise Trouble("no\\nway")',
        "in_package": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        FAILING,
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('k')",
        "def deeper(n):\n    return deeper(n + 1)\ndeeper(0)",
        "import absent_module",
        "def broken(:\n    pass",
    ],
    ids=["raise", "chain", "recursion", "import", "syntax"],
)
def test_python_prints_the_traceback_as_without_the_harness(bench: Bench, edge: str, text: str) -> None:
    ran = bench.script(edge, text)
    expected = bench.bare(edge)
    if "deeper" in text:  # the harness's own few frames count against the limit
        assert ran.err.splitlines()[-1] == expected.stderr.splitlines()[-1]
    else:
        assert ran.err == expected.stderr
    assert ran.exit_code == expected.returncode == 1
    assert "harness" not in ran.row["traceback"].replace(str(bench.folder), "")
    assert ran.row["traceback"].splitlines()[-1] == expected.stderr.splitlines()[-1]


@pytest.mark.parametrize("code", ["", "3", "-1", "256", "True", "'words'", "(1, 2)"])
def test_sys_exit_leaves_as_without_the_harness(bench: Bench, edge: str, code: str) -> None:
    ran = bench.script(edge, f"import sys; sys.exit({code})")
    expected = bench.bare(edge)
    assert (ran.exit_code, ran.out, ran.err) == (expected.returncode, expected.stdout, expected.stderr)
    assert ran.row["exit_code"] == ran.event("end")["exit_code"] == expected.returncode
    assert ran.row["status"] == ("fail" if expected.returncode else "pass")
    if expected.returncode:
        assert ran.row["exception"]["type"] == "SystemExit"
        assert ran.row["exception"]["line"] == 1


def test_a_syntax_error_in_the_script_is_an_error_with_its_place(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "x = 1\ndef broken(:\n    pass\n")
    assert ran.row["status"] == "error"
    exception = ran.row["exception"]
    assert (exception["type"], exception["line"], exception["text"]) == ("SyntaxError", 2, "def broken(:")
    assert exception["file"] == str(bench.folder / "script.py")


def test_a_script_that_cannot_be_read_is_an_error(bench: Bench, edge: str) -> None:
    ran = bench.run(edge, "script", "absent.py")
    assert (ran.exit_code, ran.row["status"], ran.row["exception"]["type"]) == (2, "error", "FileNotFoundError")


def test_null_bytes_in_the_script_are_an_error(bench: Bench, edge: str) -> None:
    (bench.folder / "script.py").write_bytes(b"x = 1\0\n")
    assert bench.run(edge, "script", "script.py").row["status"] == "error"


def test_a_keyboard_interrupt_of_the_script_fails(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "raise KeyboardInterrupt")
    assert ran.exit_code == ran.row["exit_code"] == 130
    assert (ran.row["status"], ran.row["exception"]["type"]) == ("fail", "KeyboardInterrupt")
    assert ran.err == bench.bare(edge).stderr


def test_the_users_excepthook_sees_the_exception(bench: Bench, edge: str) -> None:
    text = """
        import sys
        def hook(kind, error, trace):
            print(kind.__name__, trace.tb_frame.f_code.co_filename == __file__, trace is error.__traceback__)
        sys.excepthook = hook
        1 / 0
        """
    ran = bench.script(edge, text)
    assert ran.out == "ZeroDivisionError True True\n"
    assert (ran.err, ran.exit_code, ran.row["status"]) == ("", 1, "fail")


def test_an_excepthook_that_fails_is_reported_as_python_does(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "import sys\nsys.excepthook = lambda *what: [][1]\n1 / 0")
    assert "Error in sys.excepthook:" in ran.err
    assert "IndexError" in ran.err
    assert "Original exception was:" in ran.err
    assert ran.err.rstrip().endswith("ZeroDivisionError: division by zero")
    assert ran.exit_code == 1


def test_a_folder_runs_its_main_file(bench: Bench, edge: str) -> None:
    bench.write(app____main="").folder.joinpath("app", "__main__.py").write_text("import part; print(part.NAME)")
    bench.folder.joinpath("app", "part.py").write_text("NAME = 'part'")
    ran = bench.run(edge, "script", "app")
    assert (ran.out, ran.row["id"], ran.row["status"]) == ("part\n", "app", "pass")


# ---------------------------------------------------------------------------------------------------------------------
# script: how the process ends


def test_os_exit_leaves_no_row_and_no_end(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "import os; os._exit(7)")
    assert ran.exit_code == 7
    assert ran.kinds == ["start", "test-start"]


def test_a_crash_leaves_a_python_stack(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "import ctypes\ndef boom():\n    ctypes.string_at(0)\nboom()")
    assert ran.exit_code == -signal.SIGSEGV
    assert ran.kinds == ["start", "test-start"]
    assert "Segmentation fault" in ran.err
    assert "in boom" in ran.err


def test_a_crash_while_python_shuts_down_comes_after_the_end(bench: Bench, edge: str) -> None:
    text = """
        import ctypes
        class AtTheEnd:
            def __del__(self, read=ctypes.string_at):
                read(0)
        __builtins__.kept = AtTheEnd()
        """
    ran = bench.script(edge, text)
    assert ran.kinds == ["start", "test-start", "test", "end"]
    assert ran.exit_code == -signal.SIGSEGV


def test_the_end_comes_after_the_users_exit_handlers_and_threads(bench: Bench, edge: str) -> None:
    text = """
        import atexit, os, threading
        def note(what):
            with open(os.environ["EVENTS"], "a") as events:
                events.write('{"event": "%s"}\\n' % what)
        atexit.register(note, "handler")
        def late():
            threading.main_thread().join()
            note("thread")
        threading.Thread(target=late).start()
        """
    environment = {"EVENTS": str(bench.folder.parent / "events.jsonl")}
    ran = bench.script(edge, text, environment=environment, foreign=("thread", "handler"))
    assert ran.kinds == ["start", "test-start", "test", "thread", "handler", "end"]


@pytest.mark.parametrize("way_out", ["pass", "sys.exit(5)", "raise ValueError", "import atexit; atexit.register(int)"])
def test_a_forked_child_writes_no_events(bench: Bench, edge: str, way_out: str) -> None:
    text = f"""
        import os, sys
        child = os.fork()
        if child == 0:
            {way_out}
        else:
            print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
        """
    ran = bench.script(edge, text)
    assert ran.kinds == ["start", "test-start", "test", "end"]
    assert ran.row["status"] == "pass"
    assert ran.out.split()[-1] == {"sys.exit(5)": "5", "raise ValueError": "1"}.get(way_out, "0")


def test_an_event_never_goes_into_a_file_of_the_user(bench: Bench, edge: str) -> None:
    text = """
        import os
        os.closerange(3, 100)
        theirs = [open(os.path.join(os.path.dirname(__file__), "theirs%d" % number), "w") for number in range(5)]
        """
    ran = bench.script(edge, text)
    assert ran.kinds == ["start", "test-start", "test", "end"]
    assert [file.read_text() for file in bench.folder.glob("theirs*")] == [""] * 5


def test_a_script_without_free_descriptors_still_has_its_row(bench: Bench, edge: str) -> None:
    text = """
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        files = []
        while True:
            files.append(open(os.devnull))
        """
    ran = bench.script(edge, text)
    assert (ran.row["status"], ran.row["exception"]["type"]) == ("fail", "OSError")
    assert ran.kinds[-1] == "end"


# ---------------------------------------------------------------------------------------------------------------------
# script: the interpreter looks as it does without the harness

LOOK_AROUND = """
    import sys
    main = sys.modules["__main__"]
    for fact in [
        sys.path, sys.argv, sorted(globals()), __name__, __file__, __spec__, __package__, type(__loader__).__name__,
        __loader__.get_filename("__main__") if hasattr(__loader__, "get_filename") else None,
        type(__builtins__).__name__, main.__dict__ is globals(), sys.dont_write_bytecode,
        len([one for one in sys.meta_path if not getattr(one, "__module__", "").endswith("importing.provided")]),
        sys.stdout.encoding, sys.stderr.errors, sys.getrecursionlimit(),
    ]:
        print(fact)
    """


def test_a_script_sees_what_it_sees_without_the_harness(bench: Bench, python: str) -> None:
    ran = bench.script(python, LOOK_AROUND, args=["--flag", "value"])
    assert ran.out == bench.bare(python, "--flag", "value").stdout
    assert ran.row["status"] == "pass"


@pytest.mark.parametrize(
    "environment", [{"PYTHONSAFEPATH": "1"}, {"PYTHONPATH": "/somewhere"}, {"PYTHONIOENCODING": "latin-1"}]
)
def test_environment_variables_act_as_without_the_harness(bench: Bench, edge: str, environment: dict[str, str]) -> None:
    ran = bench.script(edge, LOOK_AROUND, environment=environment)
    assert ran.out == bench.bare(edge, environment=environment).stdout


def test_a_script_behind_a_symlink_sees_the_folder_of_its_file(bench: Bench, edge: str) -> None:
    bench.write(real__target="import sys; print(sys.path[0])")
    (bench.folder / "script.py").symlink_to("real/target.py")
    ran = bench.run(edge, "script", "script.py")
    assert ran.out == bench.bare(edge).stdout == f"{bench.folder}/real\n"


def test_the_harness_leaves_few_modules_behind(bench: Bench, edge: str) -> None:
    bench.write(
        script="import sys; print(*[name for name in sys.modules if not name.startswith('_tf_tester_harness')])"
    )
    more = set(bench.run(edge, "script", "script.py").out.split()) - set(bench.bare(edge).stdout.split())
    assert not more & {
        "typing",
        "dataclasses",
        "argparse",
        "subprocess",
        "threading",
        "logging",
        "unittest",
        "importlib.util",
    }


def test_pickle_multiprocessing_and_inspect_find_main(bench: Bench, python: str) -> None:
    text = """
        import inspect, multiprocessing, pickle

        class Thing:
            def __init__(self, size):
                self.size = size

        def double(thing):
            return Thing(2 * thing.size)

        if __name__ == "__main__":
            assert pickle.loads(pickle.dumps(Thing(3))).size == 3
            assert "2 * thing.size" in inspect.getsource(double)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                assert pool.map(double, [Thing(4)])[0].size == 8
            print("done")
        """
    ran = bench.script(python, text)
    assert (ran.out, ran.err, ran.row["status"]) == ("done\n", "", "pass")
    assert ran.kinds == ["start", "test-start", "test", "end"]


def test_a_users_module_named_like_one_of_the_standard_library_is_found(bench: Bench, python: str) -> None:
    own = {
        name: f"MINE = {name!r}" for name in ("json", "traceback", "linecache", "events", "session", "rows", "resource")
    }
    text = """
        import json, events, session, resource
        print(json.MINE, events.MINE, session.MINE, resource.MINE)
        raise ValueError("x")
        """
    ran = bench.write(**own).script(python, text)
    assert ran.out == "json events session resource\n"
    assert (ran.row["status"], ran.row["exception"]["line"]) == ("fail", 4)
    assert ran.row["traceback"].endswith("ValueError: x\n")


def test_no_bytecode_is_written_beside_the_users_files(bench: Bench, edge: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "framework.py").write_text("")
    bench.write(
        part="", test_part="import part, framework, unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass"
    )
    environment = {"PYTHONPATH": str(tmp_path / "elsewhere")}
    runs = [bench.script(edge, "import part, framework", environment=environment)]
    runs.append(bench.run(edge, "unittest", "test_part.py", environment=environment))
    runs.append(bench.run(sys.executable, "pytest", "test_part.py", environment=environment))
    assert [[row["status"] for row in ran.rows.values()] for ran in runs] == [["pass"]] * 3
    assert not list(bench.folder.rglob("__pycache__"))
    assert list((tmp_path / "elsewhere" / "__pycache__").iterdir()), "the environment's bytecode is wanted"


# ---------------------------------------------------------------------------------------------------------------------
# script: hostile code


def test_what_the_user_breaks_does_not_break_the_row(bench: Bench, edge: str) -> None:
    text = """
        import json, os, sys, time, traceback, builtins
        sys.stdout.close()
        sys.stdout = None
        sys.stderr = None
        os.chdir("/")
        sys.path[:] = []
        def forbidden(*args, **options):
            raise RuntimeError("replaced")
        json.dumps = time.time = time.perf_counter = os.write = os.getpid = builtins.open = forbidden
        import warnings
        warnings.simplefilter("error")
        raise ValueError("the real one")
        """
    ran = bench.script(edge, text)
    assert ran.row["exception"]["message"] == "the real one"
    assert ran.row["wall_s"] > 0
    assert ran.kinds == ["start", "test-start", "test", "end"]


def test_a_removed_current_directory_is_no_obstacle(bench: Bench, edge: str) -> None:
    text = """
        import os, tempfile
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)
        raise ValueError
        """
    ran = bench.script(edge, text)
    assert ran.row["exception"]["line"] == 6
    assert ran.kinds[-1] == "end"


@pytest.mark.parametrize("raised", ["ValueError('in str')", "SystemExit(3)"])
def test_an_exception_whose_str_raises_is_described(bench: Bench, edge: str, raised: str) -> None:
    ran = bench.script(edge, f"class Nasty(Exception):\n    def __str__(self): raise {raised}\nraise Nasty()")
    assert ran.row["status"] == "fail"
    assert (ran.row["exception"]["type"], ran.row["exception"]["message"]) == ("Nasty", "<exception str() failed>")


def test_a_message_of_ten_megabytes_is_cut(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "raise ValueError('a' * 10_000_000 + 'the end')", limit=5000)
    assert len(ran.row["exception"]["message"]) == 2000
    assert len(ran.row["traceback"]) <= 5000
    assert ran.row["traceback"].startswith("Traceback")
    assert "characters left out" in ran.row["traceback"]
    assert ran.row["traceback"].endswith("the end\n")


def test_surrogates_and_control_characters_stay_valid_json(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, r"raise ValueError('\ud800 \x00 \udcff \U0001f600 é')")
    assert ran.row["exception"]["message"] == "\\ud800 \0 \\udcff \U0001f600 é"


@pytest.mark.whole
def test_deep_recursion_is_described(bench: Bench, python: str) -> None:
    text = """
        import sys
        sys.setrecursionlimit(3000)
        def even(n): return odd(n + 1)
        def odd(n): return even(n + 1)
        even(0)
        """
    ran = bench.script(python, text)
    assert ran.row["exception"]["type"] == "RecursionError"
    assert ran.row["exception"]["function"] in ("even", "odd")
    assert len(ran.row["traceback"]) <= 65536


def test_a_chain_of_thousands_of_causes_is_described(bench: Bench, edge: str) -> None:
    text = """
        error = ValueError("first")
        for number in range(5000):
            following = ValueError(number)
            following.__cause__ = error
            error = following
        import sys
        sys.excepthook = lambda *what: None
        raise error
        """
    ran = bench.script(edge, text)
    assert ran.row["exception"]["message"] == "4999"
    assert "ValueError: 4999" in ran.row["traceback"]


def test_an_exception_type_has_its_module_as_python_prints_it(bench: Bench, edge: str) -> None:
    bench.write(errors="class Outer:\n    class Bad(Exception): pass")
    assert (
        bench.script(edge, "import errors; raise errors.Outer.Bad('x')").row["exception"]["type"] == "errors.Outer.Bad"
    )


# ---------------------------------------------------------------------------------------------------------------------
# script: what is measured


def test_time_and_memory_are_measured_with_children(bench: Bench, edge: str) -> None:
    busy = "import time\\nuntil = time.process_time() + 0.1\\nwhile time.process_time() < until: pass"
    text = f"""
        import subprocess, sys, time
        time.sleep(0.1)
        size = 40 * 1024 * 1024
        block = bytearray(b"x") * size
        del block
        subprocess.check_call([sys.executable, "-c", "{busy}"])
        """
    row = bench.script(edge, text).row
    assert row["wall_s"] >= 0.2
    assert 0.1 <= row["cpu_s"] < row["wall_s"]
    assert 40 * 1024 < row["peak_rss_kib"] < 200 * 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="VmHWM is a field of Linux")
def test_the_peak_of_the_parent_process_is_not_the_tests(bench: Bench, edge: str) -> None:
    block = bytearray(b"x") * (150 * 1024 * 1024)
    row = bench.script(edge, "pass").row
    del block
    assert row["peak_rss_kib"] < 100 * 1024


def test_warnings_are_recorded_as_shown(bench: Bench, python: str) -> None:
    text = """
        import warnings
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("old", DeprecationWarning)
        warnings.simplefilter("ignore")
        warnings.warn("hidden")
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn("caught")
        with warnings.catch_warnings():
            warnings.warn("inside")
        class Own(UserWarning): pass
        warnings.warn(Own("own"))
        """
    ran = bench.script(python, text)
    found = [
        (warning["category"], warning["message"], warning["line"], warning["count"]) for warning in ran.row["warnings"]
    ]
    assert found == [("DeprecationWarning", "old", 5, 3), ("UserWarning", "inside", 12, 1), ("Own", "own", 14, 1)]
    assert {warning["file"] for warning in ran.row["warnings"]} == {str(bench.folder / "script.py")}
    assert ran.err == bench.bare(python).stderr


def test_a_resource_warning_is_printed_as_without_the_harness(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "import warnings\nwarnings.simplefilter('always')\nopen(__file__)\nx = 1\n")
    assert ran.err == bench.bare(edge).stderr
    assert [warning["category"] for warning in ran.row["warnings"]] == ["ResourceWarning"]


def test_the_warnings_of_compiling_the_script_are_recorded(bench: Bench, edge: str) -> None:
    ran = bench.script(edge, "assert (1, 'always true')\n")
    assert [warning["category"] for warning in ran.row["warnings"]] == ["SyntaxWarning"]


def test_at_most_a_hundred_distinct_warnings_are_kept(bench: Bench, edge: str) -> None:
    text = "import warnings\nfor n in range(300):\n    warnings.warn('number %d' % (n % 150))"
    assert len(bench.script(edge, text).row["warnings"]) == 100


# ---------------------------------------------------------------------------------------------------------------------
# imports and the distribution


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of importable things that stands for site-packages."""
    folder = tmp_path / "site"
    files = {
        "framework/__init__.py": "import time; time.sleep(0.02)\nfrom . import ops\n",
        "framework/ops.py": "def divide(a, b):\n    return helper.ratio(a, b)\nimport helper\n",
        "helper.py": "def ratio(a, b):\n    return a / b\n",
        "broken/__init__.py": "from . import parts\n",
        "broken/parts.py": "import absent_dependency\n",
        "crashing/__init__.py": "1 / 0\n",
        "spaced/part.py": "",
        "single.py": "",
        "noisy/__init__.py": "import warnings\nwarnings.warn('soon gone', FutureWarning, stacklevel=2)\n",
        "Frame_Work-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: Frame.Work\nVersion: 1.2.3\n\nVersion: 9",
        "framework_extras-7.0.dist-info/METADATA": "Name: framework-extras\nVersion: 7.0\n",
        "empty-1.0.dist-info/RECORD": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def imported(ran: Ran) -> list[tuple[str, bool]]:
    return [(event["name"], event["ok"]) for event in ran.events if event["event"] == "import"]


def test_the_first_import_of_a_watched_package_is_timed(bench: Bench, python: str, site: Path) -> None:
    text = """
        import sys
        ours = "_tf_tester_harness.importing.imports"
        assert len([finder for finder in sys.meta_path if type(finder).__module__ == ours]) == 1
        import framework.ops, single, importlib
        importlib.reload(framework)
        assert all(type(finder).__module__ != ours for finder in sys.meta_path)
        loader = framework.__spec__.loader
        assert type(loader).__name__ == "SourceFileLoader", loader
        assert framework.__loader__ is loader
        assert "exec_module" not in vars(loader)
        """
    ran = bench.script(python, text, watch=["framework", "single"], environment={"PYTHONPATH": str(site)})
    assert ran.row["status"] == "pass", ran.err
    assert imported(ran) == [("framework", True), ("single", True)]
    assert ran.events[2]["wall_s"] >= 0.02
    assert ran.events[2]["wall_s"] > ran.events[2]["cpu_s"] > 0
    assert set(ran.events[2]) == {"event", "name", "wall_s", "cpu_s", "ok", "version", "foreign"}


def test_a_failing_import_is_timed_and_its_traceback_unchanged(bench: Bench, python: str, site: Path) -> None:
    text = """
        import traceback
        try:
            import broken
        except ImportError:
            traceback.print_exc()
        import crashing
        """
    environment = {"PYTHONPATH": str(site)}
    ran = bench.script(python, text, watch=["broken", "crashing"], environment=environment)
    assert imported(ran) == [("broken", False), ("crashing", False)]
    assert ran.err == bench.bare(python, environment=environment).stderr


@pytest.mark.parametrize(("name", "file"), [("broken", "parts.py"), ("crashing", "__init__.py")])
def test_a_failing_import_names_the_place_in_the_package(
    bench: Bench, edge: str, site: Path, name: str, file: str
) -> None:
    ran = bench.script(edge, f"import {name}", watch=[name], environment={"PYTHONPATH": str(site)})
    place = ran.row["exception"]["in_package"]
    assert place == {"file": str(site / name / file), "line": 1, "function": "<module>"}


def test_the_innermost_frame_in_the_package_is_named(bench: Bench, edge: str, site: Path) -> None:
    text = "import framework\nframework.ops.divide(1, 0)"
    exception = bench.script(edge, text, watch=["framework"], environment={"PYTHONPATH": str(site)}).row["exception"]
    assert (exception["file"], exception["function"]) == (str(site / "helper.py"), "ratio")
    assert exception["in_package"] == {"file": str(site / "framework" / "ops.py"), "line": 2, "function": "divide"}


def test_a_namespace_package_imports_untimed(bench: Bench, edge: str, site: Path) -> None:
    ran = bench.script(edge, "import spaced.part", watch=["spaced"], environment={"PYTHONPATH": str(site)})
    assert (ran.row["status"], imported(ran)) == ("pass", [])


def test_looking_for_a_watched_package_does_not_import_it(bench: Bench, edge: str, site: Path) -> None:
    text = """
        import importlib.machinery, importlib.util
        spec = importlib.util.find_spec("single")
        assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        assert importlib.util.find_spec("absent") is None
        """
    ran = bench.script(edge, text, watch=["single", "absent"], environment={"PYTHONPATH": str(site)})
    assert (ran.row["status"], imported(ran)) == ("pass", [])


def test_a_warning_at_import_points_to_the_importing_line(bench: Bench, python: str, site: Path) -> None:
    environment = {"PYTHONPATH": str(site)}
    ran = bench.script(python, "x = 1\nimport noisy", watch=["noisy"], environment=environment)
    (warning,) = ran.row["warnings"]
    assert (warning["file"], warning["line"]) == (str(bench.folder / "script.py"), 2)
    assert ran.err == bench.bare(python, environment=environment).stderr


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("frame-work", "1.2.3"),
        ("FRAME_WORK", "1.2.3"),
        ("framework", None),
        ("framework-extras", "7.0"),
        ("empty", None),
    ],
)
def test_the_installed_version_is_read_from_its_metadata(
    bench: Bench, site: Path, name: str, version: str | None
) -> None:
    ran = bench.script(sys.executable, "pass", distribution=name, environment={"PYTHONPATH": str(site)})
    assert ran.event("start")["distribution"] == (version and {"name": name, "version": version})


# ---------------------------------------------------------------------------------------------------------------------
# unittest

UNITTEST = """
    import asyncio, sys, unittest, warnings

    class Works(unittest.TestCase):
        def test_pass(self):
            print("to stdout")
            sys.stderr.write("to stderr")
            sys.stdout.buffer.write(b"\\xff\\n")
        def test_fail(self): self.assertEqual(1, 2)
        def test_raise(self): raise KeyError("k")
        def test_exit(self): sys.exit(3)
        @unittest.skip("not today")
        def test_skip(self): pass
        def test_skip_inside(self): self.skipTest("not here")
        @unittest.expectedFailure
        def test_xfail(self): self.fail()
        @unittest.expectedFailure
        def test_xpass(self): pass
        def test_parts(self):
            for number in range(3):
                with self.subTest(number=number):
                    self.assertNotEqual(number, 1)
        def test_skipped_part(self):
            with self.subTest("one"):
                self.skipTest("part")
        def test_warning(self): warnings.warn("old", DeprecationWarning)
        def test_prints_a_traceback(self):
            import traceback
            try:
                1 / 0
            except ZeroDivisionError:
                traceback.print_exc()
        def test_closes_stdout(self): sys.stdout.close()
        def test_zzz_after_closing(self): print("still here")

    class BadSetUp(unittest.TestCase):
        def setUp(self): raise OSError("set up")
        def test_it(self): pass

    class BadTearDown(unittest.TestCase):
        def tearDown(self): raise OSError("tear down")
        def test_it(self): pass

    class BadCleanup(unittest.TestCase):
        def test_it(self): self.addCleanup(lambda: 1 / 0)

    class BadClass(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise OSError("class")
        def test_one(self): pass
        def test_two(self): pass

    class BadClassEnd(unittest.TestCase):
        @classmethod
        def tearDownClass(cls): raise OSError("class end")
        def test_it(self): pass

    class SkippedClass(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise unittest.SkipTest("whole class")
        def test_it(self): pass

    if sys.version_info >= (3, 8):
        class Asynchronous(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                if self._testMethodName == "test_set_up": raise OSError("async set up")
            async def test_set_up(self): pass
            async def test_fail(self): self.assertEqual(1, 2)
            async def test_pass(self): await asyncio.sleep(0)
    """

UNITTEST_STATUSES = {
    "Works::test_pass": "pass",
    "Works::test_fail": "fail",
    "Works::test_raise": "fail",
    "Works::test_exit": "fail",
    "Works::test_skip": "skip",
    "Works::test_skip_inside": "skip",
    "Works::test_xfail": "pass",
    "Works::test_xpass": "fail",
    "Works::test_parts": "fail",
    "Works::test_skipped_part": "pass",
    "Works::test_warning": "pass",
    "Works::test_prints_a_traceback": "pass",
    "Works::test_closes_stdout": "pass",
    "Works::test_zzz_after_closing": "pass",
    "BadSetUp::test_it": "error",
    "BadTearDown::test_it": "error",
    "BadCleanup::test_it": "error",
    "BadClass::test_one": "error",
    "BadClass::test_two": "error",
    "BadClassEnd::test_it": "pass",
    "BadClassEnd": "error",
    "SkippedClass::test_it": "skip",
    "Asynchronous::test_set_up": "error",
    "Asynchronous::test_fail": "fail",
    "Asynchronous::test_pass": "pass",
}


def test_every_unittest_outcome_has_its_status(bench: Bench, python: str) -> None:
    bench.write(test_all=UNITTEST, unrelated="raise ValueError")
    ran = bench.run(python, "unittest", "test_all.py")
    old = ran.event("start")["python"].startswith(("3.6.", "3.7."))
    expected = {
        f"test_all.py::{id}": status for id, status in UNITTEST_STATUSES.items() if not (old and id.startswith("Async"))
    }
    assert ran.statuses == expected
    assert ran.exit_code == ran.event("end")["exit_code"] == 1
    assert set(ran.event("collected")["ids"]) == set(expected) - {"test_all.py::BadClassEnd"}
    assert ran.event("end")["collected"] == len(expected) - 1

    def row(id: str) -> dict[str, Any]:
        return ran.rows[f"test_all.py::{id}"]

    assert (row("Works::test_pass")["stdout"], row("Works::test_pass")["stderr"]) == ("to stdout\n\\xff\n", "to stderr")
    assert row("Works::test_zzz_after_closing")["stdout"] == "still here\n"
    failure = row("Works::test_fail")["exception"]
    assert (failure["message"], failure["function"], failure["line"]) == ("1 != 2", "test_fail", 9)
    assert row("Works::test_raise")["traceback"].startswith("Traceback (most recent call last):\n  File ")
    assert "case.py" not in row("Works::test_fail")["traceback"]
    assert row("Works::test_skip")["reason"] == "not today"
    assert row("Works::test_skip_inside")["reason"] == "not here"
    assert row("SkippedClass::test_it")["reason"] == "whole class"
    assert row("Works::test_xfail")["reason"] == "xfail: expected failure"
    assert row("Works::test_xpass")["remarks"] == ["passed, but was expected to fail"]
    assert row("Works::test_skipped_part")["remarks"] == ["a subtest was skipped: part"]
    assert row("Works::test_prints_a_traceback")["remarks"] == ["passed, but printed a traceback"]
    assert [warning["message"] for warning in row("Works::test_warning")["warnings"]] == ["old"]
    assert row("Works::test_fail")["warnings"] == []
    assert row("BadClass::test_two")["exception"]["message"] == "class"


def test_a_unittest_file_whose_tests_are_all_skipped_exits_0(bench: Bench, edge: str) -> None:
    bench.write(
        test_it="import unittest\n@unittest.skip('all')\nclass T(unittest.TestCase):\n    def test_it(self): pass"
    )
    ran = bench.run(edge, "unittest", "test_it.py")
    assert (ran.exit_code, ran.statuses) == (0, {"test_it.py::T::test_it": "skip"})


ONE_TEST = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass"


def test_a_unittest_folder_has_a_row_for_each_file_it_cannot_load(bench: Bench, python: str) -> None:
    bench.write(
        test_good=ONE_TEST,
        test_import="import absent_module",
        test_syntax="def broken(:",
        test_exit="import sys; sys.exit(1)",
        test_skip="import unittest; raise unittest.SkipTest('no device')",
        pack__test_deep=ONE_TEST,
        pack__test_raise="1 / 0",
    )
    (bench.folder / "pack" / "__init__.py").touch()
    ran = bench.run(python, "unittest", ".")
    assert ran.statuses == {
        "test_good.py::T::test_it": "pass",
        "test_import.py": "error",
        "test_syntax.py": "error",
        "test_exit.py": "error",
        "test_skip.py": "skip",
        "pack/test_deep.py::T::test_it": "pass",
        "pack/test_raise.py": "error",
    }
    assert ran.rows["test_import.py"]["exception"]["type"] == "ModuleNotFoundError"
    assert ran.rows["test_import.py"]["exception"]["text"] == "import absent_module"
    assert ran.rows["test_syntax.py"]["exception"]["text"] == "def broken(:"
    assert ran.rows["test_exit.py"]["exception"]["type"] == "SystemExit"
    assert ran.rows["pack/test_raise.py"]["exception"]["type"] == "ZeroDivisionError"
    assert ran.rows["test_skip.py"]["reason"] == "no device"


def test_a_unittest_target_without_tests_is_empty(bench: Bench, edge: str) -> None:
    bench.write(test_good=ONE_TEST, test_empty="x = 1")
    (bench.folder / "nothing").mkdir()
    ran = bench.run(edge, "unittest", "test_good.py", "test_empty.py", "nothing", "absent.py")
    assert ran.statuses == {
        "test_good.py::T::test_it": "pass",
        "test_empty.py": "empty",
        "nothing": "empty",
        "absent.py": "error",
    }
    assert ran.rows["test_empty.py"]["reason"] == ran.rows["nothing"]["reason"] == "no tests were found"
    assert ran.rows["absent.py"]["exception"]["type"] == "FileNotFoundError"
    assert ran.exit_code == 1


def test_unittest_runs_a_file_of_a_package_and_one_with_an_odd_name(bench: Bench, edge: str) -> None:
    bench.write(pack__base="import unittest\nclass Base(unittest.TestCase):\n    def test_it(self): pass")
    (bench.folder / "pack" / "__init__.py").touch()
    (bench.folder / "pack" / "check-it.py").write_text("from .base import Base as First\n")
    ran = bench.run(edge, "unittest", "pack/check-it.py")
    assert ran.statuses == {"pack/check-it.py::Base::test_it": "pass"}


def test_unittest_leaves_out_what_ran_before(bench: Bench, edge: str) -> None:
    bench.write(test_it=ONE_TEST + "\n    def test_more(self): pass")
    ran = bench.run(edge, "unittest", "test_it.py", deselect=["test_it.py::T::test_it"])
    assert ran.statuses == {"test_it.py::T::test_more": "pass"}
    ran = bench.run(edge, "unittest", "test_it.py", deselect=["test_it.py::T::test_it", "test_it.py::T::test_more"])
    assert (ran.statuses, ran.exit_code) == ({}, 5)


def test_a_keyboard_interrupt_ends_unittest_and_no_row_is_missing(bench: Bench, edge: str) -> None:
    text = """
        import unittest
        class T(unittest.TestCase):
            def test_1(self): pass
            def test_2(self): raise KeyboardInterrupt
            def test_3(self): pass
        """
    ran = bench.write(test_it=text).run(edge, "unittest", "test_it.py")
    assert list(ran.statuses.values()) == ["pass", "fail", "skip"]
    assert ran.rows["test_it.py::T::test_2"]["exception"]["type"] == "KeyboardInterrupt"
    assert ran.rows["test_it.py::T::test_3"]["reason"].startswith("was not run: ")
    assert ran.exit_code == 130


def test_much_output_of_a_unittest_keeps_its_head_and_tail(bench: Bench, edge: str) -> None:
    text = """
        import unittest
        class T(unittest.TestCase):
            def test_it(self):
                print("the head")
                for number in range(20000):
                    print("x" * 100)
                print("the tail")
        """
    row = bench.write(test_it=text).run(edge, "unittest", "test_it.py", limit=1000).row
    assert len(row["stdout"]) <= 1000
    assert row["stdout"].startswith("the head")
    assert "left out" in row["stdout"]
    assert row["stdout"].endswith("the tail\n")


def test_a_crash_in_unittest_names_what_was_running_or_loading(bench: Bench, edge: str) -> None:
    crash = "__import__('ctypes').string_at(0)"
    bench.write(test_run=ONE_TEST.replace("pass", crash), test_load=f"{ONE_TEST}\n{crash}")
    ran = bench.run(edge, "unittest", "test_run.py")
    assert ran.events[-1] == {"event": "test-start", "id": "test_run.py::T::test_it"}
    ran = bench.run(edge, "unittest", "test_load.py")
    assert ran.events[-1] == {"event": "loading", "id": "test_load.py"}


# ---------------------------------------------------------------------------------------------------------------------
# pytest

PYTEST = """
    import sys, unittest, warnings
    import pytest

    warnings.warn("at import", DeprecationWarning)

    def test_pass():
        print("to stdout")
        sys.stderr.write("to stderr")
        warnings.warn("in test", FutureWarning)
    @pytest.mark.parametrize("number", [1, 2])
    def test_number(number): assert number == 1, "told so"
    def test_raise():
        def inner(): raise KeyError("k")
        inner()
    @pytest.mark.skip(reason="not today")
    def test_skip(): pass
    def test_skip_inside(): pytest.skip("not here")
    @pytest.mark.xfail(reason="known")
    def test_xfail(): assert False
    def test_xfail_inside(): pytest.xfail("known inside")
    @pytest.mark.xfail(run=False)
    def test_xfail_not_run(): assert False
    @pytest.mark.xfail(strict=True)
    def test_xpass_strict(): pass
    @pytest.mark.xfail
    def test_xpass(): pass
    @pytest.fixture
    def bad(): raise OSError("set up")
    @pytest.fixture
    def bad_end():
        yield
        raise OSError("tear down")
    def test_set_up(bad): pass
    def test_tear_down(bad_end): pass
    def test_both(bad_end): assert False
    def test_no_fixture(absent_fixture): pass
    def test_exit(): sys.exit(3)
    def test_fail(): pytest.fail("on purpose")
    def test_import(): import absent_module
    def test_prints_a_traceback():
        import traceback
        try:
            1 / 0
        except ZeroDivisionError:
            traceback.print_exc()
    class TestGroup:
        def test_in_class(self): pass
    class TestOld(unittest.TestCase):
        def test_unittest(self): self.assertEqual(1, 2)
        def test_parts(self):
            for number in range(3):
                with self.subTest(number=number):
                    assert number != 1
    """

PYTEST_STATUSES = {
    "test_pass": "pass",
    "test_number[1]": "pass",
    "test_number[2]": "fail",
    "test_raise": "fail",
    "test_skip": "skip",
    "test_skip_inside": "skip",
    "test_xfail": "pass",
    "test_xfail_inside": "pass",
    "test_xfail_not_run": "skip",
    "test_xpass_strict": "fail",
    "test_xpass": "pass",
    "test_set_up": "error",
    "test_tear_down": "error",
    "test_both": "fail",
    "test_no_fixture": "error",
    "test_exit": "fail",
    "test_fail": "fail",
    "test_import": "fail",
    "test_prints_a_traceback": "pass",
    "TestGroup::test_in_class": "pass",
    "TestOld::test_unittest": "fail",
    "TestOld::test_parts": "fail",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, harness: Path) -> Ran:
    """One run of every outcome that pytest knows."""
    bench = Bench(tmp_path_factory.mktemp("everything") / "user", harness)
    bench.write(tests__test_all=PYTEST)
    return bench.run(sys.executable, "pytest", "tests")


def test_every_pytest_outcome_has_its_status(everything: Ran) -> None:
    assert everything.statuses == {f"tests/test_all.py::{id}": status for id, status in PYTEST_STATUSES.items()}
    assert everything.exit_code == everything.event("end")["exit_code"] == 1
    assert everything.event("end")["collected"] == len(PYTEST_STATUSES)


def test_what_pytest_will_run_is_announced_first(everything: Ran) -> None:
    assert everything.kinds[:4] == ["start", "loading", "collected", "test-start"]
    assert sorted(everything.event("collected")["ids"]) == sorted(f"tests/test_all.py::{id}" for id in PYTEST_STATUSES)
    assert [warning["message"] for warning in everything.event("collected")["warnings"]] == ["at import"]


def of(ran: Ran, id: str) -> dict[str, Any]:
    return ran.rows[f"tests/test_all.py::{id}"]


def test_output_and_warnings_of_a_pytest_test_are_in_its_row(everything: Ran) -> None:
    row = of(everything, "test_pass")
    assert (row["stdout"], row["stderr"]) == ("to stdout\n", "to stderr")
    (warning,) = row["warnings"]
    assert (warning["category"], warning["message"], warning["line"], warning["count"]) == (
        "FutureWarning",
        "in test",
        10,
        1,
    )
    assert of(everything, "test_raise")["warnings"] == []
    assert of(everything, "test_prints_a_traceback")["remarks"] == ["passed, but printed a traceback"]


def test_a_failure_in_pytest_is_described_by_its_exception(everything: Ran) -> None:
    exception = of(everything, "test_raise")["exception"]
    assert (exception["type"], exception["message"], exception["function"]) == ("KeyError", "'k'", "inner")
    assert exception["text"] == 'def inner(): raise KeyError("k")'
    trace = of(everything, "test_raise")["traceback"].splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[1].endswith("in test_raise")
    assert trace[-1] == "KeyError: 'k'"
    assert of(everything, "test_number[2]")["exception"]["message"] == "told so\nassert 2 == 1"
    assert of(everything, "test_fail")["exception"]["function"] == "test_fail"
    assert of(everything, "TestOld::test_unittest")["exception"]["message"] == "1 != 2"
    assert of(everything, "test_set_up")["exception"]["message"] == "set up"
    assert of(everything, "test_both")["remarks"] == ["its teardown failed too"]
    assert "available fixtures" in of(everything, "test_no_fixture")["traceback"]
    assert of(everything, "test_exit")["exception"]["type"] == "SystemExit"


def test_a_skip_in_pytest_has_its_reason(everything: Ran) -> None:
    reasons = {
        id: of(everything, id)["reason"] for id in ("test_skip", "test_skip_inside", "test_xfail", "test_xfail_inside")
    }
    assert list(reasons.values()) == ["not today", "not here", "xfail: known", "xfail: known inside"]
    assert of(everything, "test_xpass_strict")["remarks"] == ["passed, but was expected to fail"]
    assert of(everything, "test_xpass")["remarks"] == ["passed, but was expected to fail"]


def test_a_module_that_pytest_cannot_collect_has_a_row_and_hides_no_other(bench: Bench) -> None:
    bench.write(
        test_good="def test_it(): pass",
        test_import="import absent_module",
        test_syntax="def broken(:",
        test_name="import sys\nprint('because', file=sys.stderr)\nundefined_name",
        test_skip="import pytest\npytest.importorskip('absent_module')\ndef test_it(): pass",
        deep__conftest="1 / 0",
        deep__test_deep="def test_it(): pass",
    )
    ran = bench.run(sys.executable, "pytest", ".")
    assert ran.statuses == {
        "test_good.py::test_it": "pass",
        "test_import.py": "error",
        "test_syntax.py": "error",
        "test_name.py": "error",
        "test_skip.py": "skip",
        "deep": "error",
    }
    exceptions = {
        id: row["exception"] and (row["exception"]["type"], row["exception"]["line"]) for id, row in ran.rows.items()
    }
    assert exceptions["test_import.py"] == ("ModuleNotFoundError", 1)
    assert exceptions["test_syntax.py"] == ("SyntaxError", 1)
    assert exceptions["test_name.py"] == ("NameError", 3)
    assert ran.rows["test_name.py"]["stderr"] == "because\n", "NumPy tells there why a module doesn't go with it"
    assert exceptions["deep"] == ("ZeroDivisionError", 1)
    assert ran.rows["test_skip.py"]["reason"].startswith("could not import 'absent_module'")
    assert "/_pytest/" not in "".join(row["traceback"] for row in ran.rows.values())


def test_a_conftest_that_fails_is_the_error_of_the_target(bench: Bench) -> None:
    bench.write(conftest="import absent_module", test_it="def test_it(): pass")
    row = bench.run(sys.executable, "pytest", "test_it.py").row
    assert (row["id"], row["status"], row["exception"]["type"]) == ("test_it.py", "error", "ModuleNotFoundError")
    assert row["exception"]["file"] == str(bench.folder / "conftest.py")


@pytest.mark.whole
@pytest.mark.parametrize(
    "text", ["import sys; sys.exit(3)", "raise KeyboardInterrupt", "import pytest; pytest.exit('enough')"]
)
def test_a_module_that_leaves_while_pytest_loads_it_is_an_error(bench: Bench, text: str) -> None:
    bench.write(test_it=text)
    row = bench.run(sys.executable, "pytest", "test_it.py").row
    assert (row["id"], row["status"]) == ("test_it.py", "error")
    assert row["exception"]["file"] == str(bench.folder / "test_it.py")


def test_a_conftest_that_leaves_is_an_error(bench: Bench) -> None:
    bench.write(conftest="import sys; sys.exit(3)", test_it="def test_it(): pass")
    row = bench.run(sys.executable, "pytest", "test_it.py").row
    assert (row["status"], row["exception"]["type"]) == ("error", "SystemExit")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import pytest; pytest.exit('enough')", "Exit"),
    ],
)
def test_an_early_end_of_pytest_leaves_no_row_out(bench: Bench, text: str, found: str) -> None:
    bench.write(test_it=f"def test_1(): pass\ndef test_2(): {text}\ndef test_3(): pass")
    ran = bench.run(sys.executable, "pytest", "test_it.py")
    assert list(ran.statuses.values()) == ["pass", "fail", "skip"]
    assert ran.rows["test_it.py::test_2"]["exception"]["type"].endswith(found)
    assert ran.rows["test_it.py::test_3"]["reason"].startswith("was not run: the session was stopped")


def test_what_follows_the_first_failure_under_dash_x_has_no_row(bench: Bench) -> None:
    bench.write(test_it="def test_1(): assert False\ndef test_2(): pass")
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=["-x"])
    assert ran.statuses == {"test_it.py::test_1": "fail"}
    assert ran.event("collected")["ids"] == ["test_it.py::test_1", "test_it.py::test_2"]


def test_ids_are_those_of_the_folder_that_a_folder_of_links_stands_for(bench: Bench) -> None:
    bench.write(test_it="def test_a(): pass")
    linked = [str(bench.folder), "/elsewhere/own"]
    ran = bench.run(sys.executable, "pytest", args=["test_it.py"], linked=linked, rootdir="/elsewhere/own")
    assert ran.statuses == {"test_it.py::test_a": "pass"}


def test_pytest_without_tests_is_empty(bench: Bench) -> None:
    bench.write(test_empty="x = 1", test_good="def test_it(): pass")
    ran = bench.run(sys.executable, "pytest", "test_empty.py", "test_good.py")
    assert ran.statuses == {"test_good.py::test_it": "pass", "test_empty.py": "empty"}
    assert ran.rows["test_empty.py"]["reason"] == "no tests were found"


def test_pytest_that_refuses_to_begin_is_an_error_of_the_target(bench: Bench) -> None:
    bench.write(test_good="def test_it(): pass")
    ran = bench.run(sys.executable, "pytest", "test_good.py", args=["--no-such-option"])
    assert (ran.exit_code, ran.statuses) == (4, {"test_good.py": "error"})
    assert (ran.row["could_not_begin"], ran.row["exception"], ran.row["remarks"]) == (True, None, [])
    ran = bench.run(sys.executable, "pytest", "test_good.py")
    assert ran.row["could_not_begin"] is False
    ran = bench.run(sys.executable, "pytest", "absent.py")
    assert (ran.exit_code, ran.statuses) == (4, {"absent.py": "error"})
    assert (ran.row["could_not_begin"], ran.row["exception"]) == (True, None)
    assert "file or directory not found" in ran.err


def test_an_environment_without_pytest_is_an_error_of_the_target(bench: Bench) -> None:
    bench.write(test_good="def test_it(): pass")
    ran = bench.run(sys.executable, "pytest", "test_good.py", flags=("-S",), environment={"PYTHONPATH": ""})
    assert (ran.statuses, ran.row["exception"]["type"]) == ({"test_good.py": "error"}, "ModuleNotFoundError")
    assert ran.row["remarks"] == ["pytest cannot be imported in this environment"]


def test_pytest_leaves_out_what_ran_before(bench: Bench) -> None:
    bench.write(test_it="import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_n(n): pass")
    ran = bench.run(sys.executable, "pytest", "test_it.py", deselect=["test_it.py::test_n[1]"])
    assert ran.statuses == {"test_it.py::test_n[2]": "pass"}
    assert ran.event("collected")["ids"] == ["test_it.py::test_n[2]"]
    ran = bench.run(sys.executable, "pytest", "test_it.py", deselect=["test_it.py::test_n[1]", "test_it.py::test_n[2]"])
    assert ran.statuses == {}


def test_a_target_whose_tests_the_user_deselects_is_empty_only_if_nothing_runs(bench: Bench) -> None:
    bench.write(test_a="def test_one(): pass", test_b="def test_two(): pass")
    ran = bench.run(sys.executable, "pytest", "test_a.py", "test_b.py", args=["-k", "one"])
    assert ran.statuses == {"test_a.py::test_one": "pass"}
    ran = bench.run(sys.executable, "pytest", "test_a.py", "test_b.py", args=["-k", "three"])
    assert ran.statuses == {"test_a.py": "empty", "test_b.py": "empty"}


def test_ids_are_relative_to_our_root_folder_and_not_to_pytests(bench: Bench) -> None:
    bench.write(project__tests__test_it="def test_it(): pass", project__tests__test_bad="1 / 0")
    (bench.folder / "project" / "pytest.ini").write_text(
        "[pytest]\naddopts = -p no:doctest\npython_functions = test_* check_*\n"
    )
    bench.write(project__tests__test_ini="def check_it(): pass")
    ran = bench.run(sys.executable, "pytest", "project")
    assert ran.statuses == {
        "project/tests/test_it.py::test_it": "pass",
        "project/tests/test_ini.py::check_it": "pass",
        "project/tests/test_bad.py": "error",
    }
    assert {event["id"] for event in ran.events if event["event"] == "loading"} >= {"project/tests/test_it.py"}


def test_pytest_writes_nothing_into_the_users_folder(bench: Bench) -> None:
    bench.write(test_it="def test_it(tmp_path): assert False")
    bench.run(sys.executable, "pytest", "test_it.py")
    assert [path.name for path in bench.folder.rglob("*")] == ["test_it.py"]


def test_a_crash_in_pytest_names_what_was_running_or_loading(bench: Bench) -> None:
    crash = "__import__('ctypes').string_at(0)"
    bench.write(test_run=f"def test_1(): pass\ndef test_2(): {crash}\ndef test_3(): pass", test_load=crash)
    ran = bench.run(sys.executable, "pytest", "test_run.py")
    assert ran.exit_code == -signal.SIGSEGV
    assert ran.statuses == {"test_run.py::test_1": "pass"}
    assert ran.events[-1] == {"event": "test-start", "id": "test_run.py::test_2"}
    assert "Segmentation fault" in ran.err
    ran = bench.run(sys.executable, "pytest", "test_load.py")
    assert ran.events[-1] == {"event": "loading", "id": "test_load.py"}


def test_pytests_own_output_goes_to_stdout(everything: Ran) -> None:
    assert "short test summary info" in everything.out


def test_subtests_of_pytest_count_for_their_test(bench: Bench) -> None:
    text = """
        import pytest
        def test_bad(subtests):
            for number in range(3):
                with subtests.test(number=number):
                    print("in", number)
                    assert number != 1
        def test_good(subtests):
            with subtests.test("skipped"):
                pytest.skip("a part")
            with subtests.test("fine"):
                pass
        """
    ran = bench.write(test_it=text).run(sys.executable, "pytest", "test_it.py")
    if int(pytest.__version__.partition(".")[0]) < 9:
        pytest.skip("the fixture subtests came with pytest 9")
    assert ran.statuses == {"test_it.py::test_bad": "fail", "test_it.py::test_good": "pass"}
    assert ran.rows["test_it.py::test_bad"]["exception"]["line"] == 7
    assert ran.rows["test_it.py::test_bad"]["stdout"] == "in 0\nin 1\nin 2\n"


def test_a_test_in_a_process_of_its_own_finds_its_module(bench: Bench) -> None:
    text = """
        import multiprocessing, os
        def work(n): return n + 1
        def test_spawn():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                assert pool.map(work, [1]) == [2]
        def test_fork():
            child = os.fork()
            if child == 0:
                os._exit(3)
            assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 3
        """
    ran = bench.write(test_it=text).run(sys.executable, "pytest", "test_it.py")
    assert list(ran.statuses.values()) == ["pass", "pass"]
    assert ran.kinds.count("end") == 1


def test_rows_survive_workers_in_other_processes(bench: Bench) -> None:
    pytest.importorskip("xdist")
    bench.write(test_it="def test_1(): pass\ndef test_2(): assert 1 == 2\ndef test_3(): pass")
    ran = bench.run(sys.executable, "pytest", "test_it.py", args=["-p", "xdist", "-n", "1"])
    assert list(ran.statuses.values()) == ["pass", "fail", "pass"]
    assert "assert 1 == 2" in ran.rows["test_it.py::test_2"]["traceback"]


def test_a_block_that_should_have_warned_and_raised_tells_what_it_raised(bench: Bench) -> None:
    """pytest 8 and newer say "DID NOT WARN" of it, earlier ones what was raised."""
    bench.write(test_it="import pytest\ndef test_it():\n    with pytest.warns(UserWarning):\n        {}['k']")
    raised = bench.run(sys.executable, "pytest", "test_it.py").row["exception"]
    assert (raised["type"], raised["line"]) == ("KeyError", 4)
    bench.write(test_it="import pytest\ndef test_it():\n    with pytest.warns(UserWarning):\n        pass")
    raised = bench.run(sys.executable, "pytest", "test_it.py").row["exception"]
    assert raised["message"].startswith("DID NOT WARN")
