"""Files of the store for somebody else, hashed as they are copied: a disk can rot without a word."""

from collections.abc import Callable
from pathlib import Path

from tf_tester.errors import StoreError, WrongBytes
from tf_tester.model.artifact import Artifact
from tf_tester.ports.store import Blobs


def handed_on(
    artifact: Artifact, fetch: Callable[[Artifact], Path], blobs: Blobs, copy: Callable[[Path, str], None]
) -> Path:
    """Return the file that was copied; one that is wrong is set aside, and fetched again.

    `copy`: takes the file and its SHA-256, and raises `WrongBytes` where it has read something else. Raises as `fetch`
    does, and `StoreError` where the disk gives other bytes each time.
    """
    blob, sha256 = fetch(artifact), artifact.sha256 or ""
    try:
        copy(blob, sha256)
    except WrongBytes:
        blobs.is_sound(sha256)  # sets it aside, and tells
        blob = fetch(artifact)
        try:
            copy(blob, sha256)
        except WrongBytes as error:
            raise StoreError(
                f"{artifact.filename} can't be read from {blob}, or not be copied, as it is.",
                hint="Look after the disk, and the memory, of this machine.",
            ) from error
    return blob
