"""Indexes besides the authority, their passwords, and what an index says of a project."""

import hashlib
import os
from pathlib import Path

from tests.integration.conftest import User
from tests.simulator import Simulator, Status
from tests.wheels import make_wheel

DATE = "2022-04-01T00:00:00Z"


def test_a_project_of_an_index_of_ones_own_is_taken_from_nowhere_else(user: User, index: Simulator) -> None:
    """The public index has a newer one of that name: whoever put it there must not be heard (CVE-2018-20225)."""
    index.add_wheel(*make_wheel("gear", "99.0"), upload_time=DATE)
    with Simulator() as own, Simulator() as mirror:
        own.add_wheel(*make_wheel("gear", "2.5", files={"gear.py": "MAJOR = '2'\n"}), upload_time=DATE)
        mirror.add_wheel(*make_wheel("gear", "99.0"), upload_time=DATE)
        words = ("--versions", "2.0", "--with-deps", "--mirror", mirror.simple_url)
        run = user.run("download", *words, "--extra-index-url", own.simple_url)
        assert run.code == 0, run.err
        names = [path.name for path in (user.folder / "wheels").glob("*.whl")]
        assert sorted(names) == ["gear-2.5-py3-none-any.whl", "toy-2.0-py3-none-any.whl"]
        assert mirror.requests["gear"] == 0, "a mirror is not told what private projects are called"
        # What it has is known by pip's own words, too.
        env = {"TF_TESTER_INDEX_URL": "", "PIP_INDEX_URL": index.simple_url, "PIP_EXTRA_INDEX_URL": own.simple_url}
        again = user.run("versions", "gear", env=env)
        assert [line.split()[0] for line in again.out.splitlines()[1:]] == ["2.5"]
        # One that doesn't answer is no reason to take somebody else's.
        own.fault("gear", Status(503))
        env["TF_TESTER_STORE"] = str(user.home / "fresh")
        refused = user.run("versions", "gear", env=env)
        assert refused.code == 4
        assert "99.0" not in refused.out


def test_pip_s_and_uv_s_own_files_are_understood(user: User, index: Simulator) -> None:
    with Simulator() as own:
        own.add_wheel(*make_wheel("gear", "2.5"), upload_time=DATE)
        pip = user.home / ".config" / "pip" / "pip.conf"
        pip.parent.mkdir(parents=True)
        pip.write_text(f"[global]\nindex-url = {index.simple_url}\nextra-index-url =\n    {own.simple_url}\n")
        run = user.run("versions", "gear", env={"TF_TESTER_INDEX_URL": ""})
        assert [line.split()[0] for line in run.out.splitlines()[1:]] == ["2.5"], run.err
        assert user.run("versions", "toy", env={"TF_TESTER_INDEX_URL": ""}).code == 0
        pip.unlink()
        uv = user.home / ".config" / "uv" / "uv.toml"
        uv.parent.mkdir(parents=True)
        uv.write_text(f'[[index]]\nname = "x"\nurl = "{index.simple_url}"\ndefault = true\n')
        run = user.run("versions", "gear", env={"TF_TESTER_INDEX_URL": ""})
        assert "2.0" in run.out, run.err


def test_a_folder_of_pip_s_adds_what_the_authority_has_not(user: User, index: Simulator) -> None:
    folder = user.home / "folder"
    for name, version in (("gear", "99.0"), ("only", "1.0")):
        filename, content = make_wheel(name, version)
        place = folder / name
        place.mkdir(parents=True)
        (place / filename).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        (place / "index.html").write_text(f'<a href="{filename}#sha256={digest}">{filename}</a>')
    env = {"TF_TESTER_INDEX_URL": "", "PIP_INDEX_URL": index.simple_url, "PIP_EXTRA_INDEX_URL": folder.as_uri()}
    assert "99.0" not in user.run("versions", "gear", env=env).out
    assert user.run("download", "--package", "only", "--versions", "1.0", env=env).code == 0
    env["PIP_EXTRA_INDEX_URL"] = (folder / "absent").as_uri()
    assert user.run("versions", "gear", env=env).code == 0


def test_a_password_is_asked_of_the_keyring_and_shown_nowhere(user: User) -> None:
    with Simulator(user=("me", "s3cret")) as own:
        own.add_wheel(*make_wheel("toy", "7.0"), upload_time=DATE)
        tools = user.home / "tools"
        tools.mkdir()
        keyring = tools / "keyring"
        host = own.simple_url.split("/")[2]
        keyring.write_text(
            f'#!/bin/sh\necho "$@" >> {user.home}/asked\n[ "$2 $3" = "{host} me" ] || exit 1\necho s3cret\n'
        )
        keyring.chmod(0o755)
        url = own.simple_url.replace("//", "//me@")
        env = {"PATH": f"{tools}{os.pathsep}{os.defpath}"}
        run = user.run("download", "--versions", "7.0", "--index-url", url, env=env)
        assert run.code == 0, run.err
        assert (user.home / "asked").read_text().splitlines() == [f"get http://{host} me", f"get {host} me"]
        everything = [run.out, run.err, *(_text(path) for path in user.home.rglob("*") if path != keyring)]
        assert not [text for text in everything if "s3cret" in text]
        keyring.write_text("#!/bin/sh\nexit 1\n")
        env["TF_TESTER_STORE"] = str(user.home / "other")
        assert user.run("download", "--versions", "7.0", "--index-url", url, env=env).code == 4


def test_an_index_that_goes_back_is_behind(user: User, index: Simulator) -> None:
    assert user.run("download", "--versions", "2.0").code == 0
    seen = index.serial
    index.serial = 1
    _forget_pages(user)
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "2.0")
    assert run.code == 0
    assert "older state of toy" in run.out
    asked = [request for request in index.log if request.path.endswith("/toy/")]
    assert [request.headers.get("cache-control") for request in asked[-2:]] == [None, "no-cache"]
    index.serial = seen + 1
    _forget_pages(user)
    assert "older state" not in user.run("test", "check.py", "--versions", "2.0").out


def test_a_mirror_that_shows_yesterday_does_not_speak_for_the_authority(user: User, index: Simulator) -> None:
    index.serial = 10  # of all pages
    assert user.run("download", "--versions", "2.0").code == 0
    index.fault("toy", Status(503))
    _forget_pages(user)
    with Simulator() as one, Simulator() as other:
        for mirror in (one, other):
            mirror.add_wheel(*make_wheel("toy", "2.0"), upload_time=DATE)
        one.serial, other.serial = index.serial + 5, index.serial - 1
        words = ("--mirror", one.simple_url, "--mirror", other.simple_url)
        run = user.run("versions", *words)
        assert run.code == 4
        assert "older state than was seen before" in run.err
        other.serial = index.serial + 5
        _forget_pages(user)
        assert user.run("versions", *words).code == 0


def test_a_project_in_quarantine_is_not_touched_and_other_states_are_told(user: User, index: Simulator) -> None:
    index.add_project("toy", status="quarantined")
    run = user.run("download", "--versions", "2.0")
    assert run.code == 2
    assert "in quarantine" in run.err
    index.add_project("toy", status="archived")
    _forget_pages(user)
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "2.0")
    assert run.code == 0
    assert "the index says that toy is archived" in run.out


def _forget_pages(user: User) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(user.store / "ledger.sqlite")) as database:
        database.execute("DELETE FROM page")
        database.commit()


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1") if path.is_file() else ""
