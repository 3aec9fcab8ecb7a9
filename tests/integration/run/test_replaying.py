"""The same content in another folder, clone, store or Python of the same build: a pass is shown again, not run again.

`test_baseline.py` has what makes a cell run again; `tests/unit/core/replay/test_key.py` changes one thing at a time.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Run, User
from tf_tester.env.interpreters import outside_environment

SANDBOXES = ("namespace", pytest.param("landlock", marks=pytest.mark.whole))


@pytest.fixture(params=SANDBOXES)
def sandbox(request: pytest.FixtureRequest, user: User) -> str:
    """Each sandbox that this system allows, and from then on the user's."""
    name = str(request.param)
    user.env["TF_TESTER_ISOLATION"] = name
    user.write("probe.py", "import toy\n")
    if user.run("test", "probe.py", "--versions", "1.0").code == 2:
        pytest.skip(f"this system allows no {name}")
    (user.folder / "probe.py").unlink()
    return name


@pytest.fixture
def project(user: User) -> User:
    """A project with all that lies about in one; its test has not run."""
    user.write("tests/check.py", "import os, toy, helper\nprint(sorted(os.listdir()), open('data.txt').read())\n")
    user.write("tests/helper.py", "x = 1\n")
    user.write("lib/mine.py", "y = 1\n")
    user.write("data.txt", "42")
    (user.folder / "latest").symlink_to("data.txt")
    user.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    user.write(".gitignore", "__pycache__/\n.venv/\n")
    user.write("tests/__pycache__/helper.pyc", "")
    user.write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    user.write(".venv/lib/module.py", "")
    _git(user, "init", "-q")
    _git(user, "add", ".")
    _git(user, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "all")
    return user


