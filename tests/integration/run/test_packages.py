"""What a cell gets besides the package under test: the user's own project, requirements files, what stands for what."""

import re
import urllib.request
from collections.abc import Sequence

import pytest

from tests.integration.conftest import Run, User
from tests.simulator import Simulator
from tests.wheels import make_wheel, write_project

GROUPS = """
[dependency-groups]
dev = ["wheelset", {include-group = "more"}]
more = ["gear<3"]
test = ["wheelset", "pytest-late>=2", "PyTest_Gone>=2; python_version >= '3'"]
"""


def project(
    user: User, name: str, version: str, *, requires: Sequence[str] = (), extras: Sequence[str] = (), place: str = "."
) -> None:
    """Write a project whose package says that it is the checkout, and has a module that only its wheel has."""
    files = {f"{name}/__init__.py": f"MAJOR = 99\nWHERE = 'checkout {version}'\n"}
    write_project(
        user.folder / place,
        name,
        version,
        files=files,
        built={f"{name}/built.py": "YES = True\n"},
        settings=GROUPS,
        requires=requires,
        extras=extras,
    )


def versions_in(run: Run) -> dict[str, str]:
    """Return the versions in the lock of the only cell."""
    lock = next(event["lock"] for event in run.record() if event["event"] == "cell-locked")
    return {pin["name"]: pin["version"] for pin in lock["pins"]}


# -- the user's own project


def test_the_project_is_that_distribution_whoever_requires_it(user: User) -> None:
    project(user, "gear", "99.0", place="mine")
    user.write("check.py", "import toy, gear\nassert gear.WHERE == 'checkout 99.0', gear\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--project", "mine", "--with", "gear>=2")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out
    assert versions_in(run) == {"toy": "2.0", "gear": "99.0"}


def test_what_contradicts_the_project_is_no_silent_other_version(user: User) -> None:
    project(user, "gear", "99.0", place="mine")
    user.write("check.py", "import toy")
    run = user.run("test", "check.py", "--versions", "2.0", "--project", "mine", "--with", "gear<3")
    assert (run.code, run.outcomes()) == (3, {"2.0": "unresolvable"}), run.out


@pytest.mark.whole
def test_extras_and_groups_of_the_project_are_installed(user: User, index: Simulator) -> None:
    for name in ("wheelset", "axle"):
        index.add_wheel(*make_wheel(name, "1.0"), upload_time="2020-01-01T00:00:00Z")
    of_toy = ["toy>=5", "toy<9", "toy<1; python_version < '3'"]
    project(user, "mine", "0.1", requires=["axle; extra == 'fast'", *of_toy], extras=["fast"])
    user.write("check.py", "import mine, wheelset, axle\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--project", ".[fast]", "--group", "dev")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out
    assert versions_in(run) == {"toy": "2.0", "gear": "2.0", "mine": "0.1", "axle": "1.0", "wheelset": "1.0"}
    assert "mine requires toy>=5, which 2.0 isn't: an installer would refuse it" in run.out
    assert "mine requires toy<" not in run.out
    run = user.run("test", "check.py", "--versions", "2.0", "--group", "absent")
    assert (run.code, "dev, more" in run.err) == (2, True), run.err


@pytest.mark.whole
def test_test_tools_of_a_group_or_an_extra_are_of_no_era(user: User, index: Simulator) -> None:
    for name, version, day in [
        ("wheelset", "1.0", "2020-01-01"),
        ("wheelset", "2.0", "2025-01-01"),
        ("pytest-late", "1.0", "2020-01-01"),
        ("pytest-late", "2.0", "2025-01-01"),
        ("pytest-gone", "1.0", "2025-01-01"),
        ("pytest-more", "3.0", "2025-01-01"),
    ]:
        index.add_wheel(*make_wheel(name, version), upload_time=f"{day}T00:00:00Z")
    project(user, "mine", "0.1", requires=["pytest-more>=3; extra == 'fast'"], extras=["fast"])
    user.write("check.py", "import mine, pytest_late, pytest_more\n")
    words = ["--versions", "2.0", "--project", ".[fast]", "--group", "test"]
    run = user.run("test", "check.py", *words)
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out
    own = {"pytest-late": "2.0", "pytest-gone": "1.0", "pytest-more": "3.0"}
    assert versions_in(run) == {"toy": "2.0", "gear": "2.0", "mine": "0.1", "wheelset": "1.0"} | own
    told = " ".join(run.out.split())
    assert "Gone>=2" in told and "that can't be had here, any version is taken" in told
    assert user.run("lock", "check.py", *words).code == 0


