"""Write a replica where a web server or a CDN serves it; go back to an earlier state; check what is there.

Promise: whoever reads the tree sees one generation or the next one, page by page at the worst, and each link leads to a
file that is there. What a generation needs is there before it is shown, and as long as it is kept.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.replica_tree import (
    MANIFEST,
    SIGNATURE,
    Manifest,
    Tree,
    TreeFile,
    decode,
    encode,
    entry_of,
    is_metadata,
    manifest_of,
    tree_of,
)
from tf_tester.errors import BadWheel, CellRefused, NotAManifest, OurFailure, TfTesterError, UsageError
from tf_tester.flow.prepare.handing_on import handed_on
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports.publish import Signer, TreeTarget
from tf_tester.ports.store import Blobs

_AT_ONCE = 8
Fetch = Callable[[Artifact], Path]


class PublishResult(Struct, frozen=True):
    """What became of a publication."""

    generation: str
    """That is shown now."""
    is_new: bool
    pages: int
    """That differ from those of before."""
    files: int
    """Wheels and sdists that were not there before."""
    size: int
    """Bytes of them."""
    removed: int
    """Files that no kept generation has."""
    projects: int
    all_files: int
    all_size: int
    missing: tuple[str, ...] = ()
    """Files that the replica lists and the store has lost: they are left out."""
    left: str = ""
    """What was gone back from: the generation with just what the replica holds, or where that is new the last one;
    empty: nothing was."""
    mended: bool = False
    """Pages that were shown were not what they should have been."""


class PublishRequest(Struct, frozen=True):
    """What is published, and as what."""

    replica: str
    pages: Sequence[ProjectPage]
    created: str
    """RFC 3339, UTC."""
    tool: str
    name_after: Callable[[Iterable[str]], str]
    """A name for a new generation that sorts after those that exist."""
    url: str | None = None
    keep: int = 3
    """Generations."""


def publish(
    request: PublishRequest,
    blobs: Blobs,
    metadata: Callable[[Artifact], bytes],
    target: TreeTarget,
    signer: Signer | None,
    *,
    fetch: Fetch,
) -> PublishResult:
    """Write what is new, and anew what was lost or changed, then show it. Raises `OurFailure`.

    Until the end everybody sees what was before. What was gone back from isn't shown again before the replica has
    something else. `fetch`: brings a file that the store has lost.
    """
    metadata = _checked(metadata)
    whole, missing = _whole(request.pages, blobs, fetch)
    if not whole:
        raise UsageError(f"The replica {request.replica} holds nothing.", hint="Sync it first.")
    with target.alone():
        tree = tree_of(whole, metadata, url=request.url, packed=target.packed)
        # Chosen while nobody else publishes here: it must sort after what has been published meanwhile.
        generation = request.name_after(target.generations())
        manifest = manifest_of(
            tree, replica=request.replica, generation=generation, created=request.created, tool=request.tool
        )
        before = _shown(target, request.replica)
        files, size = _add_files(tree, target, blobs, fetch, metadata)
        damaged = before is not None and target.is_damaged(before)
        left = _left(target, before)
        if before is not None and not damaged:
            is_shown = _is_same(before, manifest) and _is_signed(target, before, signer)
            same = "" if is_shown else next((one for one in left if _is_kept(target, one, manifest)), "")
            if is_shown or same:
                return replace(_published(before, is_new=False, missing=missing), files=files, size=size, left=same)
        told = {MANIFEST: encode(manifest)}
        if signer is not None:
            told[SIGNATURE] = signer.sign(told[MANIFEST])
        target.note_left(is_left=False)  # before there is another generation: who dies here has gone back from nothing
        # Pages that are damaged are no links to be had from.
        target.add(manifest, tree.pages, told, None if damaged else before)
        target.show(manifest)
        removed = _prune(target, manifest, request.keep)
    old = {} if before is None else before.pages
    pages = sum(old.get(path) != entry for path, entry in manifest.pages.items())
    done = _published(manifest, is_new=True, missing=missing)
    return replace(
        done, pages=pages, files=files, size=size, removed=removed, left=left[0] if left else "", mended=damaged
    )


def _shown(target: TreeTarget, replica: str) -> Manifest | None:
    """Return what is shown; None: nothing, or nothing that can be read. Raises `UsageError` for another replica's."""
    shown = target.current()
    found = None if shown is None else _readable(target, shown)
    others = (_readable(target, one) for one in reversed(target.generations()))
    known = found or next(filter(None, others), None)
    if known is not None and known.replica != replica:
        raise UsageError(f"There is the replica {known.replica}, not {replica}.", hint="Publish to another place.")
    return found


