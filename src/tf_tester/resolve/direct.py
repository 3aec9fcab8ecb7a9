"""Wheels of what a requirement names by its address: a file as it is, all else built as the user's own project is.

Promise: what comes of it is pinned by its digest, and what was in git by its commit; nothing of it is run outside the
sandbox of builds.
"""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import assert_never
from urllib.parse import urldefrag, urlsplit

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from tf_tester.core.index.links import display_url, local_path
from tf_tester.core.select.tags import best_wheel
from tf_tester.core.wheel.direct import PROJECT_FILES, git_place, is_exact, pinned, promised_hash, without_secrets
from tf_tester.errors import BadWheel, BuildFailed, DownloadFailed, Unresolvable
from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Pin
from tf_tester.model.request import DirectKind, DirectReference
from tf_tester.ports.memory import Memos
from tf_tester.ports.resolve import BuiltWheel, LocalWheel
from tf_tester.ports.store import Blobs
from tf_tester.resolve.builder import Builder, is_for_any_python
from tf_tester.resolve.metadata import MetadataReader

_PROMISE = Promise(Promiser.REQUIREMENT, "a requirement")
_PROTOCOLS = "file:git:http:https:ssh"


class DirectAccess(Struct, frozen=True):
    """What direct references are brought with."""

    download: Callable[[str, Path], None]
    """Puts what an address has into a file, unverified. Raises `DownloadFailed`."""
    environ: Mapping[str, str]
    """For git, which finds the user's own credentials by it."""
    offline: bool