def test_a_project_above_may_be_named(user: User) -> None:
    project(user, "mine", "0.1")
    user.write("deep/check.py", "import mine\nassert mine.MAJOR == 99\n")
    user.folder /= "deep"
    run = user.run("test", "check.py", "--versions", "2.0", "--project", "..")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


@pytest.mark.whole
@pytest.mark.parametrize("name", ["tests/test_mine.py", "mine_check.py"])
def test_what_was_built_is_tested_and_not_the_sources_beside_it(user: User, with_pytest: None, name: str) -> None:
    project(user, "mine", "0.1")
    user.write("conftest.py", "")
    user.write(name, "import mine.built\ndef test_it(): assert mine.built.YES and 'site-packages' in mine.__file__\n")
    run = user.run("test", name, "--versions", "2.0", "--project", ".")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


@pytest.mark.whole
def test_tests_within_the_package_are_a_part_of_it(user: User, with_pytest: None) -> None:
    project(user, "mine", "0.1")
    user.write("mine/test_it.py", "from mine import MAJOR\ndef test_it(): assert MAJOR == 99\n")
    run = user.run("test", "mine/test_it.py", "--versions", "2.0", "--project", ".")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


@pytest.mark.whole
@pytest.mark.parametrize("place", [".", "src"])
def test_tests_within_the_package_are_a_part_of_it_where_pytest_finds_them_by_itself(
    user: User, with_pytest: None, place: str
) -> None:
    test = "from mine import MAJOR\ndef test_it(): assert MAJOR == 99\n"
    files = {"mine/__init__.py": "MAJOR = 99\n", "mine/tests/__init__.py": ""}
    files |= {"mine/tests/test_it.py": test, "mine/tests/test_more.py": test}
    write_project(user.folder, "mine", "0.1", files={}, built=files)
    for name, text in files.items():
        user.write(f"{place}/{name}", text)
    user.write("pytest.ini", "[pytest]\ntestpaths = mine\n")
    words = [] if place == "." else [place]
    run = user.run("test", *words, "--versions", "2.0", "--project", ".")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


@pytest.mark.whole
def test_sources_without_what_only_the_build_makes_are_told(user: User, with_pytest: None) -> None:
    project(user, "mine", "0.1")
    user.write("mine/test_it.py", "import mine.built\ndef test_it(): assert mine.built.YES\n")
    run = user.run("test", "mine/test_it.py", "--versions", "2.0", "--project", ".")
    told = " ".join(run.out.split())
    assert (run.code, "tests outside of mine get what was built" in told) == (1, True), run.out
    assert "--pythonpath" not in told


@pytest.mark.whole
def test_doctests_of_the_package_import_it_from_where_they_lie(user: User, with_pytest: None) -> None:
    project(user, "mine", "0.1")
    user.write("mine/parts.py", '"""\n>>> from mine import MAJOR\n>>> MAJOR\n99\n"""\n')
    user.write("pytest.ini", "[pytest]\naddopts = --doctest-modules mine\n")
    run = user.run("test", "--versions", "2.0", "--project", ".")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


@pytest.mark.whole
@pytest.mark.parametrize("more", [{}, {"mine/_version.py": ""}])
def test_doctests_of_a_src_layout_import_it_from_there_before_a_conftest_does(
    user: User, with_pytest: None, more: dict[str, str]
) -> None:
    """What only the build has made is found nowhere else: then the package is imported as it is installed."""
    files = {"mine/__init__.py": "MAJOR = 99\n", "mine/parts.py": '"""\n>>> MAJOR\n99\n"""\nfrom mine import MAJOR\n'}
    write_project(user.folder, "mine", "0.1", files={}, built=files | more)
    for name, text in files.items():
        user.write(f"src/{name}", text)
    user.write("tests/conftest.py", "import mine.parts\n")
    user.write("tests/test_it.py", "import mine\ndef test_it(): assert 'src' in mine.__file__.split('/')\n")
    user.write("pytest.ini", "[pytest]\ntestpaths = tests src\naddopts = --doctest-modules\n")
    run = user.run("test", "--versions", "2.0", "--project", ".")
    outcomes = {row["id"]: row["outcome"] for row in run.results()["2.0"]["tests"]}
    assert outcomes["tests/test_it.py::test_it"] == ("fail" if more else "pass"), run.out
    assert more or outcomes["src/mine/parts.py::mine.parts"] == "pass"