def _readable(target: TreeTarget, generation: str) -> Manifest | None:
    try:
        return _manifest(target, generation)
    except OurFailure:
        return None


def roll_back(target: TreeTarget, generation: str | None) -> Manifest:
    """Show an earlier generation; None: the one before. Raises `UsageError` where there is none.

    What was gone back from isn't shown by `publish` before there is something else; naming it shows it.
    """
    with target.alone():
        shown, kept = target.current(), list(target.generations())
        if generation is None:
            earlier = [one for one in kept if shown is not None and one < shown]
            if not earlier:
                raise UsageError("There is no earlier generation.", hint="Publish with --keep 3 or more to have some.")
            generation = earlier[-1]
        if generation not in kept:
            raise UsageError(f"There is no generation {generation}.", hint=f"There are: {', '.join(kept) or 'none'}.")
        manifest = _manifest(target, generation)
        target.note_left(is_left=generation < kept[-1])
        target.show(manifest)
        return manifest


def generations(target: TreeTarget) -> list[tuple[Manifest, bool]]:
    """Return those that are kept, the oldest first, and whether each is the one that is shown."""
    shown = target.current()
    return [(_manifest(target, one), one == shown) for one in target.generations()]


def verify(target: TreeTarget, signer: Signer | None, *, deep: bool) -> tuple[Manifest, list[str]]:
    """Return what is shown, and a sentence for everything in it that isn't as it should be.

    Pages are read; files are looked at, and read with `deep`. Raises `UsageError` where nothing is shown.
    """
    content, signature = target.read(MANIFEST), target.read(SIGNATURE)
    if content is None:
        raise UsageError("Nothing is published there.", hint="Write something with `tf-tester publish`.")
    manifest = _decoded(content)
    troubles = []
    if signer is not None and signature is None:
        troubles.append("the manifest isn't signed")
    elif signer is not None and not signer.verifies(content, signature or b""):
        troubles.append("the signature of the manifest is not of that key")

    def page_trouble(path: str) -> str:
        page = target.read(path)
        return _trouble(path, None if page is None else entry_of(page), manifest.pages[path])

    sizes = target.sizes()

    def file_trouble(path: str) -> str:
        wanted = manifest.files[path]
        size = sizes.get(path)
        digest = target.digest(path) if deep and size is not None else wanted.sha256
        return _trouble(path, None if size is None or digest is None else TreeFile(digest, size), wanted)

    troubles += [
        f"{path or '.'} can't be read by other users (`tf-tester publish` mends that)" for path in target.closed()
    ]
    with ThreadPoolExecutor(_AT_ONCE, "verify") as pool:
        troubles += filter(None, pool.map(page_trouble, manifest.pages))
        troubles += filter(None, pool.map(file_trouble, manifest.files))
    return manifest, troubles


def _checked(metadata: Callable[[Artifact], bytes]) -> Callable[[Artifact], bytes]:
    """Return what gives METADATA as it is promised, or raises `OurFailure`."""

    def read(artifact: Artifact) -> bytes:
        try:
            content = metadata(artifact)
        except (BadWheel, CellRefused) as error:
            raise _other_metadata(artifact) from error
        if hashlib.sha256(content).hexdigest() != artifact.metadata_sha256:
            raise _other_metadata(artifact)
        return content

    return read


def _other_metadata(artifact: Artifact) -> OurFailure:
    return OurFailure(
        f"The METADATA of {artifact.filename} is not what the replica promises.",
        hint="Sync the replica, and repeat it.",
    )


def _trouble(path: str, found: TreeFile | None, wanted: TreeFile) -> str:
    if found is None:
        return f"{path} is not there"
    return "" if found == wanted else f"{path} is not what the manifest says"


