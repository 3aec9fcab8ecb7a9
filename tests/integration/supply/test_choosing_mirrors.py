"""Choosing among mirrors, and doing without the authority, from the outside."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.conftest import User
from tests.simulator import Lie, Simulator, Slow, Status
from tests.wheels import make_wheel

BIG = make_wheel("toy", "3.0", files={"toy.py": "__version__ = '3.0'\n", "toy_data.bin": os.urandom(17_000_000)})
DATE = "2024-01-01T00:00:00Z"


@pytest.fixture
def mirrors() -> Iterator[list[Simulator]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Simulator()) for _ in range(3)]


def know(user: User, mirrors: list[Simulator], *more: str) -> None:
    """Write the user's own list: near, far and odd; `more`: lines for each."""
    lines = []
    for name, mirror in zip(("near", "far", "odd"), mirrors, strict=False):
        lines += ["[[mirror]]", f'name = "{name}"', f'url = "{mirror.simple_url}/"', *more]
    file = user.home / ".config" / "tf-tester" / "mirrors.toml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


def speeds(name: str, index: Simulator, mirrors: list[Simulator], *rates: float) -> None:
    for one, rate in zip((index, *mirrors), rates, strict=False):
        one.fault(name, Slow(bytes_per_second=rate, piece=50_000))


@pytest.mark.whole
def test_auto_takes_the_fastest_that_has_the_file_and_remembers_it(
    user: User, index: Simulator, mirrors: list[Simulator]
) -> None:
    for one in (index, *mirrors[:2]):
        one.add_wheel(*BIG, upload_time=DATE)
        one.add_wheel(*make_wheel("toy", "3.1"), upload_time=DATE)
    mirrors[2].add_wheel(*make_wheel("toy", "2.0"))
    know(user, mirrors)
    speeds(BIG[0], index, mirrors, 2_000_000, 20_000_000, 1_000_000)
    run = user.run("download", "--versions", "3.0", "--mirror", "auto")
    assert run.code == 0, run.err
    assert "mirrors: near: the fastest of 3: " in run.err
    assert "from near" in run.err
    mirrors[0].forget_counts()
    again = user.run("download", "--versions", "3.1", "--mirror", "auto")
    assert again.code == 0
    assert "mirrors:" not in again.err
    assert mirrors[0].requests["toy-3.1-py3-none-any.whl"] == 1


@pytest.mark.whole
def test_a_comparison_says_why(user: User, index: Simulator, mirrors: list[Simulator]) -> None:
    for one in (index, *mirrors):
        one.add_wheel(*BIG, upload_time=DATE)
    mirrors[1].fault(BIG[0], Lie(at=5))
    mirrors[2].fault("toy", Status(403))
    know(user, mirrors)
    speeds(BIG[0], index, mirrors, 1_000_000, 10_000_000, 10_000_000)
    run = user.run("mirrors", "bench", "--versions", "3.0")
    assert run.code == 0
    lines = {line[2:].split()[0]: line for line in run.out.splitlines()[1:-1]}
    assert lines["near"].startswith("* near")
    assert "has all 1" in lines["near"]
    assert "first byte" in lines["near"]
    assert lines["far"].startswith("- far")
    assert "not what the authority has" in lines["far"]
    assert "403" in lines["odd"]
    assert run.out.splitlines()[-1] == "--mirror auto would take near."
    (told,) = map(json.loads, user.run("mirrors", "bench", "--versions", "3.0", "--json", "near").out.splitlines())
    assert [one["observation"]["name"] for one in told["ranked"]] == ["near"]
    assert not list((user.store / "blobs").iterdir())


def test_mirrors_of_the_public_index_are_not_asked_for_projects_of_another_one(user: User, index: Simulator) -> None:
    index.add_wheel(*BIG, upload_time=DATE)
    run = user.run("download", "--versions", "3.0", "--mirror", "AUTO")
    assert run.code == 0
    assert "mirrors: none: none of those that are known is a copy of this index" in run.err
    assert "tuna" not in run.err


