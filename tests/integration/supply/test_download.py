"""`tf-tester download` and `versions` from the outside."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.tags import platform_tags

from tests.integration.conftest import User
from tests.simulator import Lie, Simulator, Status
from tests.wheels import make_wheel


def wheels_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".whl")


def test_a_folder_gets_the_wheels_and_pip_installs_from_it(user: User) -> None:
    run = user.run("download", "--versions", "1.0,2.0", "--with-deps", "-d", "wheels")
    assert run.code == 0
    assert wheels_in(user.folder / "wheels") == [
        "gear-2.0-py3-none-any.whl",
        "toy-1.0-py3-none-any.whl",
        "toy-2.0-py3-none-any.whl",
    ]
    words = ["--no-index", "--find-links", "wheels", "--target", "site", "--disable-pip-version-check", "toy==1.0"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *words],
        cwd=user.folder,
        env={"HOME": str(user.home)},
        check=True,
        capture_output=True,
    )
    assert (user.folder / "site" / "gear.py").exists()


def test_what_is_there_already_is_left_alone(user: User, index: Simulator) -> None:
    assert user.run("download", "--versions", "1.0,2.0", "--no-deps").code == 0
    wheel = user.folder / "wheels" / "toy-1.0-py3-none-any.whl"
    before = wheel.stat().st_mtime_ns
    index.forget_counts()
    again = user.run("download", "--versions", "1.0,2.0", "--no-deps")
    assert again.out.count("(was there)") == 2
    assert wheel.stat().st_mtime_ns == before
    assert not [name for name in index.requests if name.endswith(".whl")]


def test_half_a_file_of_that_name_is_replaced(user: User) -> None:
    user.write("wheels/toy-1.0-py3-none-any.whl", "half a download")
    assert user.run("download", "--versions", "1.0", "--no-deps").code == 0
    assert (user.folder / "wheels" / "toy-1.0-py3-none-any.whl").read_bytes()[:2] == b"PK"
    assert wheels_in(user.folder / "wheels") == ["toy-1.0-py3-none-any.whl"]


def test_one_version_that_fails_does_not_cost_the_others(user: User, index: Simulator) -> None:
    index.fault("toy-1.1-py3-none-any.whl", Lie(at=50))
    index.add_wheel(*make_wheel("toy", "0.9", tag="cp35-cp35m-win_amd64"), upload_time="2019-01-01T00:00:00Z")
    run = user.run("download", "--versions", "0.9,1.0,1.1,2.0", "--no-deps")
    assert run.code == 4
    assert wheels_in(user.folder / "wheels") == [
        "toy-1.0-py3-none-any.whl",
        "toy-2.0-py3-none-any.whl",
    ]
    assert "toy 0.9 on Python" in run.err
    assert ": no-wheel: toy 0.9 has no wheel" in run.err
    assert "toy-1.1-py3-none-any.whl: download-failed" in run.err


def test_editing_a_delivered_wheel_cannot_reach_the_store(user: User) -> None:
    """A delivered file belongs to the user; the store's copy must stay right whatever he does to it."""
    user.run("download", "--versions", "1.0", "--no-deps")
    wheel = user.folder / "wheels" / "toy-1.0-py3-none-any.whl"
    wheel.chmod(0o644)
    with wheel.open("r+b") as stream:
        stream.write(b"XX")
    user.write("check.py", "import toy\n")
    assert user.run("test", "check.py", "--versions", "1.0").code == 0


def test_versions_are_listed_with_what_one_must_know(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "2.1"), upload_time="2022-05-01T00:00:00Z", yanked="eats data")
    index.add_wheel(*make_wheel("toy", "3.0rc1"), upload_time="2022-06-01T00:00:00Z")
    plain = user.run("versions")
    assert plain.code == 0
    assert [line.split()[:2] for line in plain.out.splitlines()[1:]] == [
        ["1.0", "2020-03-01"],
        ["1.1", "2021-03-01"],
        ["2.0", "2022-03-01"],
    ]
    everything = user.run("versions", "--pre", "--yanked")
    assert "yanked: eats data" in everything.out
    assert "3.0rc1" in everything.out
    assert "3.0" in user.run("versions", "gear").out
    assert user.run("versions", "--versions", "minors", "--last", "1", "--json").out.count('"version":"2.0"') == 1


def test_the_index_cannot_write_to_the_terminal(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "2.1"), upload_time="2022-05-01T00:00:00Z", yanked="\x1b[2Jgone\u202e")
    run = user.run("versions", "--yanked")
    assert "\x1b" not in run.out
    assert "yanked: [2Jgone\n" in run.out


def test_a_wheel_can_be_fetched_for_a_python_that_is_not_here(user: User, index: Simulator) -> None:
    platform = next(platform_tags())
    for tag in (f"cp36-cp36m-{platform}", f"cp37-cp37m-{platform}"):
        index.add_wheel(*make_wheel("toy", "1.5", tag=tag), upload_time="2021-06-01T00:00:00Z")
    anywhere = {"TF_TESTER_PYTHON": "", "PATH": "/nowhere", "HOME": "/nowhere"}
    assert user.run("download", "--versions", "1.5", "--no-deps", "--python", "3.6", env=anywhere).code == 0
    assert wheels_in(user.folder / "wheels") == [f"toy-1.5-cp36-cp36m-{platform}.whl"]


