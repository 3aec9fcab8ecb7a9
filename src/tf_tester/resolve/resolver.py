"""Questions to locks: uv chooses versions in our view, we choose files and pin their hashes."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.index.late import LateRequirement, late_requirements
from tf_tester.core.locks.held_back import held_back, only_as_source
from tf_tester.core.select.markers import markers_of
from tf_tester.core.select.tags import best_wheel, compatible_tags
from tf_tester.core.text.parsing import parse_requirement
from tf_tester.core.wheel.wheel_rules import renamed_requirements, same_version
from tf_tester.errors import IndexUnreachable, OurFailure, StoreError, TfTesterError, Unresolvable
from tf_tester.model.artifact import Artifact
from tf_tester.model.framework import Placeholder
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.ports.index import Index
from tf_tester.ports.memory import Locks
from tf_tester.ports.resolve import LocalWheel, Question
from tf_tester.ports.store import Blobs
from tf_tester.resolve.builder import Builder
from tf_tester.resolve.indexed_uv import IndexedUv
from tf_tester.resolve.loopback import QuestionView

_RULES = 1
"""Part of a question's identity: raise it when the same question must be answered anew."""
_LATER = (timedelta(days=90), timedelta(days=365))
"""How much later dependencies may be when nothing of the era fits (files were deleted, or came late)."""
_NO_SPACE = ("os error 28", "os error 122")
"""How uv says ENOSPC and EDQUOT, behind the words of the system."""


class EarlierLocks(Struct, frozen=True):
    """Locks that were made before, and what decides whether one still answers."""

    memory: Locks
    blobs: Blobs
    """Holds wheels that were built here, which can't be downloaded again."""
    now: Callable[[], datetime]
    """UTC; locks of the present have an age."""
    offline: bool
    """Whether age doesn't count, because nothing newer can be had."""
    refresh: bool = False
    """Whether none of them counts."""
    doubt: Callable[[str], bool] = lambda _project: False
    """Has the page of a project asked for again; tells whether that may help this run."""

    def still_answers(self, lock: Lock, made: datetime, good_for: timedelta | None) -> bool:
        """Return whether a lock is fresh enough and all its files can be had. `good_for`: None: for ever."""
        fresh = good_for is None or self.now() - made < good_for
        # Without what was built here a lock is made anew.
        return (
            (fresh or self.offline)
            and not self.refresh
            and all(self.blobs.find(pin.sha256) is not None for pin in lock.pins if pin.built_from)
        )


class KnownSources(Struct, frozen=True):
    """What is known of projects that are there only as source."""

    may_be_built: frozenset[str]
    """Canonical names of those that may always be built."""
    placeholders: tuple[Placeholder, ...] = ()
    """Those that bring nothing, and who is meant."""


