"""A page that was wrong doesn't stick: not as a page, not as a lock, not as metadata."""

import hashlib

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel, metadata_text

DATE = "2022-04-01T00:00:00Z"
GEAR = "gear-2.0-py3-none-any.whl"
RESOLVED = ("download", "--versions", "2.0", "--with-deps")


def test_a_version_that_a_kept_page_lacks_is_asked_for_at_once(user: User, index: Simulator) -> None:
    assert user.run("download", "--versions", "2.0").code == 0
    index.add_wheel(*make_wheel("toy", "2.1", requires=["gear"]), upload_time=DATE)
    run = user.run("download", "--versions", "2.1")
    assert run.code == 0, run.err
    before = index.requests["toy"]
    assert user.run("download", "--versions", "2.1").code == 0
    assert index.requests["toy"] == before, "what is right is not asked for again"


def test_a_project_that_was_missing_is_asked_for_at_once(user: User, index: Simulator) -> None:
    assert user.run("versions", "late").code == 2
    index.add_wheel(*make_wheel("late", "1.0"), upload_time=DATE)
    assert "1.0" in user.run("versions", "late").out
    index.add_wheel(*make_wheel("needy", "1.0", requires=["later"]), upload_time=DATE)
    words = ("download", "--package", "needy", "--versions", "1.0", "--with-deps")
    assert user.run(*words).code == 3
    index.add_wheel(*make_wheel("later", "1.0"), upload_time=DATE)
    run = user.run(*words)
    assert run.code == 0, run.err


def test_a_hash_that_was_wrong_is_asked_for_at_once_although_a_lock_has_it(user: User, index: Simulator) -> None:
    index.file_fields[GEAR] = {"hashes": {"sha256": "ab" * 32}}
    run = user.run(*RESOLVED)
    assert run.code == 4
    assert "gave other bytes than the index promises" in run.err
    index.file_fields.clear()
    again = user.run(*RESOLVED)
    assert again.code == 0, again.err
    assert (user.folder / "wheels" / GEAR).is_file()


def test_metadata_that_is_not_the_wheels_is_refused_and_then_its_own_counts(user: User, index: Simulator) -> None:
    lie = metadata_text("toy", "2.1", requires=["absent-project"]).encode()
    for shown, own in ((lie, ["gear"]), (metadata_text("toy", "2.2").encode(), ["gear"])):
        version = "2.1" if shown is lie else "2.2"
        index.add_wheel(*make_wheel("toy", version, requires=own), upload_time=DATE, metadata=shown)
    words = ("download", "--versions", "2.2", "--with-deps")
    run = user.run(*words)
    assert run.code == 3, run.err
    assert "toy-2.2-py3-none-any.whl has other METADATA than its index shows of it" in run.err
    again = user.run(*words)
    assert again.code == 0, again.err
    assert (user.folder / "wheels" / GEAR).is_file(), "what the wheel itself requires"
    assert user.run("download", "--versions", "2.1", "--with-deps").code == 3, "nobody has what is said to be required"
    assert "other METADATA than its index shows" in user.run("download", "--versions", "2.1").err
    healed = user.run("download", "--versions", "2.1", "--with-deps")
    assert healed.code == 0, healed.err


def test_a_refresh_asks_for_pages_and_resolves_anew(user: User, index: Simulator) -> None:
    assert user.run(*RESOLVED).code == 0
    index.add_wheel(*make_wheel("toy", "2.1"), upload_time=DATE)
    assert "2.1" not in user.run("versions").out
    assert "2.1" in user.run("versions", "--refresh").out
    filename, content = make_wheel("gear", "2.1", files={"gear.py": "MAJOR = '2'\n"})
    index.add_wheel(filename, content, upload_time="2020-03-01T00:00:00Z")
    assert user.run(*RESOLVED).code == 0
    assert not (user.folder / "wheels" / filename).exists()
    assert user.run(*RESOLVED, "--refresh").code == 0
    assert hashlib.sha256((user.folder / "wheels" / filename).read_bytes()).digest() == hashlib.sha256(content).digest()
    both = user.run("versions", "--refresh", "--offline")
    assert (both.code, "--offline forbids it" in both.err) == (2, True)


def test_files_that_nobody_can_verify_are_told_with_the_reason(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("bare", "1.0"), upload_time=DATE, hashes=False)
    index.file_fields["bare-1.0-py3-none-any.whl"] = {"hashes": {"md5": "ab" * 16}}
    index.add_wheel(*make_wheel("user", "1.0", requires=["bare"]), upload_time=DATE)
    alone = user.run("download", "--package", "bare", "--versions", "1.0")
    assert alone.code == 4
    assert "the index promises MD5 alone for it" in alone.err
    run = user.run("download", "--package", "user", "--versions", "1.0", "--with-deps")
    assert run.code == 3
    assert "bare-1.0-py3-none-any.whl is left out (the index promises MD5 alone for it" in run.err
