"""What works on this machine, one check at a time; a check that fails in itself doesn't end the others."""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from tf_tester.core.index.links import display_url
from tf_tester.core.index.simple import ACCEPT, parse_page
from tf_tester.core.text.sizes import count_text, duration_text, size_text
from tf_tester.errors import IndexUnreachable, NotAPage, TfTesterError
from tf_tester.model.host.abilities import Ability, Isolation, IsolationKind, StoreFacts
from tf_tester.model.host.damage import Damage, PrivateFolderCheck
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter
from tf_tester.ports.index import GetPage

SCARCE_DISK = 5 * 10**9
"""Bytes; a TensorFlow takes up to 0.6 GB as a wheel and 2 GB unpacked, with all that it needs."""
SCARCE_MEMORY = 2 * 10**9
"""Bytes; importing a framework and training something small takes about one."""
_SHOWN = 20
"""Troubles of a private folder that are told one by one."""
ASKED_FOR = "pip"
"""A project that every index has, with a page that is small."""


class CheckState(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Something is missing, and tests can run without it."""
    BAD = "bad"


class Check(Struct, frozen=True):
    """What was found about one thing."""

    name: str
    state: CheckState
    finding: str
    """One sentence or less."""
    advice: str = ""
    """What to do; empty where nothing needs to be done."""
    details: tuple[str, ...] = ()
    """One a line, for those who want to know more."""


class Machine(Struct, frozen=True):
    """All that is asked; each answer may raise."""

    tool: str
    """`tf-tester 0.1.0`."""
    python: str
    """`3.11.7 (/usr/bin/python3)`: the one we run in."""
    uv: Callable[[], tuple[Path, str]]
    """Its executable and version."""
    interpreters: Callable[[], tuple[Sequence[Interpreter], Sequence[BrokenInterpreter]]]
    store: Callable[[], StoreFacts]
    damage: Callable[[], Sequence[Damage]]
    """To the store, as far as shows without reading its files."""
    private: Callable[[], Sequence[PrivateFolderCheck]]
    """Folders that servers have had."""
    cores: Callable[[], int]
    """Those we may use."""
    jobs: int
    """Cells at once, as set."""
    memory: Callable[[], tuple[int, int]]
    """Bytes in all, and available now."""
    offline: bool
    authority: Callable[[], str]
    """Address of the index whose hashes are trusted; may hold credentials."""
    get: Callable[[], GetPage]
    mirrors: Callable[[], Sequence[tuple[str, str]]]
    """Names and addresses."""
    isolation: Callable[[], Isolation]
    abilities: Callable[[], Sequence[Ability]]
    monotonic: Callable[[], float]
    """Seconds."""


def diagnose(machine: Machine) -> list[Check]:
    """Return all checks, in the order in which they are read."""
    checks: list[Check] = []
    for name, check in _CHECKS:
        try:
            checks += check(machine)
        except TfTesterError as error:
            checks.append(Check(name, CheckState.BAD, str(error), error.hint, tuple(error.detail.splitlines())))
        except Exception as error:  # noqa: BLE001 - whatever one check meets, the others are made
            checks.append(Check(name, CheckState.BAD, f"the check failed: {type(error).__name__}: {error}"))
    return checks


def can_run(checks: Iterable[Check]) -> bool:
    """Return whether a matrix can run here: uv, an interpreter and a store are all it takes."""
    return not any(check.state is CheckState.BAD and check.name in _VITAL for check in checks)


def _tool(machine: Machine) -> list[Check]:
    return [Check("tf-tester", CheckState.OK, f"{machine.tool} in Python {machine.python}")]


def _uv(machine: Machine) -> list[Check]:
    path, version = machine.uv()
    return [Check("uv", CheckState.OK, f"{version} ({path})")]


def _interpreters(machine: Machine) -> list[Check]:
    found, broken = machine.interpreters()
    details = [
        *(f"{_name(one)}  {one.path}" + (f"  ({one.provider})" if one.provider else "") for one in found),
        *(f"broken  {one.path}: {one.reason}" for one in broken),
    ]
    if not found:
        return [
            Check(
                "interpreters",
                CheckState.BAD,
                "there is no Python that tests could run in",
                "Install one with `uv python install 3.11`, or give --install-python.",
                tuple(details),
            )
        ]
    minors = dict.fromkeys(one.label for one in found)
    finding = f"{len(found)} found: {', '.join(minors)}"
    if broken:
        finding += f"; {count_text(len(broken), 'Python')} that {'does' if len(broken) == 1 else 'do'} not run"
        return [
            Check("interpreters", CheckState.WARN, finding, "Repair or remove those that don't run.", tuple(details))
        ]
    return [Check("interpreters", CheckState.OK, finding, "", tuple(details))]


def _store(machine: Machine) -> list[Check]:
    store = machine.store()
    if store.problem:
        advice = "Choose another folder with --store or TF_TESTER_STORE, or correct its permissions."
        return [Check("store", CheckState.BAD, f"nothing can be written to {store.folder}: {store.problem}", advice)]
    finding = f"{store.folder}" + ("" if store.exists else " (will be made)")
    finding += f": {size_text(store.free)} free" + (f" on {store.file_system}" if store.file_system else "")
    finding += ", with hard links" if store.hard_links else ", without hard links"
    if store.free < SCARCE_DISK:
        advice = "Free some space, or choose another folder with --store: one version takes up to 3 GB."
        return [Check("store", CheckState.WARN, finding, advice)]
    if not store.hard_links:
        advice = "Choose a folder on another file system with --store: here every environment is a full copy."
        return [Check("store", CheckState.WARN, finding, advice)]
    return [Check("store", CheckState.OK, finding)]


def _contents(machine: Machine) -> list[Check]:
    found = machine.damage()
    if not found:
        finding = "nothing of it is damaged, as far as shows without reading all (`tf-tester cache verify`)"
        return [Check("contents", CheckState.OK, finding)]
    finding = f"{count_text(len(found), 'part')} of the store {'is' if len(found) == 1 else 'are'} damaged"
    advice = " ".join(dict.fromkeys(one.remedy for one in found))
    return [Check("contents", CheckState.WARN, finding, advice, tuple(one.what for one in found))]


def _private(machine: Machine) -> list[Check]:
    checks = []
    for one in machine.private():
        verify = f"`tf-tester private verify --private {one.folder}`"
        if not one.troubles:
            finding = f"{one.folder}: {count_text(one.count, 'file')} as uploaded, as far as shows ({verify} reads all)"
            checks.append(Check("private", CheckState.OK, finding))
            continue
        more = [f"and {len(one.troubles) - _SHOWN} more"] if len(one.troubles) > _SHOWN else []
        finding = f"{one.folder}: {count_text(len(one.troubles), 'thing')} of what was uploaded there may be lost"
        advice = f"Restore what is damaged or gone from a backup, then {verify}."
        checks.append(Check("private", CheckState.BAD, finding, advice, (*one.troubles[:_SHOWN], *more)))
    return checks


def _cores(machine: Machine) -> list[Check]:
    cores = machine.cores()
    finding = f"{cores}; --jobs auto runs as many cells at once" if cores > 1 else "1; cells run one by one"
    if machine.jobs != cores:
        finding += f", --jobs is {machine.jobs}"
    return [Check("cores", CheckState.OK, finding)]


def _memory(machine: Machine) -> list[Check]:
    total, available = machine.memory()
    finding = f"{size_text(total)}, {size_text(available)} of it free now"
    if available < SCARCE_MEMORY:
        return [Check("memory", CheckState.WARN, finding, "Free some, or test with --jobs 1: a cell takes about 1 GB.")]
    return [Check("memory", CheckState.OK, finding)]


def _index(machine: Machine) -> list[Check]:
    authority = machine.authority().rstrip("/")
    shown = display_url(authority)
    if machine.offline:
        return [Check("index", CheckState.OK, f"{shown} is not asked: offline is set")]
    began = machine.monotonic()
    try:
        if authority.startswith("file:"):
            return [Check("index", CheckState.OK, f"{shown} is a folder on this machine")]
        answer = machine.get().get_page(f"{authority}/{ASKED_FOR}/", accept=ACCEPT, etag=None)
    except IndexUnreachable as error:
        advice = error.hint or (
            "Check the network and the proxy's variables, name another index with --index-url, or work from the "
            "store with --offline."
        )
        finding = f"{shown} does not answer: {error}"
        return [Check("index", CheckState.WARN, finding, advice, tuple(error.detail.splitlines()))]
    took = duration_text(machine.monotonic() - began)
    if answer.status == 404:
        return [Check("index", CheckState.OK, f"{shown} answers in {took}; it has no project {ASKED_FOR} to look at")]
    return [_page(shown, took, answer.body, answer.content_type, answer.url_after_redirects)]


def _page(shown: str, took: str, body: bytes, content_type: str, url: str) -> Check:
    try:
        page = parse_page(body, content_type, url, ASKED_FOR)
    except NotAPage as error:
        return Check(
            "index",
            CheckState.WARN,
            f"{shown} answers in {took} with something that isn't an index page: {error}",
            "Something between here and there may want a login; name another index with --index-url.",
        )
    form = "JSON" if body.lstrip()[:1] == b"{" else "HTML"
    if any(artifact.upload_time is not None for artifact in page.artifacts):
        return Check("index", CheckState.OK, f"{shown} answers in {took}, in {form}, with upload times")
    return Check(
        "index",
        CheckState.WARN,
        f"{shown} answers in {took}, in {form}, without upload times",
        "What was current at a version's time can't be known from it: name an index that tells with --index-url, "
        "and this one with --mirror.",
    )


def _mirrors(machine: Machine) -> list[Check]:
    mirrors = machine.mirrors()
    if not mirrors:
        return [Check("mirrors", CheckState.OK, "none; files come from the index itself")]
    details = tuple(f"{name}  {display_url(url)}" for name, url in mirrors)
    return [Check("mirrors", CheckState.OK, ", ".join(name for name, _ in mirrors), "", details)]


def _isolation(machine: Machine) -> list[Check]:
    isolation = machine.isolation()
    by = f"by the kernel: {', '.join(isolation.held)}" if isolation.held else "checked several times a second"
    match isolation.name:
        case IsolationKind.NAMESPACE:
            return [Check("isolation", CheckState.OK, f"namespace; limits {by}")]
        case IsolationKind.NONE if isolation.refusal:
            return [Check("isolation", CheckState.WARN, f"none. {isolation.refusal}", "Test only code that you trust.")]
        case IsolationKind.NONE:
            return [Check("isolation", CheckState.OK, "none, as set")]
        case name:
            finding = f"{name}, which can't keep a test from everything; limits {by}"
            return [Check("isolation", CheckState.WARN, finding, "", isolation.gaps)]


def _abilities(machine: Machine) -> list[Check]:
    found = machine.abilities()
    if not found:
        return [Check("sandbox", CheckState.WARN, "isolation needs Linux", "Test only code that you trust.")]
    checks: list[Check] = []
    for one in found:
        # What the first of several lacks for one reason is said once.
        said = {check.advice for check in checks}
        checks.append(_ability(one, "" if _remedy(one) in said else _remedy(one)))
    return checks


def _ability(ability: Ability, advice: str) -> Check:
    if ability.available:
        detail = f" ({ability.detail})" if ability.detail else ""
        return Check(ability.name, CheckState.OK, f"available{detail}")
    return Check(ability.name, CheckState.WARN, f"not available: {ability.detail}", advice)


def _remedy(ability: Ability) -> str:
    """Return what an administrator can do, by what was refused and how."""
    match ability.name, ability.error:
        case "Landlock", _:
            return "It needs Linux 5.13 or later, started with `lsm=landlock,…` where it isn't on."
        case "control groups", _:
            return "Start under `systemd-run --user --scope -p Delegate=yes`; memory is watched without them."
        case "seccomp filters", _:
            return "It needs a kernel with CONFIG_SECCOMP_FILTER."
        case "own /proc", _:
            return "Containers hide parts of /proc: run with an unmasked one (`--security-opt systempaths=unconfined`)."
        case _, "ENOSPC":
            return "Raise the limit: `sysctl user.max_user_namespaces=10000`, and those of the other namespaces."
        case ("overlay mounts", "EPERM" | "EACCES") if _while_mounting(ability):
            return "On Ubuntu: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; elsewhere Linux 5.12 or later."
        case _, "EPERM" | "EACCES":
            return "In a container, allow it in the seccomp profile; else `sysctl kernel.unprivileged_userns_clone=1`."
        case _:
            return "It needs a newer kernel, or one with namespaces and overlayfs built in."


def _while_mounting(ability: Ability) -> bool:
    return re.match("mount|making mounts|mapping", ability.detail) is not None


def _name(interpreter: Interpreter) -> str:
    flags = interpreter.label.removeprefix(".".join(map(str, interpreter.release)))
    return (
        f"{interpreter.version}{flags}"
        if interpreter.implementation == "cpython"
        else (f"{interpreter.implementation} {interpreter.version}")
    )


_CHECKS: tuple[tuple[str, Callable[[Machine], list[Check]]], ...] = (
    ("tf-tester", _tool),
    ("uv", _uv),
    ("interpreters", _interpreters),
    ("store", _store),
    ("contents", _contents),
    ("private", _private),
    ("cores", _cores),
    ("memory", _memory),
    ("index", _index),
    ("mirrors", _mirrors),
    ("isolation", _isolation),
    ("sandbox", _abilities),
)
_VITAL = frozenset({"uv", "interpreters", "store"})