def _whole(pages: Iterable[ProjectPage], blobs: Blobs, fetch: Fetch) -> tuple[list[ProjectPage], tuple[str, ...]]:
    """Return the pages with what the store has; and what it has not."""

    def is_there(artifact: Artifact) -> bool:
        if artifact.sha256 is None:
            return False
        if blobs.find(artifact.sha256) is None:
            try:
                fetch(artifact)
            except TfTesterError:
                return False
        return True

    whole, missing = [], []
    for page in pages:
        there = []
        for one in page.artifacts:
            if is_there(one):
                there.append(one)
            else:
                missing.append(one.filename)
        if there:
            whole.append(replace(page, artifacts=tuple(there)))
    return whole, tuple(missing)


def _add_files(
    tree: Tree, target: TreeTarget, blobs: Blobs, fetch: Fetch, metadata: Callable[[Artifact], bytes]
) -> tuple[int, int]:
    """Write what is not there yet, or not as it should be, and return how many, and their bytes."""
    there = target.sizes()

    def is_wanted(path: str) -> bool:
        entry, artifact = tree.files[path], tree.artifacts.get(path)
        if there.get(path) != entry.size:
            return True
        source = None if artifact is None else blobs.find(artifact.sha256 or "")
        if not target.is_doubtful(path, source):
            return False
        if target.digest(path) != entry.sha256:
            return True
        target.confirm(path)
        return False

    def put(path: str) -> None:
        artifact = tree.artifacts.get(path)
        if artifact is None:
            target.put_file(path, metadata(tree.metadata[path]), tree.files[path].sha256)
            return
        handed_on(artifact, fetch, blobs, lambda blob, sha256: target.put_file(path, blob, sha256))

    with ThreadPoolExecutor(_AT_ONCE, "publish") as pool:
        try:
            wanted = [path for path, wants in zip(tree.files, pool.map(is_wanted, tree.files), strict=True) if wants]
            for _ in pool.map(put, wanted):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sum(not is_metadata(path) for path in wanted), sum(tree.files[path].size for path in wanted)


def _prune(target: TreeTarget, shown: Manifest, keep: int) -> int:
    """Let go of old generations, and of what they alone needed, and return how many files went."""
    kept = list(target.generations())
    manifests = {one: _readable(target, one) for one in kept}
    late = kept[max(0, len(kept) - max(1, keep)) :]
    stays = [found for one in {*late, shown.generation} if (found := manifests.get(one)) is not None]
    # What can't be read any more can't be gone back to.
    old = [one for one in kept if manifests[one] not in stays]
    needed = {path for manifest in (*stays, shown) for path in manifest.files}
    pages = {entry.sha256 for manifest in (*stays, shown) for entry in manifest.pages.values()}
    gone = [found for one in old if (found := manifests[one]) is not None]
    unused = {entry.sha256 for manifest in gone for entry in manifest.pages.values()} - pages
    files = [path for path in target.sizes() if path not in needed]
    target.remove(old, files, unused)
    return sum(not is_metadata(path) for path in files)


def _left(target: TreeTarget, shown: Manifest | None) -> list[str]:
    """Return the generations that were gone back from, the last one first."""
    if shown is None or not target.is_left():
        return []
    return [one for one in reversed(target.generations()) if one > shown.generation]


def _is_kept(target: TreeTarget, generation: str, manifest: Manifest) -> bool:
    """Return whether a generation has just what a new one has."""
    known = _readable(target, generation)
    return known is not None and _is_same(known, manifest)


def _is_same(before: Manifest, manifest: Manifest) -> bool:
    return before.pages == manifest.pages and before.files == manifest.files


def _is_signed(target: TreeTarget, manifest: Manifest, signer: Signer | None) -> bool:
    """Return whether a manifest is signed as it should be: by that key, or not at all."""
    content, signature = target.manifest(manifest.generation)
    if signer is None or signature is None:
        return signer is None and signature is None
    return signer.verifies(content, signature)


def _manifest(target: TreeTarget, generation: str) -> Manifest:
    return _decoded(target.manifest(generation)[0])


def _decoded(content: bytes) -> Manifest:
    try:
        return decode(content)
    except NotAManifest as error:
        raise OurFailure(
            f"What is published there can't be read: {error}.", hint="Publish to another place, or remove it."
        ) from error


def _published(manifest: Manifest, *, is_new: bool, missing: tuple[str, ...]) -> PublishResult:
    return PublishResult(
        manifest.generation,
        is_new,
        pages=0,
        files=0,
        size=0,
        removed=0,
        projects=manifest.projects,
        all_files=manifest.distributions,
        all_size=manifest.size,
        missing=missing,
    )