def test_a_misspelt_extra_is_told(user: User) -> None:
    project(user, "mine", "0.1", extras=["fast"])
    user.write("check.py", "import mine\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--project", ".[fats]")
    assert (run.code, run.outcomes()) == (3, {"2.0": "unresolvable"})
    assert "it has fast" in run.out


@pytest.mark.whole
def test_a_lock_without_what_the_project_requires_is_refused(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("axle", "1.0"), upload_time="2020-01-01T00:00:00Z")
    project(user, "mine", "0.1", requires=["axle"])
    user.write("check.py", "import mine, axle\n")
    assert user.run("lock", "--versions", "2.0", "-d", "locks").code == 0
    run = user.run("test", "check.py", "--locked", "locks", "--project", ".")
    assert (run.code, "has no axle" in run.out) == (3, True), run.out


# -- what is imported


@pytest.mark.whole
@pytest.mark.parametrize("name", ["check.py", "tests/test_it.py"])
def test_a_folder_named_like_the_package_is_not_tested_in_its_place(user: User, with_pytest: None, name: str) -> None:
    user.write("toy/__init__.py", "")
    user.write(name, "import toy\ndef test_it(): assert toy.spin() == 2\nif 'check' in __file__: test_it()\n")
    run = user.run("test", name, "--versions", "2.0")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


def test_what_was_imported_from_elsewhere_is_remarked_on(user: User) -> None:
    user.write("lib/toy.py", "")
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "2.0", "--pythonpath", "lib")
    assert "not from what was installed" in " ".join(run.out.split())


# -- settings above the tests


@pytest.mark.whole
def test_the_projects_settings_hold_from_every_folder(user: User, with_pytest: None) -> None:
    user.write("pyproject.toml", "[tool.pytest.ini_options]\nfilterwarnings = ['error']\n")
    user.write("conftest.py", "import pytest\n@pytest.fixture\ndef root(): return 7\n")
    user.write("tests/test_it.py", "import warnings\ndef test_a(root): pass\ndef test_b(): warnings.warn('x')\n")
    for place, target in ((".", "tests"), ("tests", "."), ("tests", "test_it.py"), ("other", "../tests")):
        (user.folder / place).mkdir(exist_ok=True)
        home, user.folder = user.folder, user.folder / place
        run = user.run("test", target, "--versions", "2.0", "--no-cache")
        user.folder = home
        outcomes = [row["outcome"] for row in run.results()["2.0"]["tests"]]
        assert outcomes == ["pass", "fail"], (place, target, run.out)


def test_a_project_is_tested_as_in_its_root_folder(user: User, with_pytest: None) -> None:
    user.write("own/pytest.ini", "[pytest]\ntestpaths = checks\naddopts = --ignore=checks/broken\n")
    user.write("own/data.txt", "7")
    user.write("own/checks/broken/test_b.py", "x = 1 / 0\n")
    user.write("own/other/test_c.py", "x = 1 / 0\n")
    user.write(
        "own/checks/test_it.py",
        "import os, pathlib\n"
        "def test_paths():\n"
        "    assert open('data.txt').read() == '7'\n"
        "    assert os.path.samefile('.', pathlib.Path(__file__).parents[1])\n"
        "def test_writing(request):\n"
        "    if os.path.realpath('.') == str(request.config.rootpath):\n"
        "        pathlib.Path(__file__).with_name('new').write_text('x')\n"
        "    pathlib.Path('new').write_text('x')\n",
    )
    home, user.folder = user.folder, user.folder / "own"
    as_set = user.run("test", "--versions", "2.0")
    user.folder = home
    from_above = user.run("test", "own/checks", "--versions", "2.0")
    for run in (as_set, from_above):
        outcomes = {row["id"].rpartition("::")[2]: row["outcome"] for row in run.results()["2.0"]["tests"]}
        assert outcomes == {"test_paths": "pass", "test_writing": "pass"}, run.out
    assert not list(home.rglob("new"))
    run = user.run("test", "--versions", "2.0")
    assert (run.code, "no project with tests" in run.err) == (2, True)


