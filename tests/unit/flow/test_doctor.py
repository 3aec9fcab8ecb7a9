"""What the doctor says of machines that are made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tf_tester.errors import IndexUnreachable, OurFailure, UsageError
from tf_tester.flow.host.doctor import Check, CheckState, Machine, can_run, diagnose
from tf_tester.model.host.abilities import Ability, Isolation, IsolationKind, StoreFacts
from tf_tester.model.host.damage import Damage, PrivateFolderCheck
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter
from tf_tester.ports.index import PageResponse

GB = 10**9
JSON = "application/vnd.pypi.simple.v1+json"
STORE = StoreFacts(Path("/store"), exists=True, free=80 * GB, file_system="ext4", hard_links=True)
FILE = '{"filename": "pip-1.0-py3-none-any.whl", "url": "f", "hashes": {}%s}'
TIME = ', "upload-time": "2020-01-01T00:00:00Z"'


def page(file: str) -> bytes:
    return f'{{"meta": {{"api-version": "1.1"}}, "name": "pip", "versions": ["1.0"], "files": [{file}]}}'.encode()


class FakeIndex:
    def __init__(self, body: bytes, *, status: int = 200, content_type: str = JSON) -> None:
        self.body = body
        self.status = status
        self.content_type = content_type
        self.asked: list[str] = []

    def get_page(
        self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
    ) -> PageResponse:
        self.asked.append(url)
        return PageResponse(self.status, self.body, self.content_type, None, url)


def python(version: str, *, abi: str = "") -> Interpreter:
    digits = "".join(version.split(".")[:2])
    path = Path(f"/python{version}")
    return Interpreter(path, version, "cpython", abi or f"cp{digits}", 64, f"cpython-{digits}", "pyenv")


def ticking() -> Callable[[], float]:
    moments = iter(range(100))
    return lambda: next(moments) * 0.04


def sound(index: FakeIndex | None = None) -> Machine:
    """Everything is as it should be."""
    return Machine(
        tool="tf-tester 0.1.0",
        python="3.11.7 (/usr/bin/python3)",
        uv=lambda: (Path("/bin/uv"), "0.9.2"),
        interpreters=lambda: ([python("3.13.0", abi="cp313t"), python("3.8.18")], []),
        store=lambda: STORE,
        damage=list,
        private=list,
        cores=lambda: 4,
        jobs=4,
        memory=lambda: (24 * GB, 20 * GB),
        offline=False,
        authority=lambda: "https://me:secret@index.example/simple/",
        get=lambda: index or FakeIndex(page(FILE % TIME)),
        mirrors=lambda: [("tuna", "https://a:b@tuna.example/simple")],
        isolation=lambda: Isolation(IsolationKind.NAMESPACE, (), "", ("memory", "processes")),
        abilities=lambda: [Ability("user namespaces", True), Ability("Landlock", True, "ABI 7")],
        monotonic=ticking(),
    )


def check(machine: Machine, name: str) -> Check:
    (found,) = [one for one in diagnose(machine) if one.name == name]
    return found


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def test_a_sound_machine_needs_no_advice() -> None:
    checks = diagnose(sound())
    assert {one.state for one in checks} == {CheckState.OK}
    assert not any(one.advice for one in checks)
    assert can_run(checks)
    assert [(one.name, one.finding) for one in checks] == [
        ("tf-tester", "tf-tester 0.1.0 in Python 3.11.7 (/usr/bin/python3)"),
        ("uv", "0.9.2 (/bin/uv)"),
        ("interpreters", "2 found: 3.13t, 3.8"),
        ("store", "/store: 80 GB free on ext4, with hard links"),
        ("contents", "nothing of it is damaged, as far as shows without reading all (`tf-tester cache verify`)"),
        ("cores", "4; --jobs auto runs as many cells at once"),
        ("memory", "24 GB, 20 GB of it free now"),
        ("index", "https://***@index.example/simple answers in 40 ms, in JSON, with upload times"),
        ("mirrors", "tuna"),
        ("isolation", "namespace; limits by the kernel: memory, processes"),
        ("user namespaces", "available"),
        ("Landlock", "available (ABI 7)"),
    ]


def test_a_check_that_fails_in_itself_does_not_end_the_others() -> None:
    machine = replace(sound(), memory=raising(ValueError("no /proc")), mirrors=raising(UsageError("no mirror x")))
    found = {one.name: one for one in diagnose(machine)}
    assert found["memory"].state is CheckState.BAD
    assert found["memory"].finding == "the check failed: ValueError: no /proc"
    assert (found["mirrors"].state, found["mirrors"].finding) == (CheckState.BAD, "no mirror x")
    assert can_run(found.values())


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"uv": raising(OurFailure("uv is not installed", hint="Install it."))}, "uv"),
        ({"interpreters": lambda: ([], [])}, "interpreters"),
        ({"store": lambda: replace(STORE, problem="/store: Permission denied")}, "store"),
    ],
)
def test_without_uv_a_python_or_a_store_nothing_can_run(broken: dict[str, Any], name: str) -> None:
    machine = replace(sound(), **broken)
    found = check(machine, name)
    assert found.state is CheckState.BAD
    assert found.advice
    assert not can_run(diagnose(machine))


def test_every_interpreter_is_told_with_path_and_provider_and_broken_ones_with_reason() -> None:
    broken = BrokenInterpreter(Path("/broken/python3"), "it ended with status 1")
    found = check(replace(sound(), interpreters=lambda: ([python("3.8.18")], [broken])), "interpreters")
    assert (found.state, found.finding) == (CheckState.WARN, "1 found: 3.8; 1 Python that does not run")
    assert found.details == (
        "3.8.18  /python3.8.18  (pyenv)",
        "broken  /broken/python3: it ended with status 1",
    )


def test_a_store_that_is_not_made_yet_is_no_trouble() -> None:
    found = check(replace(sound(), store=lambda: replace(STORE, exists=False)), "store")
    assert (found.state, found.finding) == (CheckState.OK, "/store (will be made): 80 GB free on ext4, with hard links")


@pytest.mark.parametrize("facts", [replace(STORE, free=3 * GB), replace(STORE, hard_links=False)])
def test_a_store_that_is_full_or_copies_is_warned_of(facts: StoreFacts) -> None:
    found = check(replace(sound(), store=lambda: facts), "store")
    assert found.state is CheckState.WARN
    assert "--store" in found.advice


def test_damage_is_told_with_what_mends_it() -> None:
    found = [Damage("a is no folder", "Run x."), Damage("b is no folder", "Run x."), Damage("c: it is gone", "Run y.")]
    told = check(replace(sound(), damage=lambda: found), "contents")
    assert (told.state, told.finding) == (CheckState.WARN, "3 parts of the store are damaged")
    assert told.details == ("a is no folder", "b is no folder", "c: it is gone")
    assert told.advice == "Run x. Run y."


def test_each_private_folder_is_told() -> None:
    wrong = tuple(f"{number} is damaged." for number in range(22))
    folders = [PrivateFolderCheck(Path("/a"), 3), PrivateFolderCheck(Path("/b"), 22, wrong)]
    checks = [one for one in diagnose(replace(sound(), private=lambda: folders)) if one.name == "private"]
    assert [one.state for one in checks] == [CheckState.OK, CheckState.BAD]
    assert checks[0].finding.startswith("/a: 3 files as uploaded")
    assert checks[1].finding == "/b: 22 things of what was uploaded there may be lost"
    assert checks[1].details == (*wrong[:20], "and 2 more")
    assert "`tf-tester private verify --private /b`" in checks[1].advice
    assert can_run(checks)


def test_scarce_memory_is_warned_of() -> None:
    found = check(replace(sound(), memory=lambda: (4 * GB, GB)), "memory")
    assert (found.state, found.finding) == (CheckState.WARN, "4.0 GB, 1.0 GB of it free now")


def test_jobs_that_are_set_are_told() -> None:
    assert check(replace(sound(), jobs=2), "cores").finding.endswith(", --jobs is 2")


def test_one_small_page_of_the_index_is_asked_for() -> None:
    index = FakeIndex(page(FILE % TIME))
    diagnose(sound(index))
    assert index.asked == ["https://me:secret@index.example/simple/pip/"]


@pytest.mark.parametrize(
    ("index", "state", "finding"),
    [
        (FakeIndex(page(FILE % "")), CheckState.WARN, "answers in 40 ms, in JSON, without upload times"),
        (
            FakeIndex(b'<!DOCTYPE html><a href="/pip-1.0-py3-none-any.whl">x</a>', content_type="text/html"),
            CheckState.WARN,
            "answers in 40 ms, in HTML, without upload times",
        ),
        (
            FakeIndex(b"{}"),
            CheckState.WARN,
            "answers in 40 ms with something that isn't an index page",
        ),
        (FakeIndex(b"", status=404), CheckState.OK, "answers in 40 ms; it has no project pip to look at"),
    ],
)
def test_what_the_index_answers_is_told(index: FakeIndex, state: CheckState, finding: str) -> None:
    found = check(sound(index), "index")
    assert found.state is state
    assert found.finding.startswith(f"https://***@index.example/simple {finding}")
    assert bool(found.advice) == (state is CheckState.WARN)


def test_an_index_that_does_not_answer_is_a_warning_as_the_store_may_do() -> None:
    class Silent:
        def get_page(
            self, url: str, *, accept: str, etag: str | None, fresh: bool = False, most: int | None = None
        ) -> PageResponse:
            raise IndexUnreachable("no route to host")

    machine = replace(sound(), get=Silent)
    found = check(machine, "index")
    assert (found.state, found.finding) == (
        CheckState.WARN,
        "https://***@index.example/simple does not answer: no route to host",
    )
    assert "--offline" in found.advice
    assert can_run(diagnose(machine))


def test_offline_asks_nobody() -> None:
    found = check(replace(sound(), offline=True, get=raising(AssertionError())), "index")
    assert found.finding == "https://***@index.example/simple is not asked: offline is set"


def test_credentials_of_mirrors_are_hidden() -> None:
    assert check(sound(), "mirrors").details == ("tuna  https://***@tuna.example/simple",)


@pytest.mark.parametrize(
    ("ability", "advice"),
    [
        (Ability("user namespaces", False, "unshare: ENOSPC (No space…)", "ENOSPC"), "user.max_user_namespaces"),
        (Ability("overlay mounts", False, "mounting an overlay: EPERM (…)", "EPERM"), "apparmor_restrict"),
        (Ability("overlay mounts", False, "unshare: EPERM (…)", "EPERM"), "seccomp profile"),
        (Ability("Landlock", False, "asking for Landlock: ENOSYS (…)", "ENOSYS"), "Linux 5.13"),
        (Ability("control groups", False, "making a group: EACCES (…)", "EACCES"), "Delegate=yes"),
        (Ability("own /proc", False, "mounting /proc: EPERM (…)", "EPERM"), "/proc"),
    ],
)
def test_a_missing_ability_is_a_warning_with_its_remedy(ability: Ability, advice: str) -> None:
    found = check(replace(sound(), abilities=lambda: [ability]), ability.name)
    assert (found.state, found.finding) == (CheckState.WARN, f"not available: {ability.detail}")
    assert advice in found.advice


def test_one_remedy_is_told_once() -> None:
    missing = [Ability(name, False, "unshare: EPERM", "EPERM") for name in ("user namespaces", "network namespaces")]
    checks = diagnose(replace(sound(), abilities=lambda: missing))[-2:]
    assert [bool(one.advice) for one in checks] == [True, False]


def test_other_systems_have_no_isolation() -> None:
    assert check(replace(sound(), abilities=list), "sandbox").state is CheckState.WARN


@pytest.mark.parametrize(
    ("isolation", "state", "said"),
    [
        (
            Isolation(IsolationKind.NAMESPACE, (), "", ("memory",)),
            CheckState.OK,
            "namespace; limits by the kernel: memory",
        ),
        (
            Isolation(IsolationKind.NAMESPACE, (), "", ()),
            CheckState.OK,
            "namespace; limits checked several times a second",
        ),
        (
            Isolation(IsolationKind.LANDLOCK, ("it sees names",), "", ()),
            CheckState.WARN,
            "landlock, which can't keep a test from everything",
        ),
        (
            Isolation(IsolationKind.NONE, (), "It can't be.", ()),
            CheckState.WARN,
            "none. It can't be.",
        ),
        (Isolation(IsolationKind.NONE, (), "", ()), CheckState.OK, "none, as set"),
    ],
)
def test_it_says_what_tests_would_run_in(isolation: Isolation, state: CheckState, said: str) -> None:
    found = check(replace(sound(), isolation=lambda: isolation), "isolation")
    assert (found.state, found.details) == (state, isolation.gaps)
    assert found.finding.startswith(said)
