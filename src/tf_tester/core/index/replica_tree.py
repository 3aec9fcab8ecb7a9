"""A replica as files that any web server can serve. Pure: what lies where, and what is in it.

    simple/index.html, simple/index.v1_json                 the projects (PEP 503, 691; the last with serials)
    simple/NAME/index.html, simple/NAME/index.v1_json       their pages
    pypi/NAME/json                                          what bandersnatch mirrors by, where the address is known
    packages/ab/abcd…/FILENAME, FILENAME.metadata           files, by their SHA-256: they never change
    manifest.json                                           the SHA-256 and size of all of these, to be signed

Pages link to files relatively, so that the tree may be served below any prefix.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from packaging.metadata import parse_email
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.negotiate import JSON, TEXT_HTML
from tf_tester.core.index.simple import render_html, render_json, render_names_html, render_names_json
from tf_tester.errors import NotAManifest
from tf_tester.model.artifact import Artifact, ProjectPage

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
_FORMAT = 1


class TreeFile(msgspec.Struct, frozen=True, array_like=True):
    """What a file must be."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """All of one generation of a tree."""

    format: int
    replica: str = msgspec.field(name="mirror")
    """Its name. In the file it is `mirror`, as replicas were once called."""
    generation: str
    """Sortable by time."""
    created: str
    """RFC 3339, UTC."""
    tool: str
    pages: dict[str, TreeFile]
    """By path: what differs between generations."""
    files: dict[str, TreeFile]
    """By path: what generations share."""

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def distributions(self) -> int:
        """Files without those that are METADATA."""
        return sum(not is_metadata(path) for path in self.files)

    @property
    def projects(self) -> int:
        return sum(path.startswith("simple/") and path.endswith("/index.html") for path in self.pages) - 1


class Tree(Struct, frozen=True):
    """What one generation has."""

    pages: dict[str, bytes]
    files: dict[str, TreeFile]
    artifacts: dict[str, Artifact]
    """Those of the files that are wheels and sdists, by path."""
    metadata: dict[str, Artifact]
    """Those that are METADATA: of which wheel, by path."""


def tree_of(
    pages: Iterable[ProjectPage], metadata: Callable[[Artifact], bytes], *, url: str | None = None, packed: bool = True
) -> Tree:
    """Return the tree of these projects, whose files are all there.

    `metadata`: of a wheel. `url`: where the tree will be; without it nothing is there for bandersnatch. `packed`: pages
    also compressed, for servers that look for such.
    """
    content: dict[str, bytes] = {}
    files: dict[str, TreeFile] = {}
    artifacts: dict[str, Artifact] = {}
    of_wheels: dict[str, Artifact] = {}
    serials: dict[str, int] = {}
    for page in sorted(pages, key=lambda page: page.project):
        name = page.project
        serials[name] = page.serial or 0
        content[f"simple/{name}/index.html"] = render_html(page, lambda one: f"../../{_path(one)}")
        content[f"simple/{name}/index.v1_json"] = render_json(page, lambda one: f"../../{_path(one)}")
        for one in page.artifacts:
            assert one.sha256 is not None and one.size is not None
            artifacts[path_of(one)] = one
            files[path_of(one)] = TreeFile(one.sha256, one.size)
            if one.metadata_sha256:
                path = f"{path_of(one)}.metadata"
                of_wheels[path] = one
                files[path] = TreeFile(one.metadata_sha256, len(metadata(one)))
        if url is not None:
            content[f"pypi/{name}/json"] = _legacy_json(page, metadata, url.rstrip("/"))
    content["simple/index.html"] = render_names_html(serials)
    content["simple/index.v1_json"] = render_names_json(serials, serials)
    if packed:
        content |= {
            f"{path}.gz": gzip.compress(body, 9, mtime=0) for path, body in content.items() if "/index." in path
        }
    return Tree(content, files, artifacts, of_wheels)


def manifest_of(tree: Tree, *, replica: str, generation: str, created: str, tool: str) -> Manifest:
    pages = {path: entry_of(body) for path, body in sorted(tree.pages.items())}
    return Manifest(_FORMAT, replica, generation, created, tool, pages, dict(sorted(tree.files.items())))


def entry_of(content: bytes) -> TreeFile:
    return TreeFile(hashlib.sha256(content).hexdigest(), len(content))


def encode(manifest: Manifest) -> bytes:
    """Encode a manifest; the same one always as the same bytes, for they are what is signed."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode(content: bytes) -> Manifest:
    """Decode a manifest, in which nothing leads out of the tree. Raises `NotAManifest`."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise NotAManifest(str(error)) from error
    if manifest.format != _FORMAT:
        raise NotAManifest(f"it was made by {manifest.tool}, in a form that this version doesn't know")
    for path in (*manifest.pages, *manifest.files):
        if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/")):
            raise NotAManifest(f"it names the path {path!r}")
    return manifest


def content_type(path: str) -> str:
    """Return the type of a file's content as a web server should send it.

    >>> content_type("simple/toy/index.v1_json"), content_type("packages/ab/ab12/toy-1.0-py3-none-any.whl")
    ('application/vnd.pypi.simple.v1+json', 'application/octet-stream')
    """
    if path.endswith(".v1_json"):
        return JSON
    if path.endswith(".html"):
        return f"{TEXT_HTML}; charset=utf-8"
    return "application/json" if path.endswith(("/json", ".json")) else "application/octet-stream"


def is_metadata(path: str) -> bool:
    return path.endswith(".metadata")


def path_of(artifact: Artifact) -> str:
    """Return the path of a file below `packages`, as bandersnatch wants it."""
    return f"packages/{artifact.sha256[:2] if artifact.sha256 else ''}/{artifact.sha256}/{artifact.filename}"


def _path(artifact: Artifact) -> str:
    return quote(path_of(artifact))


def _legacy_json(page: ProjectPage, metadata: Callable[[Artifact], bytes], url: str) -> bytes:
    """Return what PyPI has at `/pypi/NAME/json`, as far as it is known here."""
    releases: dict[str, list[dict[str, Any]]] = {}
    for one in page.artifacts:
        releases.setdefault(one.version, []).append(_release_file(one, url))
    wheels = [one for one in page.artifacts if one.is_wheel and one.metadata_sha256]
    told: Mapping[str, Any] = {}
    if wheels:
        newest = max(wheels, key=lambda one: _version(one.version))
        told = parse_email(metadata(newest))[0]
    info = {
        "name": told.get("name", page.project),
        "version": max(releases, key=_version, default=""),
        "summary": told.get("summary", ""),
        "classifiers": told.get("classifiers", []),
        "requires_dist": told.get("requires_dist", []),
        "requires_python": told.get("requires_python", ""),
        "license": told.get("license", ""),
    }
    return msgspec.json.encode({"info": info, "last_serial": page.serial or 0, "releases": releases})


def _release_file(artifact: Artifact, url: str) -> dict[str, Any]:
    moment = artifact.upload_time
    return {
        "filename": artifact.filename,
        "url": f"{url}/{_path(artifact)}",
        "digests": {"sha256": artifact.sha256},
        "size": artifact.size,
        "packagetype": "bdist_wheel" if artifact.is_wheel else "sdist",
        "requires_python": artifact.requires_python,
        # Where nobody has told it, the beginning of time: the field must be there.
        "upload_time_iso_8601": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else "1970-01-01T00:00:00.000000Z",
        "yanked": artifact.yanked is not None,
        "yanked_reason": artifact.yanked or None,
    }


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0.dev0")