@pytest.mark.whole
def test_a_mistake_in_what_pytest_is_given_is_told_as_one(user: User, with_pytest: None) -> None:
    user.write("test_it.py", "def test_a(): assert False\ndef test_b(): pass\ndef test_c(): pass\n")
    for words, told in ((("test_it.py::no_such",), "no_such"), (("test_it.py", "--", "-k", "("), "expression")):
        run = user.run("test", words[0], "--versions", "2.0", *words[1:])
        assert (run.code, told in run.out) == (2, True), run.out
    run = user.run("test", "test_it.py", "--versions", "2.0", "--", "-x")
    assert [row["id"] for row in run.results()["2.0"]["tests"]] == ["test_it.py::test_a"]
    assert (run.code, "2 tests did not run: pytest had stopped" in run.out) == (1, True), run.out
    run = user.run("test", "test_it.py", "--versions", "2.0", "--", "-m", "nosuch")
    assert (run.code, run.outcomes()) == (3, {"2.0": "empty"}), run.out


@pytest.mark.parametrize("runner", ["pytest", "unittest"])
def test_what_failed_last_runs_alone_and_files_come_out_of_the_cell(user: User, with_pytest: None, runner: str) -> None:
    text = (
        "import pathlib, unittest\nclass T(unittest.TestCase):\n    def test_good(self): pass\n"
        "    def test_bad(self):\n        pathlib.Path('out.xml').write_text('x')\n        assert {}\n"
    )
    words = ("test", "test_it.py", "--versions", "2.0", "--runner", runner)

    def ran(*more: str) -> tuple[dict[str, str], str]:
        run = user.run(*words, *more)
        return {row["id"].rpartition("::")[2]: row["outcome"] for row in run.results()["2.0"]["tests"]}, run.out

    user.write("test_it.py", text.format("False"))
    rows, out = ran("--lf", "--collect", "*.xml")
    assert rows == {"test_good": "pass", "test_bad": "fail"}
    assert "it is not known that any of these tests failed" in " ".join(out.split())
    [cell] = user.store.glob("runs/*/cells/*")
    assert (cell / "collected/out.xml").read_text() == "x"
    user.write("test_it.py", text.format("True"))
    assert ran("--lf")[0] == {"test_bad": "pass"}
    assert ran("--lf")[0] == {"test_good": "pass", "test_bad": "pass"}
    assert not (user.folder / "out.xml").exists()


def test_the_first_failure_of_an_import_is_what_is_told(user: User, index: Simulator, with_pytest: None) -> None:
    source = (
        "import sys\nif 'brittle.part' in sys.modules: SECOND = 1\n"
        "else:\n    import brittle.part\n    raise TypeError('Descriptors')\n"
    )
    index.add_wheel(*make_wheel("brittle", "1.0", files={"brittle/__init__.py": source, "brittle/part.py": ""}))
    for name in "abc":
        user.write(f"tests/test_{name}.py", "import brittle\nSIZE = brittle.size\ndef test_it(): pass\n")
    run = user.run("test", "tests", "--versions", "2.0", "--with", "brittle", "--resolve", "latest")
    rows = run.results()["2.0"]["tests"]
    assert [row["exception"]["type"] for row in rows] == ["TypeError"] * 3, run.out
    assert "here it said AttributeError: module 'brittle' has no attribute 'size'" in rows[2]["traceback"]


def test_arguments_without_a_file_are_for_the_projects_own_tests(user: User, with_pytest: None) -> None:
    user.write("tests/test_it.py", "def test_a(): pass\ndef test_b(): assert 0\n")
    run = user.run("test", "--versions", "2.0", "--", "-k", "test_a")
    assert [row["id"] for row in run.results()["2.0"]["tests"]] == ["tests/test_it.py::test_a"], run.out


@pytest.mark.whole
def test_a_pass_as_a_script_is_none_for_pytest(user: User, with_pytest: None) -> None:
    user.write("test_it.py", "if __name__ == '__main__': print(1)\n")
    assert user.run("test", "test_it.py", "--versions", "2.0").outcomes() == {"2.0": "pass"}
    run = user.run("test", "test_it.py", "--versions", "2.0", "--runner", "pytest")
    assert (run.code, run.outcomes()) == (3, {"2.0": "empty"}), run.out