def test_a_folder_that_cannot_be_made_is_named(user: User) -> None:
    user.write("file", "")
    run = user.run("download", "--versions", "1.0", "-d", "file/wheels")
    assert run.code == 4
    assert "file/wheels can't be used" in run.err
    assert "another folder" in run.err


def test_wheels_for_other_platforms_come_with_what_they_need_there(user: User, index: Simulator) -> None:
    needs = ('gear; sys_platform == "linux"', 'spring; sys_platform == "win32"')
    for tag in ("cp39-cp39-win_amd64", "cp39-cp39-manylinux_2_17_aarch64", "cp39-cp39-macosx_99_0_arm64"):
        index.add_wheel(*make_wheel("toy", "1.6", tag=tag, requires=needs), upload_time="2021-06-01T00:00:00Z")
    for tag in ("cp39-cp39-win_amd64", "cp39-cp39-win32"):
        index.add_wheel(*make_wheel("spring", "1.0", tag=tag), upload_time="2021-06-01T00:00:00Z")
    words = ("--versions", "1.6", "--with-deps", "--platform", "win_amd64,linux_aarch64", "--platform", "macosx_arm64")
    run = user.run("download", *words, env={"TF_TESTER_PYTHON": ""})
    assert run.code == 3
    assert "toy 1.6 for macosx_arm64: no-wheel" in run.err
    assert wheels_in(user.folder / "wheels") == [
        "gear-2.0-py3-none-any.whl",
        "spring-1.0-cp39-cp39-win_amd64.whl",
        "toy-1.6-cp39-cp39-manylinux_2_17_aarch64.whl",
        "toy-1.6-cp39-cp39-win_amd64.whl",
    ]
    windows = (user.folder / "wheels" / "requirements-1.6-py3.9-win_amd64.txt").read_text()
    assert "-r requirements-1.6-py3.9-win_amd64.txt\n" in windows
    assert "spring==1.0" in windows
    assert "gear" not in windows


def test_a_platform_that_nobody_knows_is_a_usage_error(user: User) -> None:
    run = user.run("download", "--versions", "1.0", "--platform", "beos")
    assert run.code == 2
    assert "win_amd64" in run.err


def test_the_folder_has_sums_and_a_lock_that_pip_takes(user: User) -> None:
    user.run("download", "--versions", "1.1")
    user.run("download", "--versions", "1.0", "--with-deps")
    folder = user.folder / "wheels"
    sums = {line[66:]: line[:64] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert sums == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in wheels_in(folder)}
    assert len(sums) == 3
    [said] = re.findall(r"^# pip (install .*)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    subprocess.run(
        [sys.executable, "-m", "pip", *said.split(), "--target", "../site", "--disable-pip-version-check"],
        cwd=folder,
        env={"HOME": str(user.home)},
        check=True,
        capture_output=True,
    )
    assert (user.folder / "site" / "gear.py").exists()


def test_a_lock_in_the_standard_form_names_the_index_not_a_mirror(user: User, index: Simulator) -> None:
    from packaging.pylock import Pylock

    assert user.run("download", "--versions", "1.0,2.0", "--with-deps", "--lock", "pylock").code == 0
    files = sorted((user.folder / "wheels").glob("pylock*.toml"))
    assert len(files) == 2
    lock = Pylock.from_dict(tomllib.loads(files[0].read_text()))
    lock.validate()
    wheels = {str(package.name): (package.wheels or [])[0] for package in lock.packages}
    assert sorted(wheels) == ["gear", "toy"]
    assert (wheels["toy"].url or "").startswith(index.url)
    assert user.run("download", "--versions", "1.0", "--lock", "none", "-d", "other").code == 0
    assert sorted(path.name for path in (user.folder / "other").iterdir()) == ["SHA256SUMS", "toy-1.0-py3-none-any.whl"]


def test_what_is_not_ours_is_never_replaced_unless_that_is_wanted(user: User) -> None:
    own = {
        "requirements.txt": "toy\n# mine\n",
        "SHA256SUMS": f"{'0' * 64}  release.iso\n",
        "pylock.toml": 'lock-version = "1.0"\ncreated-by = "uv"\n',
    }
    for name, text in own.items():
        (user.folder / name).write_text(text)
        words = ("--versions", "2.0", "-d", ".", *(("--lock", "pylock") if name.startswith("pylock") else ()))
        run = user.run("download", *words)
        assert run.code == 2
        assert f"{name} is not a file of tf-tester's, and would be replaced." in run.err
        assert (user.folder / name).read_text() == text
        assert not list(user.folder.glob("*.whl")), "it is said before anything comes"
        assert user.run("download", *words, "--force").code == 0
        assert (user.folder / name).read_text() != text
        assert user.run("download", *words).code == 0, "its own it may replace"
        for file in (*user.folder.glob("*.whl"), *(user.folder / name for name in own)):
            file.unlink(missing_ok=True)


