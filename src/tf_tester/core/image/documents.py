"""The documents of the OCI image specification 1.1 as values and as bytes: index, manifest, configuration. Pure.

The same values give the same bytes: fields in the order below, no spaces. What others have written is kept as it came.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tf_tester.errors import NotAnImage

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = f"{LAYER}+gzip"
LAYER_ZSTD = f"{LAYER}+zstd"
NAME = "org.opencontainers.image.ref.name"
"""The annotation by which an index names an image."""
OURS = "tf-tester.image"
"""The annotation of images that we have made; its value is the cell's name."""
CONTENT = "tf-tester.content"
"""The annotation of a layer that says what it was made from; see `flow.images.build`."""
PLACE = "opt/env"
"""Where an environment is in an image: the same for all versions, so that their layers can be the same."""
_T = TypeVar("_T")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCKER = "application/vnd.docker."
_OF_DOCKER = {
    f"{_DOCKER}distribution.manifest.list.v2+json": INDEX,
    f"{_DOCKER}distribution.manifest.v2+json": MANIFEST,
    f"{_DOCKER}container.image.v1+json": CONFIG,
    f"{_DOCKER}image.rootfs.diff.tar": LAYER,
    f"{_DOCKER}image.rootfs.diff.tar.gzip": LAYER_GZIP,
}
"""What Docker calls the same."""


class Compression(StrEnum):
    """How layers are packed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"

    @property
    def media_type(self) -> str:
        """Return what a layer packed so is called."""
        return {Compression.GZIP: LAYER_GZIP, Compression.ZSTD: LAYER_ZSTD, Compression.NONE: LAYER}[self]


class ImagePlatform(Struct, frozen=True, omit_defaults=True):
    """For which machines an image is, in the words of Go."""

    architecture: str
    os: str
    variant: str = ""


class Descriptor(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a blob is, and which."""

    media_type: str
    digest: str
    """`sha256:` and the hex digest."""
    size: int
    platform: ImagePlatform | None = None
    annotations: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest) or self.size < 0:
            raise ValueError(f"{self.digest[:80]!r} is no SHA-256")  # msgspec makes a ValidationError of it

    @property
    def sha256(self) -> str:
        """Return the digest's hex digits."""
        return self.digest.partition(":")[2]

    @property
    def kind(self) -> str:
        """Return the media type as OCI names it."""
        return _OF_DOCKER.get(self.media_type, self.media_type)


