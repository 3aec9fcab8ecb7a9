"""What a sandbox keeps from a test, by what made it fail."""

import pytest

from tf_tester.core.outcome.sandboxed import (
    AskedPath,
    KeptPath,
    PathRefusal,
    Walls,
    about_what_is_full,
    asked_paths,
    kept_from,
    no_network,
)
from tf_tester.model.host.limits import Limits

MISSING, DENIED = PathRefusal.MISSING, PathRefusal.DENIED
WALLS = Walls("namespace", network=False)


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: '/home/me/a b'", [("/home/me/a b", MISSING)]),
        ("PermissionError: [Errno 13] Permission denied: '/x/y'", [("/x/y", DENIED)]),
        ("OSError: [Errno 30] Read-only file system: '/x' -> '/y'", [("/x", DENIED), ("/y", DENIED)]),
        ("NotFoundError: /data/model.pb; No such file or directory", [("/data/model.pb", MISSING)]),
        ("cat: /etc/shadow: Permission denied", [("/etc/shadow", DENIED)]),
        ("No such file or directory: 'relative/path'", []),
        ("PermissionError: [Errno 13] Permission denied: 'new'", [("new", DENIED)]),
        ("opened /x\nNo such file or directory", []),
        ("https://host/x: No such file or directory", []),
        ("ValueError: /x is no model", []),
        *(
            (f"RuntimeError: {words}", [("/data/set", MISSING)])
            for words in (
                "no data at /data/set; download it first",
                "'/data/set' doesn't exist",
                "/data/set could not be found",
                "Can't load weights of /data/set.",
                "/data/set is not a directory",
            )
        ),
        ("RuntimeError: 'x' was not found in 'data/set'", []),
        ("PermissionError: [Errno 1] Operation not permitted: '/x'", []),
        ("PermissionError: [Errno 13] Permission denied: '/'", []),
        (f"No such file or directory: '/{'x' * 5000}'", []),
    ],
)
def test_paths_are_those_of_lines_in_which_a_system_refuses_something(
    told: str, asked: list[tuple[str, PathRefusal]]
) -> None:
    assert asked_paths(told) == tuple(AskedPath(*one) for one in asked)


def test_only_some_paths_are_looked_at() -> None:
    assert len(asked_paths("\n".join(f"No such file or directory: '/{number}'" for number in range(1000)))) == 20


@pytest.mark.parametrize(
    ("told", "walls", "kept", "said"),
    [
        ("gaierror: [Errno -2] Name or service not known", WALLS, (), "there is no network (--network)"),
        ("gaierror: [Errno -2] Name or service not known", Walls("namespace", network=True), (), ""),
        ("gaierror: [Errno -2] Name or service not known", Walls("none", network=True), (), ""),
        ("x", WALLS, (KeptPath("/d", is_shown=False),), "/d is there, and not shown to tests (--data /d)"),
        ("x", WALLS, (KeptPath("/d", is_shown=True),), "tests can't change /d (--writable /d)"),
        ("x", WALLS, (KeptPath("/dev/nvidia0", is_shown=False),), "not shown to tests (--gpu)"),
        ("x", WALLS, (KeptPath("/dev/kvm", is_shown=False),), "(--isolation none doesn't)"),
        ("PermissionError: [Errno 1] Operation not permitted", WALLS, (), "(--isolation none has none)"),
        ("PermissionError: [Errno 1] Operation not permitted", Walls("none", network=True), (), ""),
        ("OSError: [Errno 27] File too large", WALLS, (), ""),
        ("OSError: [Errno 27] File too large", Walls("landlock", False, Limits(file_size=1)), (), "file-size=…"),
        ("[Errno 24] Too many open files: 'x'", Walls("landlock", False, Limits(open_files=1)), (), "open-files=…"),
        ("RuntimeError: can't start new thread", Walls("landlock", False, Limits(processes=1)), (), "processes=…"),
        ("OSError: out of pty devices", Walls("landlock", network=False), (), "(--isolation namespace has its own)"),
        ("OSError: out of pty devices", WALLS, (), ""),
        ("AssertionError: 1 != 2", WALLS, (), ""),
        ("semget: No space left on device", WALLS, (), "no option raises (--isolation none has the machine's)"),
        ("OSError: [Errno 28] System V", WALLS, (), "have half of the memory that is allowed (--limit memory=…)"),
        ("semget: No space left on device", Walls("landlock", network=False), (), ""),
        ("[Errno 28] No space left on device: '/dev/shm/psm_1'", WALLS, (), "/dev/shm has half of the memory"),
        ("[Errno 28] No space left on device", WALLS, (), ""),
        ("[Errno 28] No space left on device", Walls("namespace", False, in_memory=True), (), "(--limit scratch=…)"),
        ("[Errno 24] inotify: Too many open files", Walls("namespace", False, Limits(open_files=1)), (), ""),
    ],
)  # fmt: skip
def test_what_is_told_names_the_option(told: str, walls: Walls, kept: tuple[KeptPath, ...], said: str) -> None:
    found = kept_from(told, walls, kept)
    assert found.endswith(said) or said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("told", "walls", "said"),
    [
        ("OSError: [Errno 28] inotify watch limit reached", WALLS, "fs.inotify.max_user_watches"),
        ("inotify_init: Too many open files", Walls("landlock", network=False), "fs.inotify.max_user_instances"),
        ("OSError: out of pty devices", WALLS, "kernel.pty.max"),
        ("OSError: [Errno 28] No space left on device", WALLS, "nothing says what is full"),
        ("OSError: [Errno 28] No space left on device", Walls("none", network=False), ""),
        ("OSError: [Errno 28] No space left on device", Walls("landlock", network=False), ""),
        ("semget: No space left on device", WALLS, ""),
        ("killed by SIGBUS", WALLS, "/dev/shm is full"),
        ("OSError: [Errno 24] Too many open files", WALLS, ""),
        ("ValueError: inotify", WALLS, ""),
    ],
)
def test_what_is_used_up_without_an_option_is_told(told: str, walls: Walls, said: str) -> None:
    found = about_what_is_full(told, walls)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("curl: (6) Could not resolve host: example.invalid", "Could not resolve host"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "Connection refused"),
        ("fatal: unable to access: could not resolve host: x", "could not resolve host"),
        ("error: command 'cc' failed: No such file or directory", ""),
    ],
)
def test_a_build_that_wanted_the_network_is_told_by_its_words(told: str, said: str) -> None:
    assert no_network(told) == said
