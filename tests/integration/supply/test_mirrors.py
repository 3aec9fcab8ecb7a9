"""`tf-tester mirrors` and downloads from several mirrors, from the outside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.conftest import User
from tests.simulator import Headers, Lie, NoRanges, Simulator, Slow, Status
from tests.wheels import make_wheel

BIG = make_wheel("toy", "3.0", files={"toy.py": "__version__ = '3.0'\n", "toy_data.bin": os.urandom(17_000_000)})


@pytest.fixture
def mirrors() -> Iterator[list[Simulator]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Simulator()) for _ in range(3)]


def test_the_known_mirrors_are_listed(user: User) -> None:
    absent = user.home / "absent"
    run = user.run("mirrors", env={"TF_TESTER_STORE": str(absent)})
    assert run.code == 0
    assert run.out.startswith("tuna  ")
    assert "Filled from tuna" in run.out
    assert not absent.exists()
    rows = [json.loads(line) for line in user.run("mirrors", "--json").out.splitlines()]
    assert {"tuna", "aliyun", "huawei"} <= {row["name"] for row in rows}


def test_three_mirrors_bring_a_file_and_the_liar_has_a_cooldown(
    user: User, index: Simulator, mirrors: list[Simulator]
) -> None:
    index.add_wheel(*BIG, upload_time="2024-01-01T00:00:00Z", metadata=True)
    for mirror in mirrors:
        mirror.add_wheel(*BIG)
        mirror.fault(BIG[0], Slow(bytes_per_second=20_000_000, piece=200_000))
    index.fault(BIG[0], Slow(bytes_per_second=5_000_000, piece=50_000))
    mirrors[0].fault(BIG[0], Lie(at=5))
    index.forget_counts()
    words = [word for mirror in mirrors for word in ("--mirror", mirror.simple_url)]
    run = user.run("download", "--versions", "3.0", "--no-deps", *words)
    assert run.code == 0
    wheel = user.folder / "wheels" / BIG[0]
    assert wheel.read_bytes() == BIG[1]
    liar = mirrors[0].simple_url.split("/")[2]
    assert f"from {liar}: gave other bytes than the index promises" in run.err
    assert mirrors[1].requests[BIG[0]]
    assert mirrors[2].requests[BIG[0]]

    (user.store / "blobs").rename(user.store / "elsewhere")
    (user.store / "blobs").mkdir()
    wheel.unlink()
    mirrors[0].forget_counts()
    before = index.requests[BIG[0]]
    again = user.run("download", "--versions", "3.0", "--no-deps", *words)
    assert again.code == 0
    assert f"from {liar}: has a cooldown until 2" in again.err
    assert mirrors[0].requests[BIG[0]] == 0
    assert index.requests[BIG[0]] == before, "the authority is a reserve"


def test_an_index_like_the_authority_is_found_sound(user: User, index: Simulator) -> None:
    with Simulator() as mirror:
        for version in ("1.0", "1.1", "2.0"):
            filename = f"toy-{version}-py3-none-any.whl"
            mirror.add_wheel(filename, index._files[filename].content, upload_time="2022-03-01T00:00:00Z")
        run = user.run("mirrors", "check", mirror.simple_url)
    assert run.code == 0, run.out + run.err
    assert "wrong" not in run.out
    assert "answers 304 where nothing has changed" in run.out


def test_what_an_index_loses_and_says_wrongly_is_told(user: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "4.0"), upload_time="2025-01-01T00:00:00Z", yanked="broken", metadata=True)
    with Simulator(speaks_json=False, etags=False) as mirror:
        mirror.add_wheel(*make_wheel("toy", "4.0", files={"toy.py": "evil"}))
        mirror.fault("toy-4.0-py3-none-any.whl", NoRanges())
        run = user.run("mirrors", "check", mirror.simple_url, "--json")
    assert run.code == 1
    found = {row["what"]: (row["grade"], row["told"]) for row in map(json.loads, run.out.splitlines())}
    assert found["JSON (PEP 691)"][0] == "less"
    assert found["ETag"][0] == "less"
    assert found["files"][0] == "less"
    assert found["SHA-256"] == ("wrong", "1 of 1 differ from the authority's: toy-4.0-py3-none-any.whl")
    assert found["yanks (PEP 592)"][0] == "wrong"
    assert found["sizes (PEP 700)"] == ("less", "none")
    assert found["ranges of files"][0] == "less"


@pytest.mark.parametrize(
    ("fault", "said"), [(Status(404), "has no project named toy"), (Status(503), "503"), (Headers({}), "")]
)
def test_an_index_that_gives_no_page_is_an_error_in_a_sentence(user: User, fault: object, said: str) -> None:
    with Simulator() as mirror:
        if said:
            mirror.fault("toy", fault)  # type: ignore[arg-type]
        run = user.run("mirrors", "check", mirror.simple_url)
    assert run.code in (2, 4)
    assert run.err.startswith("tf-tester: error: ")
    assert (said or "no project named toy") in run.err


def test_a_mirror_that_nobody_knows_is_a_usage_error(user: User) -> None:
    run = user.run("mirrors", "check", "tunna")
    assert run.code == 2
    assert "Did you mean tuna" in run.err


def test_a_mirror_is_set_for_good_and_pip_and_uv_follow_it(user: User, mirrors: list[Simulator]) -> None:
    for mirror in mirrors[:2]:
        mirror.add_wheel(*make_wheel("bolt", "1.0"))
    env = {"HOME": str(user.home), "PATH": os.defpath, "PYTHONPATH": ""}
    config = user.home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"# mine\n[global]\nindex-url = {mirrors[1].simple_url}\n")
    before = config.read_bytes()
    assert user.run("mirrors", "use", mirrors[0].simple_url, "--trusted-host").code == 0

    def both_install() -> None:
        pip = ["-m", "pip", "download", "--no-cache-dir", "-d", str(user.home / "got"), "bolt"]
        uv = ["-m", "uv", "pip", "compile", "--no-cache", "-q", "-"]
        for words, given in ((pip, None), (uv, "bolt")):
            subprocess.run([sys.executable, *words], env=env, input=given, text=True, check=True, capture_output=True)

    both_install()
    assert mirrors[0].requests["bolt"] == 2
    assert mirrors[1].requests["bolt"] == 0
    assert f"pip user  {mirrors[0].simple_url}" in user.run("mirrors", "show").out
    assert user.run("mirrors", "reset").code == 0
    assert config.read_bytes() == before
    assert not (user.home / ".config" / "uv").exists()
    assert "Nothing was changed" in user.run("mirrors", "reset").out


def test_the_lines_for_an_image_turn_its_own_sources_to_the_mirror(user: User) -> None:
    run = user.run("mirrors", "use", "tuna", "--print", "dockerfile")
    command = run.out.split("RUN ")[1].split("\n#")[0].replace("\\\n", " ")
    sources = user.write(
        "apt/debian.sources", "URIs: http://deb.example/debian\nURIs: http://s.example/debian-security\n"
    )
    listed = user.write("apt/sources.list", "deb http://a.example/ubuntu noble main\ndeb http://x.example/other y z\n")
    subprocess.run(["sh", "-ec", command.replace("/etc/apt", str(sources.parent))], check=True)
    mirror = "http://mirrors.tuna.tsinghua.edu.cn"
    assert sources.read_text() == f"URIs: {mirror}/debian\nURIs: {mirror}/debian-security\n"
    assert listed.read_text() == f"deb {mirror}/ubuntu noble main\ndeb http://x.example/other y z\n"
    assert "ARG PIP_INDEX_URL=https://pypi.tuna" in run.out
    assert not (user.home / ".config").exists()


def test_wrong_words_are_usage_errors(user: User) -> None:
    assert user.run("mirrors", "use", "tune").code == 2
    assert user.run("mirrors", "use", "none").code == 2
    assert user.run("mirrors", "use", "tuna", "--for", "npm").code == 2
    assert user.run("mirrors", "use", "tuna", "--for", "poetry", "--scope", "global").code == 2