def test_a_wheel_of_ones_own_stays_and_one_that_has_rotted_comes_again(user: User) -> None:
    name = "toy-2.0-py3-none-any.whl"
    own = make_wheel("toy", "2.0", files={"toy.py": "mine = True\n"})[1]
    (user.folder / name).write_bytes(own)
    run = user.run("download", "--versions", "1.0,2.0", "-d", ".")
    assert run.code == 2
    assert f"{name} is another file of that name, with other contents." in run.err
    assert (user.folder / name).read_bytes() == own
    assert (user.folder / "toy-1.0-py3-none-any.whl").is_file(), "the others came"
    assert user.run("download", "--versions", "2.0", "-d", ".", "--force").code == 0
    whole = (user.folder / name).read_bytes()
    (user.folder / name).write_bytes(whole[:-1] + b"?")
    assert user.run("download", "--versions", "2.0", "-d", ".").code == 0
    assert (user.folder / name).read_bytes() == whole


def test_what_killed_downloads_have_left_is_swept(user: User) -> None:
    user.run("download", "--versions", "2.0")
    dead, living, other = (
        user.folder / "wheels" / name
        for name in (".toy-1.0-py3-none-any.whl.999999999.part", f".toy.whl.{os.getpid()}.part", ".mine.part")
    )
    fresh = user.folder / "wheels/.fresh.whl.999999999.part"
    for file in (dead, living, other, fresh):
        file.touch()
    for file in (dead, living, other):
        os.utime(file, (0, 0))
    user.run("download", "--versions", "2.0")
    assert [file.exists() for file in (dead, living, other, fresh)] == [False, True, True, True]


def test_a_dry_run_says_what_would_come_from_where_and_brings_nothing(user: User, index: Simulator) -> None:
    user.run("download", "--versions", "1.0", "-d", "wheels")
    user.run("download", "--versions", "1.1", "-d", "elsewhere")
    index.forget_counts()
    run = user.run("download", "--versions", "1.0,1.1,2.0", "--dry-run")
    assert run.code == 0
    lines = run.out.splitlines()
    assert [line.split("  ")[-1] for line in lines[:3]] == ["is there", "from the store", "from authority"]
    assert lines[3].startswith("1 of 3 files would come: ")
    assert not [name for name in index.requests if name.endswith(".whl")]
    assert not (user.folder / "wheels" / "toy-2.0-py3-none-any.whl").exists()


def test_a_file_that_is_there_is_not_fetched_even_if_the_store_has_lost_it(user: User, index: Simulator) -> None:
    user.run("download", "--versions", "1.0")
    shutil.rmtree(user.store / "blobs")
    index.forget_counts()
    run = user.run("download", "--versions", "1.0")
    assert "(was there)" in run.out
    assert not [name for name in index.requests if name.endswith(".whl")]


def test_a_lock_is_enough_where_the_authority_is_down(user: User, index: Simulator) -> None:
    assert user.run("download", "--versions", "1.0", "--with-deps", "--lock", "pylock").code == 0
    shutil.move(user.folder / "wheels" / "pylock.toml", user.folder / "pylock.toml")
    shutil.rmtree(user.store)
    index.fault("toy", Status(503))
    index.fault("gear", Status(503))
    index.fault("toy-1.0-py3-none-any.whl", Status(404))
    with Simulator() as mirror:
        brought = sorted((user.folder / "wheels").glob("*.whl"))
        for wheel in brought:
            mirror.add_wheel(wheel.name, wheel.read_bytes())
        words = ("--from-lock", "pylock.toml", "-d", "got")
        dry = user.run("download", *words, "--dry-run", "--mirror", mirror.simple_url)
        assert dry.out.splitlines()[-1].startswith("2 of 2 files would come")
        run = user.run("download", *words, "--mirror", mirror.simple_url)
    assert run.code == 0
    assert wheels_in(user.folder / "got") == [wheel.name for wheel in brought]
    assert "SHA256SUMS" in [path.name for path in (user.folder / "got").iterdir()]


def test_what_is_no_lock_or_has_nothing_for_this_python_is_said(user: User) -> None:
    user.write("pylock.toml", "x = 1\n")
    run = user.run("download", "--from-lock", "pylock.toml")
    assert run.code == 2
    assert "is not a lock (PEP 751)" in run.err
    assert user.run("download", "--from-lock", "absent.toml").code == 2
    user.write(
        "pylock.toml",
        'lock-version = "1.0"\ncreated-by = "me"\n[[packages]]\nname = "toy"\nversion = "1.0"\n[[packages.wheels]]\n'
        'url = "https://x.example/toy-1.0-cp27-none-any.whl"\n[packages.wheels.hashes]\nsha256 = "' + "a" * 64 + '"\n',
    )
    run = user.run("download", "--from-lock", "pylock.toml")
    assert run.code == 2
    assert "has no file of toy" in run.err