# -- what stands for what


@pytest.fixture
def tensorflows(index: Simulator) -> None:
    """tensorflow-cpu 1.0 and tensorflow 1.0 and 2.0, with the same module; `hub` requires tensorflow."""
    for name, version in (("tensorflow-cpu", "1.0"), ("tensorflow", "1.0"), ("tensorflow", "2.0")):
        wheel = make_wheel(name, version, files={"tensorflow.py": f"__version__ = {version!r}\n"})
        index.add_wheel(*wheel, upload_time="2020-01-01T00:00:00Z")
    hub = make_wheel("hub", "1.0", requires=["TensorFlow>=1.0"])
    index.add_wheel(*hub, upload_time="2020-01-01T00:00:00Z")


def test_the_version_that_was_asked_for_is_the_one_that_runs(user: User, tensorflows: None) -> None:
    user.write("r.txt", "tensorflow>=0.8\nhub\n")
    user.write("check.py", "import tensorflow, hub\nassert tensorflow.__version__ == '1.0'\n")
    words = ("--package", "tensorflow-cpu", "--versions", "1.0", "--resolve", "latest", "-r", "r.txt")
    run = user.run("test", "check.py", *words)
    assert (run.code, run.outcomes()) == (0, {"1.0": "pass"}), run.out
    assert versions_in(run) == {"tensorflow-cpu": "1.0", "hub": "1.0"}
    assert "stands for tensorflow>=0.8" in run.out


def test_what_requires_another_version_of_it_contradicts(user: User, index: Simulator, tensorflows: None) -> None:
    newer = make_wheel("newer", "1.0", requires=["tensorflow>=2"])
    index.add_wheel(*newer, upload_time="2020-01-01T00:00:00Z")
    user.write("check.py", "import tensorflow\n")
    words = ("--package", "tensorflow-cpu", "--versions", "1.0", "--with", "newer")
    run = user.run("test", "check.py", *words)
    assert (run.code, run.outcomes()) == (3, {"1.0": "unresolvable"}), run.out


def test_another_version_than_import_shows_is_remarked_on(user: User, index: Simulator) -> None:
    wheel = make_wheel("liar", "1.0", files={"liar.py": "__version__ = '2.0'\n"})
    index.add_wheel(*wheel, upload_time="2020-01-01T00:00:00Z")
    user.write("check.py", "import liar\n")
    run = user.run("test", "check.py", "--package", "liar", "--versions", "1.0")
    assert "liar 1.0 was asked for, import liar shows 2.0" in run.out


# -- requirements files


def test_a_hash_binds(user: User, index: Simulator) -> None:
    with urllib.request.urlopen(f"{index.simple_url}/gear/") as page:
        digest = re.findall(r"gear-2\.0-py3-none-any\.whl#sha256=([0-9a-f]{64})", page.read().decode())[0]
    user.write("check.py", "import gear\n")
    for given, outcome in ((digest, "pass"), ("0" * 64, "unresolvable")):
        user.write("r.txt", f"gear==2.0 \\\n    --hash=sha256:{given}\n")
        run = user.run("test", "check.py", "--versions", "2.0", "-r", "r.txt")
        assert run.outcomes() == {"2.0": outcome}, run.out
    assert "none of the hashes" in run.out
    assert "gear-2.0-py3-none-any.whl" in run.out


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_constraints_and_what_powershell_writes_are_read(user: User, encoding: str) -> None:
    (user.folder / "r.txt").write_bytes("-c limits.txt\r\ngear\r\n".encode(encoding))
    user.write("limits.txt", "gear<2\n")
    user.write("check.py", "import gear\nassert gear.MAJOR == 1\n")
    run = user.run("test", "check.py", "--versions", "2.0", "-r", "r.txt")
    assert (run.code, run.outcomes()) == (0, {"2.0": "pass"}), run.out


def test_a_line_that_cannot_be_done_names_what_does_it(user: User) -> None:
    user.write("check.py", "import gear\n")
    user.write("r.txt", "gear\n-i https://host/simple\n")
    run = user.run("test", "check.py", "--versions", "2.0", "-r", "r.txt")
    assert run.code == 2
    assert "r.txt:2: -i can't be used here" in run.err
    assert "--index-url https://host/simple" in run.err