def _git(user: User, *words: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not there")
    subprocess.run(("git", *words), cwd=user.folder, check=True)


def _test(user: User, *words: str) -> Run:
    run = user.run("test", "tests/check.py", "--versions", "2.0", "--pythonpath", "lib", *words)
    assert run.code == 0, run.out + run.err
    return run


def _replays(user: User, *words: str) -> bool:
    return bool(_test(user, *words).results()["2.0"]["replayed"])


def test_a_copy_a_clone_and_a_touch_are_no_reason_to_run_again(project: User, sandbox: str, tmp_path: Path) -> None:
    assert not _replays(project)
    assert _replays(project)
    os.utime(project.folder / ".git/index")
    (project.folder / "tests/check.py").touch()
    assert _replays(project), "touched"
    shutil.rmtree(project.folder / ".venv")
    assert _replays(project), "no environment beside it"
    _git(project, "clone", "-q", ".", str(tmp_path / "elsewhere/clone"))
    shutil.copytree(project.folder, tmp_path / "copied/to/another", symlinks=True)
    for place in ("elsewhere/clone", "copied/to/another"):
        project.folder = tmp_path / place
        assert _replays(project), place
    project.write("data.txt", "43")
    assert not _replays(project)


def test_a_result_counts_in_another_store(project: User, sandbox: str, tmp_path: Path) -> None:
    """As on another machine: nothing but the bundle is there, and no network."""
    assert not _replays(project)
    assert project.run("cache", "export", "bundle.tar").code == 0
    shutil.move(project.folder / "bundle.tar", tmp_path)
    shutil.copytree(project.folder, tmp_path / "machine/checkout", symlinks=True)
    project.folder = tmp_path / "machine/checkout"
    project.env["TF_TESTER_STORE"] = str(tmp_path / "machine/store")
    assert project.run("cache", "import", str(tmp_path / "bundle.tar")).code == 0
    assert _replays(project, "--offline")


def test_a_run_in_a_subfolder_is_another(project: User, sandbox: str) -> None:
    """Files count relative to the request's folder: there the test sees another one."""
    _test(project)
    project.folder /= "tests"
    run = project.run("test", "check.py", "--versions", "2.0", "--pythonpath", "../lib")
    assert "No such file" in run.results()["2.0"]["summary"]


@pytest.mark.whole
def test_another_copy_of_the_same_python_is_the_same(project: User, sandbox: str, tmp_path: Path) -> None:
    python = outside_environment(Path(sys.executable))
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    copy = tmp_path / "opt/python/bin" / python.name
    copy.parent.mkdir(parents=True)
    shutil.copy(python, copy)
    (copy.parent.parent / "lib").mkdir()
    (copy.parent.parent / "lib" / library).symlink_to(Path(sys.base_prefix) / "lib" / library)
    assert not _replays(project)
    project.env["TF_TESTER_PYTHON"] = str(copy)
    assert _replays(project)


@pytest.mark.whole
def test_a_store_in_the_project_is_no_part_of_the_test(project: User, sandbox: str) -> None:
    project.env["TF_TESTER_STORE"] = ".tf-tester"
    first = _test(project)
    # In namespaces its name is there, because what the test may write into lies in it, and nothing else of it is.
    assert (".tf-tester" in first.results()["2.0"]["tests"][0]["stdout"]) == (sandbox == "namespace")
    assert _replays(project)
    project.write("tests/look.py", "import os\nprint(os.listdir('.tf-tester'), os.listdir('.tf-tester/tmp'))\n")
    if sandbox == "namespace":
        run = project.run("test", "tests/look.py", "--versions", "2.0")
        assert "['tmp'] " in run.results()["2.0"]["tests"][0]["stdout"], run.out


@pytest.mark.whole
def test_what_docs_say_of_ci_is_so(project: User, sandbox: str, tmp_path: Path) -> None:
    """Of the store in the checkout the next job has what docs/how-to/ci.md lists, beside a fresh clone."""
    project.env["TF_TESTER_STORE"] = ".tf-tester"
    assert not _replays(project)
    _git(project, "clone", "-q", ".", str(tmp_path / "next/job"))
    before, project.folder = project.folder, tmp_path / "next/job"
    shutil.copytree(before / ".tf-tester/blobs", project.folder / ".tf-tester/blobs")
    shutil.copy(before / ".tf-tester/ledger.sqlite", project.folder / ".tf-tester")
    assert _replays(project)
    project.write("tests/helper.py", "x = 2\n")
    assert not _replays(project)


@pytest.mark.whole
def test_tf_tester_runs_from_the_projects_own_environment(project: User, sandbox: str) -> None:
    """Its harness lies in what is hidden."""
    place = project.folder / ".venv/lib/site-packages"
    shutil.copytree(Path(__file__).parents[3] / "src", place, ignore=shutil.ignore_patterns("__pycache__"))
    words = (sys.executable, "-m", "tf_tester", "test", "tests/check.py", "--versions", "2.0", "--pythonpath", "lib")
    env = {**project.env, "PYTHONPATH": str(place)}
    done = subprocess.run(words, cwd=project.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = Run(done.returncode, done.stdout, done.stderr).results()["2.0"]["tests"][0]["stdout"]
    assert (".venv" in shown) == (sandbox == "namespace"), "its name alone, as of the harness's folder"


# -- what is hidden


_LOOK = """
import os, sys, toy
here = os.path.dirname(os.path.abspath(__file__))
for name in (".git", ".venv", "node_modules", "__pycache__", "socket"):
    try:
        content = os.listdir(os.path.join(here, name)) if name != "socket" else open(os.path.join(here, name))
    except OSError as error:
        print(name, type(error).__name__, os.path.lexists(name))
    else:
        print(name, content, os.path.lexists(name))
"""


def _look(user: User, *words: str) -> list[str]:
    run = user.run("test", "look.py", "--versions", "2.0", *words)
    assert run.code == 0, run.out + run.err
    return str(run.results()["2.0"]["tests"][0]["stdout"]).splitlines()


def test_what_is_not_in_the_key_is_not_there(user: User, sandbox: str) -> None:
    user.write("look.py", _LOOK)
    for name in (".git/HEAD", ".venv/pyvenv.cfg", "node_modules/x.js", "__pycache__/x.pyc"):
        user.write(name, "")
    os.mkfifo(user.folder / "socket")
    gone = {"namespace": "FileNotFoundError", "landlock": ""}[sandbox]
    expected = [f"{name} {gone}" for name in (".git", ".venv", "node_modules", "__pycache__", "socket")]
    if sandbox == "landlock":
        # Names are seen everywhere, and are not in the working folder; nothing can be read.
        expected = [
            ".git ['HEAD']", ".venv ['pyvenv.cfg']", "node_modules ['x.js']", "__pycache__ ['x.pyc']",
            "socket PermissionError",
        ]  # fmt: skip
    assert _look(user) == [f"{line} False" for line in expected]


def test_what_a_test_says_it_needs_is_shown_and_it_always_runs(user: User, sandbox: str) -> None:
    user.write("look.py", "import toy\nprint(open('.git/HEAD').read())\n")
    user.write(".git/HEAD", "ref")
    user.write(".venv/pyvenv.cfg", "")
    words = ("test", "look.py", "--versions", "2.0")
    failed = user.run(*words)
    assert failed.code == 1
    assert "tests don't see .git, which this failure mentions; --visible .git shows it" in " ".join(failed.out.split())
    for _ in range(2):
        shown = user.run(*words, "--visible", ".git").results()["2.0"]
        assert (shown["tests"][0]["stdout"], shown["replayed"]) == ("ref\n", "")
    in_vain = user.run(*words, "--visible", ".git", "--visible", "nosuch").out
    assert "--visible nosuch shows nothing: nothing of that name would be hidden" in " ".join(in_vain.split())


_BACKEND = '''
"""A build backend that writes the place of the source into the wheel, as compilers do with debug information."""
import base64, hashlib, os, zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {
        "mine.py": "PLACE = %r" % (os.getcwd() if PLACED else ""),
        "mine-0.1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 0.1\\n",
        "mine-0.1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\\n" % (name, digest, len(text))
    files["mine-0.1.dist-info/RECORD"] = record + "mine-0.1.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(wheel_directory, "mine-0.1-py3-none-any.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return "mine-0.1-py3-none-any.whl"


'''


@pytest.mark.whole
def test_a_project_is_the_same_wheel_from_another_folder(user: User, sandbox: str, tmp_path: Path) -> None:
    user.write("pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    # Without namespaces each build sees a place of its own.
    user.write("backend.py", f"{_BACKEND}PLACED = {sandbox == 'namespace'}\n")
    user.write("tests/check.py", "import mine, toy\nprint(mine.PLACE)\n")
    user.write("lib/x", "")
    assert not _replays(user, "--project", ".")
    shutil.copytree(user.folder, tmp_path / "other" / user.folder.name)
    user.folder = tmp_path / "other" / user.folder.name
    assert _replays(user, "--project", ".")


@pytest.mark.whole
@pytest.mark.parametrize("target", ["link.py", "linked/real.py"])
def test_a_test_behind_a_link_runs_and_counts(user: User, sandbox: str, target: str) -> None:
    real = user.home / "elsewhere" / "real.py"
    real.parent.mkdir()
    real.write_text("import toy\n")
    (user.folder / "link.py").symlink_to(real)
    (user.folder / "linked").symlink_to("../elsewhere")
    words = ("test", target, "--versions", "2.0")
    assert user.run(*words).code == 0
    assert user.run(*words).results()["2.0"]["replayed"]
    real.write_text("import toy\nassert False\n")
    assert user.run(*words).code == 1
