"""Finding Pythons, with shell scripts that play them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.fakes import KeptMemos
from tf_tester.env.installer import PythonInstaller
from tf_tester.env.interpreters import FoundInterpreters, NoMemory, identity, outside_environment
from tf_tester.errors import NoPython, UsageError
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the fakes are shell scripts")


def no_uv() -> Path:
    raise AssertionError("uv is not needed for this")


def finder(
    home: Path,
    *,
    path: Sequence[Path] = (),
    given: Sequence[Path] = (),
    memory: KeptMemos[str] | None = None,
    uv: Callable[[], Path] = no_uv,
    environ: Mapping[str, str] | None = None,
    running: Path | None = None,
    timeout_s: float = 10,
    now: Callable[[], float] = lambda: 0.0,
    build_mirrors: Callable[[], Sequence[str]] = tuple,
) -> FoundInterpreters:
    return FoundInterpreters(
        given,
        memory or KeptMemos(),
        PythonInstaller(uv, build_mirrors),
        {"HOME": str(home), "PATH": os.pathsep.join(map(str, path)), **(environ or {})},
        running=running,
        timeout_s=timeout_s,
        now=now,
    )


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake_python(path: Path, version: str, **other: object) -> Path:
    """An executable that answers as a Python of that version does."""
    digits = "".join(version.split(".")[:2])
    answer = {
        "version": version,
        "implementation": "cpython",
        "abi": f"cp{digits}",
        "bits": 64,
        "cache_tag": f"cpython-{digits}",
        "prefix": "/usr",
        "build": {"version": f"{version} (main)"},
        **other,
    }
    return script(path, f"echo '{json.dumps(answer)}'")


def found_in(home: Path, finder: FoundInterpreters) -> list[Interpreter]:
    """Without what a system keeps in places of its own, which no environment variable names."""
    return [one for one in finder.find()[0] if one.path.is_relative_to(home)]


def broken_in(home: Path, finder: FoundInterpreters) -> list[BrokenInterpreter]:
    return [one for one in finder.find()[1] if one.path.is_relative_to(home)]


def versions(found: Sequence[Interpreter]) -> list[str]:
    return [one.version for one in found]


def test_pythons_are_found_newest_first_in_every_place(tmp_path: Path) -> None:
    fake_python(tmp_path / ".pyenv/versions/3.8.18/bin/python3.8", "3.8.18")
    fake_python(tmp_path / ".asdf/installs/python/3.9.1/bin/python3.9", "3.9.1")
    fake_python(tmp_path / ".local/share/mise/installs/python/3.7.1/bin/python3.7", "3.7.1")
    fake_python(tmp_path / ".local/share/uv/python/cpython-3.12.4-linux/bin/python3", "3.12.4")
    fake_python(tmp_path / "miniconda/envs/old/bin/python3.6", "3.6.1")
    fake_python(tmp_path / "bin/python3.10", "3.10.2")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/environments.txt").write_text(f"{tmp_path}/miniconda\n")
    found = found_in(tmp_path, finder(tmp_path, path=[tmp_path / "bin"]))
    assert [(one.version, one.provider) for one in found] == [
        ("3.12.4", "uv"),
        ("3.10.2", "path"),
        ("3.9.1", "asdf"),
        ("3.8.18", "pyenv"),
        ("3.7.1", "mise"),
        ("3.6.1", "conda"),
    ]


def test_environment_variables_say_where_version_managers_keep_theirs(tmp_path: Path) -> None:
    fake_python(tmp_path / "p/versions/3.8.18/bin/python3.8", "3.8.18")
    fake_python(tmp_path / "u/cpython-3.12.4-linux/bin/python3", "3.12.4")
    environ = {"PYENV_ROOT": str(tmp_path / "p"), "UV_PYTHON_INSTALL_DIR": str(tmp_path / "u")}
    assert versions(found_in(tmp_path, finder(tmp_path, environ=environ))) == ["3.12.4", "3.8.18"]


def test_of_one_version_and_abi_the_version_manager_comes_before_the_path(tmp_path: Path) -> None:
    own = fake_python(tmp_path / ".pyenv/versions/3.8.18/bin/python3.8", "3.8.18")
    fake_python(tmp_path / "bin/python3.8", "3.8.18")
    assert [one.path for one in found_in(tmp_path, finder(tmp_path, path=[tmp_path / "bin"]))] == [own]


def test_a_given_python_comes_before_all(tmp_path: Path) -> None:
    fake_python(tmp_path / ".pyenv/versions/3.8.18/bin/python3.8", "3.8.18")
    mine = fake_python(tmp_path / "mine/python", "3.8.18")
    found = found_in(tmp_path, finder(tmp_path, given=[mine]))
    assert [(one.path, one.provider) for one in found] == [(mine, "given")]


def test_every_patch_release_and_build_is_kept_plain_ones_first(tmp_path: Path) -> None:
    for number, (version, abi) in enumerate(
        [("3.13.0", "cp313t"), ("3.13.0", "cp313"), ("3.13.2", "cp313"), ("3.14.0rc1", "cp314")]
    ):
        fake_python(tmp_path / f"{number}/python3", version, abi=abi)
    found = found_in(tmp_path, finder(tmp_path, path=[tmp_path / str(n) for n in range(4)]))
    assert [(one.version, one.abi) for one in found] == [
        ("3.14.0rc1", "cp314"),
        ("3.13.2", "cp313"),
        ("3.13.0", "cp313"),
        ("3.13.0", "cp313t"),
    ]


def test_links_to_one_executable_are_started_once(tmp_path: Path) -> None:
    real = script(tmp_path / "bin/python3.8", f"echo x >> {tmp_path}/started; exit 1")
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).symlink_to("python3.8")
    assert [one.path for one in broken_in(tmp_path, finder(tmp_path, path=[tmp_path / "bin"]))] == [real]
    assert (tmp_path / "started").read_text() == "x\n"


def test_shims_and_relative_entries_of_the_path_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_python(tmp_path / "shims/python3", "3.8.18")
    fake_python(tmp_path / "here/python3", "3.9.18")
    monkeypatch.chdir(tmp_path)
    assert found_in(tmp_path, finder(tmp_path, path=[tmp_path / "shims", Path("here"), Path()])) == []


def test_virtual_environments_are_not_listed(tmp_path: Path) -> None:
    fake_python(tmp_path / "venv/bin/python3", "3.8.18")
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    assert found_in(tmp_path, finder(tmp_path, path=[tmp_path / "venv/bin"])) == []


def test_the_environment_we_run_in_stands_for_its_base(tmp_path: Path) -> None:
    base = fake_python(tmp_path / "base/bin/python3.11", "3.11.7")
    venv = tmp_path / "venv/bin"
    venv.mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (venv / "python3.11").symlink_to(base)
    (venv / "python").symlink_to("python3.11")
    found = found_in(tmp_path, finder(tmp_path, running=venv / "python"))
    assert [(one.path, one.provider) for one in found] == [(base, "running")]


def test_an_environment_of_copies_leads_home_through_its_configuration(tmp_path: Path) -> None:
    base = fake_python(tmp_path / "base/bin/python3", "3.11.7")
    copied = fake_python(tmp_path / "venv/bin/python", "3.11.7")
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.11.7\n")
    assert outside_environment(copied) == base


def test_a_ring_of_environments_ends(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = bin\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("python3")
    (tmp_path / "bin/python3").symlink_to("python")
    assert outside_environment(tmp_path / "bin/python").name.startswith("python")


def test_a_link_to_something_not_called_python_keeps_its_own_name(tmp_path: Path) -> None:
    script(tmp_path / "multicall", "exit 1")
    (tmp_path / "python3").symlink_to("multicall")
    assert identity(tmp_path / "python3") == tmp_path / "python3"


def test_pythons_before_3_6_are_left_out_silently(tmp_path: Path) -> None:
    fake_python(tmp_path / "a/python3.5", "3.5.10", abi="cp35m")
    script(tmp_path / "a/python2.7", "exit 1")
    script(tmp_path / "a/python", "echo 'Unknown option: -I' >&2; exit 2")
    looking = finder(tmp_path, path=[tmp_path / "a"])
    assert found_in(tmp_path, looking) == []
    assert broken_in(tmp_path, looking) == []


def test_pypy_is_kept_as_what_it_is(tmp_path: Path) -> None:
    fake_python(tmp_path / "a/pypy3.10", "3.10.14", implementation="pypy", abi="pypy310_pp73")
    (found,) = found_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"]))
    assert (found.implementation, found.abi, found.label) == ("pypy", "pypy310_pp73", "pypy310_pp73")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("exit 1", "it ended with status 1: it said nothing"),
        ("echo first >&2; echo 'libpython3.8.so: not found' >&2; exit 127",
         "it ended with status 127: libpython3.8.so: not found"),
        ("kill -SEGV $$", "it died of SIGSEGV: it said nothing"),
        ("echo hello", "it does not answer as a Python: 'hello\\n'"),
        ("echo '{}'", "it does not answer as a Python: '{}\\n'"),
        ("true", "it does not answer as a Python: ''"),
        ("printf '\\377\\376'", "it does not answer as a Python: '\ufffd\ufffd'"),
    ],
)  # fmt: skip
def test_what_does_not_run_is_reported_with_its_reason(tmp_path: Path, body: str, reason: str) -> None:
    path = script(tmp_path / "a/python3", body)
    (broken,) = broken_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"]))
    assert broken.path == path
    assert broken.reason == reason


def test_one_that_can_not_be_started_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a/python3"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    (broken,) = broken_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"]))
    assert broken.reason == "it can't be started: Exec format error"


def test_one_that_hangs_is_given_up_and_its_children_with_it(tmp_path: Path) -> None:
    script(tmp_path / "a/python3", f"/bin/sleep 60 & echo $! > {tmp_path}/child; wait")
    (broken,) = broken_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"], timeout_s=0.5))
    assert broken.reason == "it did not answer within 0.5 s"
    child = int((tmp_path / "child").read_text())
    assert gone(child)


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    return lambda: monkeypatch.setattr(subprocess, "Popen", refuse)


def test_a_warm_find_starts_no_process(tmp_path: Path, nothing_starts: Callable[[], None]) -> None:
    memory = KeptMemos[str]()
    link = tmp_path / "a/python3"
    link.parent.mkdir()
    link.symlink_to(outside_environment(Path(sys.executable)))
    script(tmp_path / "a/python3.8", "exit 1")
    cold = finder(tmp_path, path=[tmp_path / "a"], memory=memory).find()
    nothing_starts()
    assert finder(tmp_path, path=[tmp_path / "a"], memory=memory).find() == cold
    assert len(cold[0]) >= 1


def test_without_memory_every_find_looks_anew(tmp_path: Path) -> None:
    script(tmp_path / "a/python3", f"echo x >> {tmp_path}/started; exit 1")
    for _ in range(2):
        looking = FoundInterpreters([], NoMemory(), PythonInstaller(no_uv), {"PATH": str(tmp_path / "a")}, running=None)
        looking.find()
    assert (tmp_path / "started").read_text() == "x\nx\n"


def test_a_failure_is_forgotten_after_an_hour(tmp_path: Path) -> None:
    memory = KeptMemos[str]()
    body = f"test -e {tmp_path}/libpython || exit 1\n"
    answer = fake_python(tmp_path / "b/python3", "3.8.18").read_text().splitlines()[1]
    script(tmp_path / "a/python3", body + answer)
    at = {"now": 1000.0}

    def find() -> list[Interpreter]:
        return found_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"], memory=memory, now=lambda: at["now"]))

    assert find() == []
    (tmp_path / "libpython").touch()
    assert find() == []
    at["now"] += 3601
    assert versions(find()) == ["3.8.18"]


def test_a_changed_executable_is_asked_again(tmp_path: Path) -> None:
    memory = KeptMemos[str]()
    script(tmp_path / "a/python3", "exit 1")
    assert found_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"], memory=memory)) == []
    fake_python(tmp_path / "a/python3", "3.9.18")
    assert versions(found_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"], memory=memory))) == ["3.9.18"]


@pytest.mark.parametrize("spoilt", ["", "{", "[]", "null", '{"version": "x"}', '{"broken": "b"}'])
def test_spoilt_memory_is_no_harm(tmp_path: Path, spoilt: str) -> None:
    fake_python(tmp_path / "a/python3", "3.9.18")

    class Spoilt(KeptMemos[str]):
        def recall(self, key: str) -> str | None:
            return spoilt

    found = found_in(tmp_path, finder(tmp_path, path=[tmp_path / "a"], memory=Spoilt()))
    assert versions(found) == ["3.9.18"]


def test_our_own_python_says_of_itself_what_we_know(tmp_path: Path) -> None:
    found = finder(tmp_path).probe(Path(sys.executable))
    assert found.version.startswith(".".join(map(str, sys.version_info[:3])))
    assert (found.implementation, found.cache_tag) == (sys.implementation.name, sys.implementation.cache_tag)
    assert found.bits == sys.maxsize.bit_length() + 1
    assert found.provider == "given"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: script(path, "exit 3"), "does not run as a Python: it ended with status 3"),
        (lambda path: fake_python(path, "3.5.2"), "is older than Python 3.6"),
        (lambda path: path.touch(), "does not run as a Python: it can't be started: Permission denied"),
    ],
)
def test_probing_what_is_no_python_is_a_usage_error(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / "python3")
    with pytest.raises(UsageError, match=message):
        finder(tmp_path).probe(tmp_path / "python3")


def fake_uv(tmp_path: Path, body: str) -> Callable[[], Path]:
    uv = script(tmp_path / "uv", f'echo "$@" >> {tmp_path}/asked\n' + body)
    return lambda: uv


def test_a_mirror_of_builds_is_asked_first_and_is_no_reason_to_give_up(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "made/bin/python3.8", "3.8.18")
    body = (
        f'test "$2" = find && echo {python} && exit 0; '
        f'echo "${{UV_PYTHON_INSTALL_MIRROR:-none}}" >> {tmp_path}/mirrors; '
        'test "$UV_PYTHON_INSTALL_MIRROR" != https://old.example'
    )
    mirrors = ["https://old.example", "https://new.example"]
    found = finder(tmp_path, uv=fake_uv(tmp_path, body), build_mirrors=lambda: mirrors).install("3.8")
    assert found.version == "3.8.18"
    assert (tmp_path / "mirrors").read_text().split() == mirrors
    only_old = finder(tmp_path, uv=fake_uv(tmp_path, body), build_mirrors=lambda: mirrors[:1])
    assert only_old.install("3.8").version == "3.8.18"
    assert (tmp_path / "mirrors").read_text().split()[2:] == [mirrors[0], "none"]


def test_installing_asks_uv_and_probes_what_it_made(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "made/bin/python3.8", "3.8.20")
    uv = fake_uv(tmp_path, f'test "$2" = find && echo {python}; echo "$UV_PYTHON_INSTALL_MIRROR" > {tmp_path}/m')
    found = finder(tmp_path, uv=uv, environ={"UV_PYTHON_INSTALL_MIRROR": "file:///m"}).install("3.8")
    assert (found.version, found.path, found.provider) == ("3.8.20", python, "uv")
    assert (tmp_path / "m").read_text() == "file:///m\n"
    assert (tmp_path / "asked").read_text().splitlines()[0] == "python install --no-bin 3.8"


def test_a_python_that_uv_does_not_have_is_refused_with_its_words(tmp_path: Path) -> None:
    uv = fake_uv(tmp_path, "echo 'error: No download found for request: cpython-3.6' >&2; exit 2")
    with pytest.raises(NoPython) as caught:
        finder(tmp_path, uv=uv).install("3.6")
    assert str(caught.value) == "uv could not install Python 3.6"
    assert caught.value.detail == "error: No download found for request: cpython-3.6"
    assert "--python PATH" in caught.value.hint


@pytest.mark.parametrize("request_", ["--help", "", "3.8 3.9", "../x", "/usr/bin/python3"])
def test_uv_is_never_given_anything_but_a_version(tmp_path: Path, request_: str) -> None:
    with pytest.raises(NoPython, match="is no Python version"):
        finder(tmp_path).install(request_)


def built(home: Path, name: str, **build: str) -> str:
    """The digest of a Python that says this of its build."""
    version = "3.8.18 (main, Oct  5 2023, 12:00:00) [GCC 12.2.0]"
    said = {"version": version, "CONFIG_ARGS": f"--prefix={home}/{name} --with-lto LIBS=-L{home}/{name}/lib", **build}
    path = fake_python(home / name / "bin/python3.8", "3.8.18", build=said, prefix=f"{home}/{name}")
    return finder(home).probe(path).build


def test_a_build_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    assert built(tmp_path, "one") == built(tmp_path, "other/place") != ""


@pytest.mark.parametrize(
    "other",
    [
        {"version": "3.8.18 (main, Oct  6 2023, 12:00:00) [GCC 12.2.0]"},
        {"CONFIG_ARGS": "--prefix=/usr --with-pydebug"},
        {"Py_ENABLE_SHARED": "1"},
        {"platform": "linux-aarch64"},
    ],
)
def test_another_build_has_another_digest(tmp_path: Path, other: dict[str, str]) -> None:
    assert built(tmp_path, "one") != built(tmp_path, "other", **other)


def test_a_copy_of_a_real_python_is_the_same_build(tmp_path: Path) -> None:
    """A copied executable finds its library by its old place, and its build's settings there."""
    real = Path(sys.base_prefix)
    for folder in ("bin", "lib"):
        (tmp_path / folder).mkdir()
    python = outside_environment(Path(sys.executable))
    copy = tmp_path / "bin" / python.name
    copy.write_bytes(python.read_bytes())
    copy.chmod(0o755)
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (tmp_path / "lib" / library).symlink_to(real / "lib" / library)
    found = finder(tmp_path).probe(copy)
    assert (found.path, found.build) == (copy, finder(tmp_path).probe(python).build)


def test_each_python_of_this_machine_tells_its_build(tmp_path: Path) -> None:
    found = finder(tmp_path, running=Path(sys.executable), path=[Path("/usr/bin")]).find()[0]
    assert len({one.build for one in found} - {""}) == len(found) > 0