class DirectWheels:
    """`ports.resolve.DirectBuilder`; each reference is looked at once by one process."""

    def __init__(
        self,
        builder: Builder,
        metadata: MetadataReader,
        *,
        memory: Memos[BuiltWheel],
        blobs: Blobs,
        access: DirectAccess,
    ) -> None:
        self._builder = builder
        self._metadata = metadata
        self._memory = memory
        self._blobs = blobs
        self._access = access
        self._lock = threading.Lock()
        self._files: dict[str, tuple[str, int]] = {}
        """Digests and sizes of files, by address, that are blobs by now."""
        self._commits: dict[str, str] = {}

    def direct_wheel(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        """See `ports.resolve.DirectBuilder`."""
        with self._lock:
            match reference.kind:
                case DirectKind.WHEEL:
                    found = self._wheel(reference, interpreter)
                case DirectKind.FOLDER:
                    found = self._folder(reference, interpreter)
                case DirectKind.ARCHIVE:
                    found = self._archive(reference, interpreter)
                case DirectKind.GIT:
                    found = self._revision(reference, interpreter)
                case _:
                    assert_never(reference.kind)
        if reference.name and canonicalize_name(found.pin.name) != reference.name:
            raise Unresolvable(
                f"{_shown(reference)} is {found.pin.name}, not {reference.name}.", hint="Name it as it calls itself."
            )
        return found

    def _wheel(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        url = urldefrag(reference.url).url
        name = Path(local_path(url)).name
        try:
            project, version, _, _ = parse_wheel_filename(name)
        except InvalidWheelFilename as error:
            raise Unresolvable(
                f"{name} is not a wheel's name: {error}.", hint="Name the file as it was built."
            ) from error
        sha256, size = self._file(reference, name)
        clean = without_secrets(url)
        artifact = Artifact(name, str(project), name.split("-")[1], clean, sha256, size, promise=_PROMISE)
        if best_wheel([artifact], interpreter) is None:
            raise Unresolvable(
                f"{name} is not for Python {interpreter.label} on this platform.",
                hint="Name the wheel of that Python, or the source of it.",
            )
        try:
            metadata = self._metadata.read(artifact)
        except BadWheel as error:
            raise Unresolvable(f"{name} is not a correct wheel: {error}.", hint="Build it anew.") from error
        return LocalWheel(replace(Pin.of(artifact, sha256), version=str(version)), metadata)

    def _folder(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        folder = local_path(urldefrag(reference.url).url).resolve()
        if not any((folder / name).is_file() for name in PROJECT_FILES):
            raise Unresolvable(
                f"{folder} has no project that can be built.", hint="Name a folder with a pyproject.toml or a setup.py."
            )
        return LocalWheel(*self._builder.project_wheel(folder, interpreter))

    def _archive(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        url = urldefrag(reference.url).url
        name = Path(urlsplit(url).path).name
        sha256, _ = self._file(reference, name)
        subdirectory = git_place(reference.url)[2]
        key = f"direct:{sha256}:{subdirectory}"

        from tf_tester.resolve.archives import unpack  # and with it tarfile, for few runs

        def source(folder: Path) -> Path:
            blob = self._blobs.find(sha256)
            assert blob is not None
            return _within(unpack(blob, name, folder / "unpacked"), subdirectory, reference)

        found = self._built(key, interpreter, without_secrets(url), source)
        return replace(found, pin=replace(found.pin, built_from=sha256))

    def _revision(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        repository, revision, subdirectory = git_place(reference.url)
        known = self._commits.get(reference.url) or (revision if is_exact(revision) else "")
        if known:
            exact = pinned(reference.url, known)
            if (found := self._known(f"git:{exact}", interpreter, exact)) is not None:
                return found
        if repository.startswith("file:") and not local_path(repository).is_dir():
            raise Unresolvable(f"There is no repository {local_path(repository)}.", hint="Check its name.")
        if self._access.offline:
            raise DownloadFailed(
                f"{_shown(reference)} isn't in the store, and --offline forbids to fetch it",
                hint="Run the same command once without --offline.",
            )
        with self._builder.fresh("git") as folder:
            commit = known or self._git_commit(repository, revision, folder, reference)
            self._commits[reference.url] = commit
            exact = without_secrets(pinned(reference.url, commit))

            def source(_: Path) -> Path:
                checkout = folder / (repository.rstrip("/").rpartition("/")[2].removesuffix(".git") or "source")
                self._check_out(repository, commit, checkout, reference)
                return _within(checkout, subdirectory, reference)

            return self._built(f"git:{pinned(reference.url, commit)}", interpreter, exact, source)

    # -- files

    def _file(self, reference: DirectReference, name: str) -> tuple[str, int]:
        """Return digest and size of a file, which is a blob then."""
        url, promised = urldefrag(reference.url).url, promised_hash(reference.url)
        if url in self._files:
            return self._files[url]
        if promised and (blob := self._blobs.find(promised)) is not None:
            return promised, blob.stat().st_size
        with self._builder.fresh("direct") as folder:
            came = folder / "file"
            if url.startswith("file:"):
                _copied(local_path(url), came)
            else:
                self._access.download(url, came)
            with came.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if promised and digest != promised:
                raise DownloadFailed(
                    f"{name} has another hash than {_shown(reference)} gives.",
                    hint="It was changed, or the hash is of another file.",
                    detail=f"its hash: sha256:{digest}",
                )
            size = came.stat().st_size
            with self._blobs.exclusive(digest):
                if self._blobs.find(digest) is None:
                    shutil.copyfile(came, self._blobs.partial(digest))
                    self._blobs.adopt(digest, name, display_url(url))
        self._files[url] = digest, size
        return digest, size

    # -- builds

    def _built(self, key: str, interpreter: Interpreter, url: str, source: Callable[[Path], Path]) -> LocalWheel:
        """Return the wheel of a folder that `source` makes, unless the store has it; `url`: what its pin is to have."""
        known = self._known(key, interpreter, url)
        if known is not None:
            return known
        with self._builder.fresh("direct") as folder:
            place = source(folder)
            pin, _ = self._builder.source_wheel(place, interpreter)
        scope = f"{key}@any" if is_for_any_python(pin.filename) else f"{key}@{interpreter.abi}"
        self._memory.remember(scope, BuiltWheel(pin.filename, pin.sha256, pin.size or 0))
        found = self._known(key, interpreter, url)
        assert found is not None
        return found

    def _known(self, key: str, interpreter: Interpreter, url: str) -> LocalWheel | None:
        wheel = self._memory.recall(f"{key}@any") or self._memory.recall(f"{key}@{interpreter.abi}")
        if wheel is None or self._blobs.find(wheel.sha256) is None:
            return None
        name, version = wheel.filename.split("-")[:2]
        project = str(canonicalize_name(name))
        artifact = Artifact(
            wheel.filename, project, version, without_secrets(url), wheel.sha256, wheel.size, promise=_PROMISE
        )
        return LocalWheel(Pin.of(artifact, wheel.sha256), self._metadata.read(artifact))

    # -- git

    def _git_commit(self, repository: str, revision: str, folder: Path, reference: DirectReference) -> str:
        """Return the commit that a branch or tag means now, or the whole id of a short one."""
        names = [f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}", revision]
        said = self._git(["ls-remote", "--", repository, *(names if revision else ["HEAD"])], folder, reference)
        found = {name: commit for commit, _, name in (line.partition("\t") for line in said.splitlines())}
        for name in names if revision else ["HEAD"]:
            if is_exact(found.get(name, "")):
                return found[name]
        # A short commit id: servers tell only of names.
        self._git(["clone", "--quiet", "--bare", "--", repository, str(folder / "whole")], folder, reference)
        where = ["--git-dir", str(folder / "whole")]
        return self._git([*where, "rev-parse", "--verify", f"{revision}^{{commit}}"], folder, reference).strip()

    def _check_out(self, repository: str, commit: str, checkout: Path, reference: DirectReference) -> None:
        """Make a working tree with its history, by which projects find their own version."""
        folder = checkout.parent
        self._git(["clone", "--quiet", "--no-checkout", "--", repository, str(checkout)], folder, reference)
        self._git(["-C", str(checkout), "checkout", "--quiet", "--detach", commit], folder, reference)
        if (checkout / ".gitmodules").is_file():
            words = ["submodule", "--quiet", "update", "--init", "--recursive"]
            self._git(["-C", str(checkout), *words], folder, reference)

    def _git(self, words: list[str], cwd: Path, reference: DirectReference) -> str:
        env = {name: value for name, value in self._access.environ.items() if not name.startswith("GIT_")}
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
        env.setdefault("PATH", os.defpath)
        try:
            done = subprocess.run(
                ["git", "-c", "core.hooksPath=/dev/null", *words],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise DownloadFailed(
                f"git can't be started for {_shown(reference)}: {error.strerror}.", hint="Install git."
            ) from error
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
            last = next((line for line in said if line.startswith(("fatal: ", "error: "))), said[-1])
            raise DownloadFailed(
                f"git can't bring {_shown(reference)}: {display_url(last.strip())}",
                hint="Check the address and the revision behind its last @; git is asked without a terminal.",
                detail=display_url(done.stderr.strip()),
            )
        return done.stdout


def _copied(file: Path, target: Path) -> None:
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        # The user's own file: nothing that the same command again would mend.
        raise Unresolvable(f"{file} can't be read: {error.strerror}.", hint="Check its name.") from error


def _within(folder: Path, subdirectory: str, reference: DirectReference) -> Path:
    place = (folder / subdirectory).resolve()
    if not place.is_relative_to(folder.resolve()) or not place.is_dir():
        raise BuildFailed(f"{_shown(reference)} has no folder {subdirectory}.", hint="Check #subdirectory=.")
    return place


def _shown(reference: DirectReference) -> str:
    return replace(reference, url=without_secrets(reference.url)).text