class UvResolver:
    """`ports.Resolver`."""

    def __init__(
        self,
        uv: IndexedUv,
        *,
        index: Index,
        authority: str,
        builder: Builder,
        earlier: EarlierLocks,
        sources: KnownSources,
        interpreters: Callable[[], Sequence[Interpreter]],
    ) -> None:
        self._uv = uv.uv
        self._loopback = uv.loopback
        self._metadata = uv.metadata
        self._workplace = uv.workplace
        self._index = index
        self._authority = authority
        """Address of the index that answers, without credentials: another one's lock is another lock."""
        self._builder = builder
        self._earlier = earlier
        self._sources = sources
        self._interpreters = interpreters
        """Those that are installed."""

    def lock(self, question: Question) -> tuple[Lock, bool]:
        key = question_key(question, self._sources.may_be_built, self._authority)
        remembered = self._earlier.memory.recall(key)
        if remembered is not None and self._earlier.still_answers(*remembered, question.good_for):
            return remembered[0], True
        try:
            lock = self._resolved(question)
        except IndexUnreachable:
            if remembered is None or question.good_for == timedelta():
                raise
            return remembered[0], True
        self._earlier.memory.remember(key, lock)
        return lock, False

    def pins(self, artifacts: Sequence[Artifact], interpreter: Interpreter) -> tuple[Pin, ...]:
        return tuple(
            self._built(one, interpreter) if one.is_sdist else Pin.of(one, one.sha256)
            for one in artifacts
            if one.sha256 is not None
        )

    def _resolved(self, question: Question) -> Lock:
        """Return the lock; where nothing fits together, of the pages in uv's reasons as they are now."""
        try:
            return self._resolve(question)
        except Unresolvable as error:
            asked_again = {name for name in _names_in(error.detail) if self._earlier.doubt(name)}
            if not asked_again:
                raise
        return self._resolve(question)

    def _resolve(self, question: Question) -> Lock:
        """Return the lock of the era or, where nothing fits together, of a wider one. Raises as `lock` does."""
        _refuse_addresses(question)
        view = self._view(question, question.cutoff, question.majors_until)
        try:
            return self._answer(question, view)
        except Unresolvable as error:
            first = self._with_needed_builds(question, view, error)
            if question.cutoff is None:
                raise first from error
        if view.held:
            with suppress(Unresolvable):
                return self._with_majors(question, view, first)
        dated = {name: page for name, page in view.pages.items() if name not in question.undated}
        late = late_requirements(first.detail, dated, question.cutoff)
        for later in _LATER:
            cutoff = question.cutoff + later
            remark = (
                f"nothing as of {question.cutoff:%Y-%m-%d} fits together; dependencies are those of {cutoff:%Y-%m-%d}"
            )
            remark += f": {late[0].told}" if late else ""
            with suppress(Unresolvable):
                lock = self._answer(question, self._view(question, cutoff, None), (remark,))
                return replace(lock, reason=first.detail)
        raise _newer(question, late, first) if late and self._has_answer_today(question) else first

    def _held_back(self, question: Question, view: QuestionView, pins: Sequence[Pin]) -> tuple[str, ...]:
        """Return a remark on what is older than it need be, because something is there only as source."""
        if not view.only_sdists or question.resolution is Resolution.LOWEST:
            return ()
        found = held_back(pins, view.seen, view.only_sdists, markers_of(question.interpreter))
        if not found:
            return ()
        needed = self._needed_builds(question, view) or {name for one in found for name in one.requires}
        return (f"{'; '.join(one.told for one in found)}: {only_as_source(needed, self._instead)}",)

    def _with_needed_builds(self, question: Question, view: QuestionView, error: Unresolvable) -> Unresolvable:
        """Return the error with a hint at all that would have to be built, where that is why nothing fits."""
        needed = self._needed_builds(question, view) if view.only_sdists else set()
        if not needed:
            return error
        return Unresolvable(error.message, hint=_sentence(only_as_source(needed, self._instead)), detail=error.detail)

    @property
    def _instead(self) -> dict[str, str]:
        return {one.name: one.instead for one in self._sources.placeholders}

    def _needed_builds(self, question: Question, view: QuestionView) -> set[str]:
        """Return what a lock would have that is there only as source, if it could be built and required nothing."""
        supposed = replace(self._view(question, view.cutoff, view.majors_until, view.admitted), supposes_builds=True)
        try:
            chosen = self._chosen(question, supposed)
        except TfTesterError:
            return set()
        return {name for name, _ in chosen} & supposed.only_sdists

    def _has_answer_today(self, question: Question) -> bool:
        try:
            self._chosen(question, self._view(question, None, None))
        except TfTesterError:
            return False
        return True

    def _with_majors(self, question: Question, narrow: QuestionView, first: Unresolvable) -> Lock:
        """Return the lock with the new major releases that `narrow` lacked, those first which are in uv's reasons."""
        named = frozenset(name for name in narrow.held if name in first.detail)
        for admitted in dict.fromkeys((named, frozenset(narrow.held))):
            view = self._view(question, question.cutoff, question.majors_until, admitted)
            with suppress(Unresolvable):
                lock = self._answer(question, view)
                held = {name: narrow.held[name] for name in admitted}
                taken = [f"{one.name} {one.version}" for one in lock.pins if one.version in held.get(one.name, ())]
                remark = f"nothing fits together without a major release that had just come out: {', '.join(taken)}"
                return replace(lock, remarks=(*lock.remarks, remark)) if taken else lock
        raise first

    def _view(
        self,
        question: Question,
        cutoff: datetime | None,
        majors_until: datetime | None,
        admitted: frozenset[str] = frozenset(),
    ) -> QuestionView:
        allowed = self._sources.may_be_built | question.allow_build
        return QuestionView(
            interpreter=question.interpreter,
            cutoff=cutoff,
            exempt=question.undated,
            majors_until=majors_until,
            admitted=admitted,
            may_build=lambda name: name in allowed or "all" in question.allow_build,
            metadata=lambda artifact: _with_alike(self._metadata_of(artifact, question), artifact.project, question),
            # The lowest versions that anybody declared are often too old to be built at all.
            passes_over_failed_builds=question.resolution is Resolution.LOWEST,
            local={str(canonicalize_name(one.pin.name)): one for one in question.local},
        )

    def _answer(self, question: Question, view: QuestionView, remarks: tuple[str, ...] = ()) -> Lock:
        """Return the lock of what a view shows."""
        pins = [self._pin(requirement, question) for requirement in self._chosen(question, view)]
        if view.undated and view.cutoff is not None:
            remarks += (
                f"the index tells no upload times for {', '.join(sorted(view.undated))}: not limited to the era",
            )
        if view.passed_over:
            remarks += (f"could not be built and were passed over: {', '.join(sorted(view.passed_over))}",)
        remarks += (*_yanked(question, view, pins), *self._held_back(question, view, pins))
        return Lock(
            python=question.interpreter.version,
            resolution=question.resolution,
            cutoff=view.cutoff,
            pins=tuple(sorted(pins, key=lambda pin: pin.name)),
            remarks=remarks,
        )

    def _chosen(self, question: Question, view: QuestionView) -> list[tuple[str, str]]:
        """Return the names and versions that uv chooses of what a view shows."""
        interpreter = question.interpreter
        url = self._loopback.url(view)
        try:
            # uv's cache is this run's own, and a view's address never comes again: only interpreters are found in it.
            words = ["pip", "compile", "--python", str(self._here(interpreter).path)]
            if not interpreter.is_here:
                words += ["--python-version", interpreter.version]
            if interpreter.platform.name:
                words += ["--python-platform", _resolver_name(interpreter.platform)]
            words += ["--no-header", "--no-annotate", "--quiet", "--only-binary", ":all:"]
            if question.resolution is Resolution.LOWEST:
                words += ["--resolution", "lowest"]
            if question.pre:
                words += ["--prerelease", "allow"]
            if question.constraints:
                limits = self._workplace / f"constraints-{view.token}.txt"
                limits.write_text("\n".join(question.constraints) + "\n", encoding="utf-8")
                words += ["--constraints", str(limits)]
            done = self._uv.run(
                [*words, "-"], cwd=self._workplace, index=url, stdin="\n".join(question.requirements) + "\n"
            )
        finally:
            self._loopback.forget(view)
        if done.returncode != 0:
            raise _unresolvable(question, done.stderr, view)
        return [pair for pair in map(_pinned, _lines(done.stdout)) if pair]

    def _here(self, interpreter: Interpreter) -> Interpreter:
        """Return an installed one: itself, else the nearest.

        What is for other Pythons is resolved and looked into by it.
        """
        if interpreter.is_here:
            return interpreter
        found = self._interpreters()
        if not found:
            raise Unresolvable("No Python is installed that could look into source distributions.")
        return min(found, key=lambda one: abs(one.release[1] - interpreter.release[1]))

    def _metadata_of(self, artifact: Artifact, question: Question) -> bytes:
        if artifact.is_wheel:
            return self._metadata.read(artifact)
        wheel = self._builder.built(artifact, self._here(question.interpreter))
        return self._metadata.read(
            replace(artifact, filename=wheel.filename, sha256=wheel.sha256, size=wheel.size, metadata_sha256=None)
        )

    def _pin(self, requirement: tuple[str, str], question: Question) -> Pin:
        name, version = requirement
        for local in question.local:
            if canonicalize_name(local.pin.name) == name:
                return local.pin
        artifacts = [a for a in self._index.page(name).artifacts if same_version(a.version, version)]
        wheel = best_wheel([a for a in artifacts if a.is_wheel and a.sha256], question.interpreter)
        if wheel is not None and wheel.sha256 is not None:
            return replace(Pin.of(wheel, wheel.sha256), name=name, version=version)
        sdist = next((a for a in artifacts if a.is_sdist and a.sha256), None)
        if sdist is None:
            raise Unresolvable(f"{name} {version} has no wheel for Python {question.interpreter.label}.")
        assert sdist.sha256 is not None
        if not question.interpreter.is_here:
            # What is built for another Python may not fit: whoever installs it builds it.
            return replace(Pin.of(sdist, sdist.sha256), name=name, version=version)
        return replace(self._built(sdist, question.interpreter), name=name, version=version)

    def _built(self, sdist: Artifact, interpreter: Interpreter) -> Pin:
        built = self._builder.built(sdist, interpreter)
        assert sdist.sha256 is not None
        return replace(
            Pin.of(sdist, built.sha256),
            filename=built.filename,
            size=built.size,
            built_from=sdist.sha256,
            provenance=None,  # of the source distribution, not of what was built
        )