def test_a_mirror_s_share_of_a_day_is_kept(user: User, index: Simulator, mirrors: list[Simulator]) -> None:
    for one in (index, mirrors[0]):
        one.add_wheel(*BIG, upload_time=DATE)
        one.add_wheel(*make_wheel("toy", "3.1"), upload_time=DATE)
    know(user, mirrors[:1], "daily_gb = 0.003")
    assert user.run("download", "--versions", "3.0", "--mirror", "near").code == 0
    mirrors[0].forget_counts()
    run = user.run("download", "--versions", "3.1", "--mirror", "near")
    assert run.code == 0
    assert "from near: isn't asked until tomorrow: what it may be asked for in a day is used up" in run.err
    assert not [name for name in mirrors[0].requests if name.endswith(".whl")]


def test_without_the_authority_two_mirrors_must_agree(user: User, index: Simulator, mirrors: list[Simulator]) -> None:
    for one in mirrors[:2]:
        one.add_wheel(*make_wheel("toy", "1.0"), upload_time=DATE)
    index.fault("toy", Status(503))
    alone = user.run("download", "--versions", "1.0", "--mirror", mirrors[0].simple_url)
    assert alone.code == 4
    assert "2 mirrors that agree are needed for" in alone.err
    assert "--trust" in alone.err
    words = [word for mirror in mirrors[:2] for word in ("--mirror", mirror.simple_url)]
    both = user.run("download", "--versions", "1.0", *words)
    assert both.code == 0, both.err
    assert "can't be reached: hashes are those of" in both.err
    assert (user.folder / "wheels" / "toy-1.0-py3-none-any.whl").exists()


def test_where_bytes_and_hash_came_from_is_in_the_record(
    user: User, index: Simulator, mirrors: list[Simulator]
) -> None:
    mirrors[0].add_wheel(*make_wheel("toy", "5.0"), upload_time=DATE)
    index.fault("toy", Status(503))
    name = mirrors[0].simple_url.split("/")[2]
    user.write("check.py", "import toy\n")
    run = user.run("test", "check.py", "--versions", "5.0", "--trust", mirrors[0].simple_url)
    assert run.code == 0, run.err
    events = run.record()
    (brought,) = [event for event in events if event["event"] == "transfer-finished"]
    assert (brought["source"], brought["promised_by"]) == (name, f"{name} (trusted)")
    (locked,) = [event for event in events if event["event"] == "cell-locked"]
    assert locked["lock"]["pins"][0]["promised_by"] == f"{name} (trusted)"


def test_a_liar_among_two_cannot_make_up_a_file(user: User, index: Simulator, mirrors: list[Simulator]) -> None:
    mirrors[0].add_wheel(*make_wheel("toy", "9.0"), upload_time=DATE)
    mirrors[0].add_wheel(*make_wheel("toy", "1.0", files={"toy.py": "evil\n"}), upload_time=DATE)
    mirrors[1].add_wheel(*make_wheel("toy", "1.0"), upload_time=DATE)
    mirrors[1].add_wheel(*make_wheel("toy", "1.1"), upload_time=DATE)
    mirrors[0].add_wheel(*make_wheel("toy", "1.1"), upload_time=DATE)
    index.fault("toy", Status(503))
    words = [word for mirror in mirrors[:2] for word in ("--mirror", mirror.simple_url)]
    run = user.run("versions", *words)
    assert [line.split()[0] for line in run.out.splitlines()[1:]] == ["1.1"]


def test_a_list_of_mirrors_that_makes_no_sense_is_an_error_in_a_sentence(user: User) -> None:
    file = user.home / ".config" / "tf-tester" / "mirrors.toml"
    file.parent.mkdir(parents=True)
    for text, told in (
        ('[[mirror]]\nname = "x"\n', "url"),
        ('[[mirror]]\nname = "auto"\nurl = "https://x.example/simple"\n', "auto"),
        ('[[mirror]]\nname = "A b"\nurl = "https://x.example/simple"\n', "is not a name"),
        ('[[mirror]]\nname = "x"\nurl = "x"\n', "not an address"),
        ('[[mirror]]\nname = "x"\nurl = "https://x.example"\nspeed = 5\n', "speed"),
        ("[[mirror", "mirrors.toml"),
    ):
        file.write_text(text)
        run = user.run("mirrors")
        assert run.code == 2, text
        assert told in run.err
        assert "Traceback" not in run.err