class ImageManifest(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One image."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    """The lowest first."""
    media_type: str = ""
    annotations: dict[str, str] = {}


class ImageIndex(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Several images."""

    manifests: tuple[Descriptor, ...] = ()
    media_type: str = ""
    annotations: dict[str, str] = {}


class RootFiles(Struct, frozen=True):
    """`rootfs` of a configuration."""

    diff_ids: tuple[str, ...]
    """Digests of the layers' tars before they were compressed."""
    type: str = "layers"


class LayerHistory(Struct, frozen=True, omit_defaults=True):
    """What a layer came from."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False
    """It has no layer: it is of a base, whose builder told something else."""


class ImageConfig(Struct, frozen=True, omit_defaults=True):
    """How an image is to be run, and what its layers are."""

    architecture: str
    os: str
    rootfs: RootFiles
    variant: str = ""
    created: str = ""
    """RFC 3339; empty: not told."""
    config: dict[str, Any] = {}
    """`Env`, `User`, `Cmd`, `Labels` and what else a base may have set."""
    history: tuple[LayerHistory, ...] = ()


class Blob(Struct, frozen=True):
    """A small one, with what is in it."""

    descriptor: Descriptor
    content: bytes

    @classmethod
    def of(cls, media_type: str, document: object) -> "Blob":
        """Return a document as JSON."""
        content = msgspec.json.encode(document)
        return cls(Descriptor(media_type, digest_of(content), len(content)), content)


class StackedLayer(Struct, frozen=True):
    """A layer of an image, and what it is unpacked."""

    descriptor: Descriptor
    diff_id: str
    history: LayerHistory


class BaseImage(Struct, frozen=True):
    """What an image is built on."""

    name: str
    """As the user gave it."""
    digest: str
    """Of its manifest; empty: it was a file system, not an image."""
    config: ImageConfig
    layers: tuple[StackedLayer, ...]
    paths: frozenset[str]
    """All files and links that are seen in it."""


class ImageUse(Struct, frozen=True):
    """How an image of ours is to be run."""

    env: tuple[tuple[str, str], ...] = ()
    """Variables; `PATH` is put before the base's."""
    user: str = ""
    folder: str = ""
    command: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    created: str = ""


def digest_of(content: bytes) -> str:
    """Return a digest as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image_of(
    platform: ImagePlatform,
    base: BaseImage | None,
    layers: Sequence[StackedLayer],
    use: ImageUse,
    own: Mapping[str, str],
) -> tuple[Blob, Blob]:
    """Return the configuration and the manifest of an image whose layers lie on those of a base.

    `own`: annotations of the manifest.
    """
    below = base.layers if base is not None else ()
    every = (*below, *layers)
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=use.created,
        config=_settings(base.config.config if base is not None else {}, use),
        rootfs=RootFiles(tuple(layer.diff_id for layer in every)),
        history=tuple(layer.history for layer in every),
    )
    packed = Blob.of(CONFIG, config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": packed.descriptor,
        "layers": [layer.descriptor for layer in every],
        "annotations": dict(own),
    }
    return packed, Blob.of(MANIFEST, manifest)


def index_bytes(manifests: Iterable[Descriptor | Any], others: Mapping[str, Any]) -> bytes:
    """Return an `index.json`. `others`: what stands in it besides, from whoever wrote it before."""
    kept = {name: value for name, value in others.items() if name not in ("schemaVersion", "mediaType", "manifests")}
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **kept})


def with_image(manifests: Iterable[Descriptor], new: Descriptor) -> tuple[Descriptor, ...]:
    """Return the images of an index with another one, which takes the place of the one of its name."""
    others = list(manifests)
    for place, one in enumerate(others):
        if one.annotations.get(NAME) == new.annotations.get(NAME):
            others[place] = new
            return tuple(others)
    return (*others, new)


def named(descriptor: Descriptor, tag: str, platform: ImagePlatform, cell: str) -> Descriptor:
    """Return a manifest's descriptor as it stands in an index."""
    return replace(descriptor, platform=platform, annotations={NAME: tag, OURS: cell})


def read_index(content: bytes) -> ImageIndex:
    """Read an index. Raises `NotAnImage`."""
    return _read(content, ImageIndex, "an index of images")


def read_manifest(content: bytes) -> ImageManifest:
    """Read a manifest. Raises `NotAnImage`."""
    return _read(content, ImageManifest, "a manifest of an image")


def read_config(content: bytes) -> ImageConfig:
    """Read a configuration. Raises `NotAnImage`."""
    return _read(content, ImageConfig, "a configuration of an image")


def layer_history(manifest: ImageManifest, config: ImageConfig) -> tuple[LayerHistory, ...]:
    """Return what a configuration tells of each layer; something for each where it doesn't tell it of all."""
    told = tuple(one for one in config.history if not one.empty_layer)
    if len(told) == len(manifest.layers):
        return told
    return tuple(LayerHistory(created_by="base") for _ in manifest.layers)


def _settings(base: Mapping[str, Any], use: ImageUse) -> dict[str, Any]:
    """Return the base's settings with ours: in what both have, ours count."""
    before = dict(_variable(text) for text in base.get("Env") or ())
    env = before | dict(use.env)
    if "PATH" in before and "PATH" in dict(use.env):
        env["PATH"] = ":".join(dict.fromkeys([*dict(use.env)["PATH"].split(":"), *before["PATH"].split(":")]))
    settings = dict(base) | {
        "User": use.user or base.get("User", ""),
        "Labels": {**(base.get("Labels") or {}), **use.labels},
    }
    if env:
        settings["Env"] = [f"{name}={value}" for name, value in env.items()]
    if use.folder:
        settings["WorkingDir"] = use.folder
    if use.command:
        settings["Cmd"] = list(use.command)
    return {name: settings[name] for name in sorted(settings)}


def _variable(text: Any) -> tuple[str, str]:
    name, _, value = str(text).partition("=")
    return name, value


def _read(content: bytes, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnImage(f"{what} can't be read: {error}") from error
