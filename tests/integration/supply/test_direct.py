"""Requirements that name where their project is: wheels, archives, folders, git, and folders of wheels."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_sdist, make_wheel


def unpacked(folder: Path, name: str, version: str) -> Path:
    """Put the source of a project into a folder, and return where it is."""
    _, content = make_sdist(name, version)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"{name}-{version}"


def git(folder: Path, *words: str) -> str:
    env = {"PATH": os.defpath, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *who, *words], cwd=folder, env=env, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(user: User) -> Path:
    """A project `gitted`: 1.0 is tagged, 2.0 is newer."""
    folder = unpacked(user.home / "srv", "gitted", "1.0")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    git(folder, "tag", "-a", "v1", "-m", "one")
    (folder / "src" / "gitted.py").write_text("__version__ = 'changed'\n")
    git(folder, "commit", "-am", "two")
    return folder


def pins(run_record: list[dict[str, object]]) -> dict[str, dict[str, str]]:
    [lock] = [event["lock"] for event in run_record if event["event"] == "cell-locked"]
    assert isinstance(lock, dict)
    return {pin["name"]: pin for pin in lock["pins"]}


@pytest.mark.whole
def test_each_kind_of_address_is_what_is_tested(user: User, index: Simulator, repository: Path) -> None:
    (user.folder / "wheels").mkdir()
    for name, requires in (("linked", ["deeper"]), ("deeper", [])):
        filename, content = make_wheel(name, "1.0", requires=requires)
        (user.folder / "wheels" / filename).write_bytes(content)
    filename, content = make_wheel("local", "1.0", requires=["toy>=1", "gear"])
    (user.folder / filename).write_bytes(content)
    index.add_wheel(*make_wheel("remote", "1.0"))
    index.add_wheel(*make_wheel("gitted", "9.0"))
    (user.folder / "packed.tar.gz").write_bytes(make_sdist("packed", "1.0")[1])
    unpacked(user.folder, "plain", "1.0")
    user.write(
        "r.txt",
        f"-f wheels\nlinked\n./{filename}\n{index.artifact('remote-1.0-py3-none-any.whl').url}\n"
        f"packed @ file://{user.folder}/packed.tar.gz\n-e ./plain-1.0\ngitted @ git+file://{repository}@v1\n",
    )
    names = ("linked", "deeper", "local", "remote", "packed", "plain", "gitted")
    user.write("check.py", f"import toy, {', '.join(names)}\nassert gitted.__version__ == '1.0', gitted.__version__\n")
    run = user.run("test", "check.py", "--versions", "1.0", "-r", "r.txt")
    assert run.code == 0, run.out + run.err
    found = pins(run.record())
    commit = git(repository, "rev-parse", "v1^{commit}").strip()
    assert found["gitted"]["url"] == f"git+file://{repository}@{commit}"
    assert found["packed"]["url"] == f"file://{user.folder}/packed.tar.gz"
    assert found["local"]["url"] == f"file://{user.folder}/{filename}"
    assert {found[name]["version"] for name in names} == {"1.0"}

    assert (
        user.run(
            "lock",
            "--versions",
            "1.0",
            "-r",
            "r.txt",
            "--with",
            "gear",
            "--format",
            "pylock",
            "--format",
            "requirements",
        ).code
        == 0
    )
    [text] = [file.read_text() for file in (user.folder / "locks").glob("requirements-*")]
    assert f"gitted @ git+file://{repository}@{commit}\n" in text
    assert f"local @ file://{user.folder}/{filename} \\\n    --hash=sha256:{found['local']['sha256']}" in text
    check = user.run("lock", "--check", "--find-links", "wheels")
    assert check.code == 0, check.out + check.err
    git(repository, "tag", "--delete", "v1")
    locked = user.run("test", "check.py", "--locked", "locks", "--with", "./plain-1.0")
    assert locked.code == 2, "what a lock says is not said again"
    user.write("check.py", f"import toy, {', '.join(name for name in names if name != 'plain')}\n")
    locked = user.run("test", "check.py", "--locked", "locks")
    assert locked.code == 0, locked.out + locked.err
    assert pins(locked.record())["gitted"]["sha256"] == found["gitted"]["sha256"]


@pytest.mark.parametrize(
    ("requirement", "code", "said"),
    [
        ("other @ ./local-1.0-py3-none-any.whl", 3, "is local, not other"),
        ("local @ file:local-1.0-py3-none-any.whl --hash=sha256:" + "0" * 64, 3, "has none of the hashes"),
        ("local @ file:local-1.0-py3-none-any.whl#sha256=" + "0" * 64, 4, "another hash"),
        ("./none-1.0-py3-none-any.whl", 2, "r.txt:1: there is no file none-1.0-py3-none-any.whl."),
        ("six\n./none.tar.gz", 2, "r.txt:2: there is no file none.tar.gz."),
        ("-e none", 2, "r.txt:1: there is no folder none."),
        ("./hollow", 2, "hollow has no project that can be built"),
        ("-r more.txt", 2, "more.txt:2: there is no folder none."),
        ("six\n-c none.txt", 2, "r.txt:2: The requirements file none.txt can't be read"),
        ("old @ file:old-1.0-cp27-cp27m-win32.whl", 3, "is not for Python"),
        ("gitted @ git+file:///nowhere@v1", 2, "r.txt:1: there is no repository /nowhere."),
        (
            "gitted @ git+http://127.0.0.1:9/gitted@v1",
            4,
            "git can't bring gitted @ git+http://127.0.0.1:9/gitted@v1: fatal",
        ),
        ("-f nowhere\nlocal", 2, "r.txt:1: there is no file or folder nowhere."),
    ],
)
def test_what_is_wrong_with_an_address_is_told(user: User, requirement: str, code: int, said: str) -> None:
    filename, content = make_wheel("local", "1.0")
    (user.folder / filename).write_bytes(content)
    (user.folder / "old-1.0-cp27-cp27m-win32.whl").write_bytes(b"")
    user.write("r.txt", f"{requirement}\n")
    user.write("more.txt", "six\n./none\n")
    (user.folder / "hollow").mkdir()
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "1.0", "-r", "r.txt")
    assert (run.code, said in " ".join((run.out + run.err).split())) == (code, True), run.out + run.err


@pytest.mark.parametrize("command", [("test", "check.py", "--versions", "1.0"), ("shell", "1.0"), ("lock",)])
@pytest.mark.parametrize("given", [("--with", "./none"), ("--project", "./none"), ("--find-links", "none")])
def test_what_is_not_there_is_told_before_anything_runs(
    user: User, command: tuple[str, ...], given: tuple[str, str]
) -> None:
    user.write("check.py", "import toy\n")
    run = user.run(*command, *given)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(f"tf-tester: error: {given[0]}: there is no "), run.err
    assert len(run.err.splitlines()) == 2


def test_a_file_that_is_for_other_pythons_may_be_missing(user: User) -> None:
    user.write("r.txt", "./none-1.0-py3-none-any.whl ; python_version < '3'\n")
    user.write("check.py", "import toy\n")
    assert user.run("test", "check.py", "--versions", "2.0", "-r", "r.txt").code == 0


def test_a_file_may_allow_pre_releases_and_a_line_that_cannot_be_had_is_named(user: User, index: Simulator) -> None:
    for version in ("1.0", "2.0rc1"):
        index.add_wheel(*make_wheel("cog", version), upload_time="2019-01-01T00:00:00Z")
    user.write("check.py", "import toy, cog\nprint(cog.__version__)\n")
    user.write("r.txt", "--pre\ncog\n")
    run = user.run("test", "check.py", "--versions", "1.0", "-r", "r.txt")
    assert pins(run.record())["cog"]["version"] == "2.0rc1"
    user.write("r.txt", "six\n\ncog>=99\n")
    index.add_wheel(*make_wheel("six", "1.0"), upload_time="2019-01-01T00:00:00Z")
    run = user.run("test", "check.py", "--versions", "1.0", "-r", "r.txt")
    assert run.code == 3
    assert "No set of dependencies fits toy==1.0" in run.results()["1.0"]["summary"]
    assert run.results()["1.0"]["summary"].endswith("r.txt:3 asks for cog>=99.")
