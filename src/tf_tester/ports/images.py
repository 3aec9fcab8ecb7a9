"""Images in a folder, what they are built on and of, and registries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tf_tester.core.image.documents import BaseImage, Blob, Descriptor, ImageIndex, ImagePlatform
from tf_tester.core.image.tar import TarEntry
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer


class ImageLayout(Protocol):
    """A folder with images (OCI image layout). All its members raise `OurFailure` where it can't be used."""

    @property
    def packing(self) -> str:
        """Return what decides the bytes of its layers besides what is in them: the compressor and its level."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one who writes there; make the folder, and sweep what killed processes have left.

        Raises `UsageError` where there is something else than images.
        """
        ...

    def index(self) -> ImageIndex:
        """Return which images it has. Raises `UsageError` where there is no such folder."""
        ...

    def holds(self, descriptor: Descriptor) -> bool:
        """Read a blob, and tell whether it is there and right; once in the life of this object."""
        ...

    def path(self, descriptor: Descriptor) -> Path:
        """Return where a blob is, or would be."""
        ...

    def read(self, descriptor: Descriptor) -> bytes:
        """Return a document of some megabytes at the most. Raises `NotAnImage` where it isn't there, or damaged."""
        ...

    def add(self, blob: Blob) -> None:
        """Write a document, if it isn't there."""
        ...

    def add_layer(self, entries: Iterable[TarEntry]) -> tuple[Descriptor, str]:
        """Write a layer; return it, and the digest of its tar.

        Raises `InterruptedError` after `stop`, `OSError` where a file that is to be in it can't be read.
        """
        ...

    def add_tar(self, tar: Iterable[bytes]) -> tuple[Descriptor, str]:
        """Write a layer of which there is a tar; see `add_layer`. What yields its pieces may raise what it likes."""
        ...

    def add_copy(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Write a blob that comes from elsewhere. Raises `NotAnImage` where it isn't what its name says."""
        ...

    def show(self, manifests: Sequence[Descriptor]) -> None:
        """Have these images, all at once; what they need is there."""
        ...

    def stop(self) -> None:
        """Let all that writes end at once."""
        ...


class BaseSource(Protocol):
    """Where a base comes from."""

    def bring(self, layout: ImageLayout, platform: ImagePlatform) -> BaseImage:
        """Put its layers beside those of the images, and return it.

        Raises `UsageError` where it is damaged, or nothing that can be built on, `OurFailure`.
        """
        ...


class PackedEnvironment(Struct, frozen=True):
    """What an environment has, as members of a tar."""

    files: Mapping[str, TarEntry]
    """By path."""
    clashes: tuple[str, ...] = ()
    """A sentence for each file that two projects bring with different contents."""


PackEnvironment = Callable[[Sequence[Layer], Interpreter, Iterable[str]], PackedEnvironment]
"""Says what some layers make of an environment in an image; the last argument: paths of what it has of itself."""


class ImageRegistry(Protocol):
    """One repository of a registry. All its members raise `RegistryFailed`, after trying again what is worth it."""

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether it has a blob."""
        ...

    def mount(self, descriptor: Descriptor, source: str) -> bool:
        """Let it take a blob from another repository of its own; False: it didn't."""
        ...

    def upload(self, descriptor: Descriptor, file: Path) -> None:
        """Send a blob."""
        ...

    def put(self, manifest: Blob, tag: str) -> None:
        """Give it a manifest under a tag. Raises `RegistryForgot` where it misses blobs."""
        ...

    def tagged(self, tag: str) -> str:
        """Return the digest of the manifest with a tag; empty: there is none."""
        ...

    def close(self) -> None:
        """End what is under way at once."""
        ...