def _names_in(said: str) -> set[str]:
    """Return the words in uv's reasons, as names of projects: those that are some are among them."""
    return {str(canonicalize_name(word)) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", said)}


def _refuse_addresses(question: Question) -> None:
    for text in (*question.requirements, *question.constraints):
        if parse_requirement(text).url is not None:
            # uv would fetch it past our index, the authority has no hash for it, and the lock no place.
            raise Unresolvable(
                f"The requirement {text!r} names an address.",
                hint="Give a version of a package that the index has, or --project for a project of your own.",
            )


def _newer(question: Question, late: Sequence[LateRequirement], first: Unresolvable) -> Unresolvable:
    """Return the error that says what came out after the era."""
    assert question.cutoff is not None
    told = "; ".join(one.told for one in late)
    hint = first.hint
    if question.released is not None:
        days = (max(one.released for one in late) - question.released).days + 1
        hint = f"Take dependencies of a later time with --grace {days}d, or another version."
    return Unresolvable(
        f"Newer than the era of {question.requirements[0]}, which ends on {question.cutoff:%Y-%m-%d}: {told}.",
        hint=hint,
        detail=first.detail,
    )


def _with_alike(metadata: bytes, project: str, question: Question) -> bytes:
    """Return METADATA that requires the package under test in place of what it stands for; its own stays as it is."""
    if not question.alike:
        return metadata
    package = str(canonicalize_name(parse_requirement(question.requirements[0]).name))
    return metadata if project == package else renamed_requirements(metadata, question.alike, package)


def _resolver_name(platform: Platform) -> str:
    if platform.resolver_name is None:
        raise Unresolvable(
            f"What is needed on {platform.name} can't be found out: the resolver doesn't know that platform.",
            hint="Use --no-deps, or a platform of x86_64 or aarch64.",
        )
    return platform.resolver_name


def question_key(question: Question, known_sdists: frozenset[str], authority: str) -> str:
    """Return a key that is equal for equal questions to one index, also in other processes and on other days."""
    parts = {
        "rules": _RULES,
        "authority": authority,
        "requirements": question.requirements,
        "constraints": question.constraints,
        "python": question.interpreter.version,
        # A store may be shared by machines: the best tag names the platform and the C library.
        "tag": next(iter(compatible_tags(question.interpreter)), ""),
        "resolution": question.resolution,
        "cutoff": question.cutoff.isoformat() if question.cutoff else None,
        **({"majors_until": question.majors_until.isoformat()} if question.majors_until else {}),
        **({"pre": True} if question.pre else {}),
        **({"alike": sorted(question.alike)} if question.alike else {}),
        **({"local": list(map(_identity, question.local))} if question.local else {}),
        **({"undated": sorted(question.undated)} if question.undated else {}),
        "allow_build": sorted(question.allow_build | known_sdists),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _identity(local: LocalWheel) -> tuple[str, ...]:
    """Return what tells a local wheel from others: where it came from, too, which the lock tells."""
    return local.pin.sha256, local.metadata.hex(), *((local.pin.url,) if local.pin.url else ())


def _unresolvable(question: Question, said: str, view: QuestionView) -> TfTesterError:
    if view.errors:
        # uv saw a 503 of ours: the reason is ours to tell, a build's or the network's.
        return view.errors[0]
    if not view.asked and "127.0.0.1" in said:
        return IndexUnreachable(
            "uv can't reach this machine's own loopback address, on which it is shown the index.",
            hint="Bring the loopback interface up (`ip link set lo up`); what was resolved before works without it.",
            detail=said.strip(),
        )
    if any(words in said for words in _NO_SPACE):
        return StoreError(
            "uv had no space left on the disk.",
            hint="Free some in the store's folder and in that of temporary files, and repeat the command.",
            detail=said.strip(),
        )
    if "No solution found" not in said:
        return OurFailure(
            f"uv could not resolve {question.requirements[0]} and does not say that nothing fits.",
            hint="Its own words are in the evidence; try again.",
            detail=said.strip(),
        )
    hint = "The resolver's reasoning is in the evidence."
    named = sorted(name for name in view.only_sdists if name in said)
    left_out = [told for name, told in view.unusable.items() if name in said]
    if left_out:
        hint = f"The index lists more: {', '.join(left_out)}."
    elif named:
        hint = _sentence(only_as_source(named))
    elif question.resolution is Resolution.LATEST:
        hint = "Try --resolve era, the dependencies of the version's own time."
    return Unresolvable(
        f"No set of dependencies fits {question.requirements[0]} on Python {question.interpreter.label}.",
        hint=hint,
        detail=said.strip(),
    )


def _yanked(question: Question, view: QuestionView, pins: Sequence[Pin]) -> Iterator[str]:
    """Yield a remark on each file that its index has withdrawn; of the package under test that is told elsewhere."""
    package = str(canonicalize_name(parse_requirement(question.requirements[0]).name))
    digests = {pin.built_from or pin.sha256: pin for pin in pins if canonicalize_name(pin.name) != package}
    for one in (one for page in view.pages.values() for one in page.artifacts):
        if one.yanked is not None and one.sha256 in digests:
            pin = digests[one.sha256]
            yield f"{pin.name} {pin.version} is yanked{f': {one.yanked}' if one.yanked else ''}"


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _lines(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("#")]


def _pinned(line: str) -> tuple[str, str] | None:
    requirement = parse_requirement(line)
    version = next((s.version for s in requirement.specifier if s.operator in ("==", "===")), None)
    return (str(canonicalize_name(requirement.name)), version) if version else None
