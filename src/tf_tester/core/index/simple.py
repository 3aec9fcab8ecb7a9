"""Project pages: PEP 691 JSON and PEP 503 HTML in, one `ProjectPage` out; and back to JSON.

Promise: whatever the bytes, the answer is a page of the project that was asked for, or `NotAPage`. A file
with a hostile or malformed name, link or hash is left out, with the reason; the page stands without it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from tf_tester.core.index.links import resolve_link
from tf_tester.core.index.told_values import reason, requires_python, upload_time
from tf_tester.errors import NotAPage
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage, ProjectStatus, split_filename

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
_VERSION = "1.4"
"""Of the simple API, as we speak it."""
ACCEPT = f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
"""What to ask an index for: JSON where it can, HTML where it must."""

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_TOO_LARGE = 1 << 50
"""Bytes that no file has."""
_SERIAL = re.compile(rb"<!--\s*SERIAL\s+(\d+)\s*-->")


def canonical(name: str) -> str:
    """Return a project's name as PEP 503 writes it.

    >>> canonical("Zope.Interface")
    'zope-interface'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_page(body: bytes, content_type: str, url: str, project: str) -> ProjectPage:
    """Return the page of `project` (canonical name) as served at `url`. Raises `NotAPage`.

    What it is decides the first byte, not `content_type` alone: static mirrors send JSON as octet-stream. Of a project
    in quarantine no files are told, whatever the page has.
    """
    is_json = body.lstrip()[:1] == b"{" or "json" in content_type.lower()
    return (_parse_json if is_json else _parse_html)(body, url, project).offered()


class _Listed(msgspec.Struct, gc=False):
    name: str
    serial: int | None = msgspec.field(default=None, name="_last-serial")


class _List(msgspec.Struct):
    projects: list[_Listed]


def parse_serials(body: bytes) -> dict[str, int]:
    """Return the serials in a list of projects (PEP 691), as far as it has any, by canonical name.

    Raises `NotAPage`.
    """
    try:
        listed = msgspec.json.decode(body, type=_List).projects
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotAPage(f"it is not a list of projects in JSON: {error}") from error
    return {canonical(one.name): one.serial for one in listed if one.serial is not None}


def parse_list(body: bytes, content_type: str) -> dict[str, int | None]:
    """Return the projects of a list (PEP 503, 691) by canonical name, with their serials, where it tells them.

    What can't be a name is left out. Raises `NotAPage`.
    """
    if body.lstrip()[:1] == b"{" or "json" in content_type.lower():
        try:
            listed = msgspec.json.decode(body, type=_List).projects
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise NotAPage(f"it is not a list of projects in JSON: {error}") from error
        return {canonical(one.name): one.serial for one in listed if _NAME.fullmatch(one.name)}
    from selectolax.lexbor import LexborHTMLParser

    texts = (node.text(strip=True) for node in LexborHTMLParser(body.decode("utf-8", "replace")).css("a[href]"))
    found = {canonical(text): None for text in texts if _NAME.fullmatch(text)}
    if not found:
        raise NotAPage("it is HTML without a project")
    return dict.fromkeys(found)


# -- PEP 691, 700, 714, 792


class _Hashes(msgspec.Struct, gc=False):
    sha256: str | None = None
    md5: Any = None


class _File(msgspec.Struct, gc=False, rename="kebab"):
    filename: str
    url: str
    hashes: _Hashes
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: bool | str | None = None
    core_metadata: bool | _Hashes | None = None
    dist_info_metadata: bool | _Hashes | None = None
    provenance: str | None = None


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str = "1.0"
    tracks: Any = None
    last_serial: int | str | None = msgspec.field(default=None, name="_last-serial")
    project_status: Any = None


class _Page(msgspec.Struct, rename="kebab"):
    name: str
    files: list[_File]
    meta: _Meta = msgspec.field(default_factory=_Meta)
    project_status: Any = None


class _LoosePage(msgspec.Struct, rename="kebab"):
    name: str
    files: list[msgspec.Raw]
    meta: Any = None
    project_status: Any = None


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_loose_page = msgspec.json.Decoder(_LoosePage).decode
_decode_file = msgspec.json.Decoder(_File).decode
_decode_any = msgspec.json.Decoder().decode


def _parse_json(body: bytes, url: str, project: str) -> ProjectPage:
    left_out: list[LeftOutFile] = []
    try:
        page = _read_json(body, left_out)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotAPage(f"it isn't PEP 691 JSON: {error}") from error
    if not page.meta.api_version.startswith("1."):
        raise NotAPage(f"it speaks version {page.meta.api_version[:20]} of the simple API, we know 1.x")
    if canonical(page.name) != project:
        raise NotAPage(f"it is the page of {page.name[:80]!r}")
    belongs = _Belongs(project)
    artifacts, more = _told_apart(_artifact_of_json(file, url, belongs) for file in page.files)
    return ProjectPage(
        project=project,
        artifacts=artifacts,
        serial=_serial(page.meta.last_serial),
        status=_status(page.project_status or page.meta.project_status),
        tracks=_addresses(page.meta.tracks),
        source=body,
        left_out=(*left_out, *more),
    )


def _read_json(body: bytes, left_out: list[LeftOutFile]) -> _Page:
    """Read all at once; where some value has a wrong type, file by file: those that have it go to `left_out`."""
    try:
        return _decode_page(body)
    except msgspec.ValidationError:
        loose = _decode_loose_page(body)
    files = []
    for raw in loose.files:
        try:
            files.append(_decode_file(raw))
        except (msgspec.MsgspecError, ValueError) as error:
            told = _table(_decode_any(raw)).get("filename")
            left_out.append(LeftOutFile(told if isinstance(told, str) else "", f"what is said of it is wrong: {error}"))
    try:
        meta = msgspec.convert(loose.meta, _Meta)
    except msgspec.ValidationError:
        meta = _Meta()
    return _Page(loose.name, files, meta, loose.project_status)


def _artifact_of_json(file: _File, page_url: str, belongs: "_Belongs") -> Artifact | LeftOutFile:
    metadata = file.core_metadata if file.core_metadata is not None else file.dist_info_metadata
    given = () if file.hashes.sha256 is None else (file.hashes.sha256,)
    sha256, *more = (*given, *_hashes_in(file.url.partition("#")[2], "sha256")) or (None,)
    told = _UncheckedFile(
        filename=file.filename,
        url=resolve_link(page_url, file.url),
        sha256=sha256,
        more_hashes=tuple(more),
        weak_hash="md5" if sha256 is None and file.hashes.md5 is not None else "",
        size=file.size,
        upload_time=upload_time(file.upload_time) if file.upload_time else None,
        requires_python=file.requires_python,
        yanked="" if file.yanked is True else file.yanked or None,
        metadata=metadata if isinstance(metadata, bool | None) else metadata.sha256 or True,
        provenance=resolve_link(page_url, file.provenance) if file.provenance else None,
    )
    return _checked(told, belongs)


def _serial(value: int | str | None) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    return value


def _addresses(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _status(value: object) -> ProjectStatus:
    status = value.get("status") if isinstance(value, dict) else value
    return next((one for one in ProjectStatus if one == status), ProjectStatus.ACTIVE)


# -- PEP 503, 592, 629, 658


def _parse_html(body: bytes, url: str, project: str) -> ProjectPage:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(body.decode("utf-8", "replace"))
    tracks = [
        node.attributes.get("content")
        for node in tree.css("meta[name]")
        if node.attributes.get("name") == "pypi:tracks"
    ]
    metas = {node.attributes.get("name"): node.attributes.get("content") or "" for node in tree.css("meta[name]")}
    version = metas.get("pypi:repository-version")
    if version is not None and not version.startswith("1."):
        raise NotAPage(f"it speaks version {version[:20]!r} of the simple API, we know 1.x")
    first_base = tree.css_first("base[href]")
    base = (first_base and resolve_link(url, first_base.attributes.get("href") or "")) or url

    belongs = _Belongs(project)
    anchors = (node.attributes for node in tree.css("a[href]"))
    artifacts, left_out = _told_apart(_artifact_of_anchor(anchor, base, belongs) for anchor in anchors)
    is_its = artifacts or any(not one.is_foreign for one in left_out)
    if not is_its and (version is None or belongs.strangers):
        raise NotAPage("it is HTML without a file of that project")
    serial = _SERIAL.search(body, max(0, len(body) - 200))
    return ProjectPage(
        project=project,
        artifacts=artifacts,
        serial=_serial(serial[1].decode()) if serial else None,
        status=_status(metas.get("pypi:project-status")),
        tracks=_addresses(tracks),
        left_out=left_out,
    )


def _artifact_of_anchor(attributes: Any, base: str, belongs: "_Belongs") -> Artifact | LeftOutFile | None:
    link, _, fragment = (attributes.get("href") or "").partition("#")
    # The address, not the text between the tags: that is what is fetched.
    url = resolve_link(base, link)
    filename = unquote(_path_of(link if url is None else url).rpartition("/")[2])
    if not filename:
        return None  # to a folder, or within the page
    sha256, *more = _hashes_in(fragment, "sha256") or (None,)
    metadata = attributes.get("data-core-metadata") or attributes.get("data-dist-info-metadata")
    told = _UncheckedFile(
        filename=filename,
        url=url,
        sha256=sha256,
        more_hashes=tuple(more),
        weak_hash="md5" if sha256 is None and _hashes_in(fragment, "md5") else "",
        requires_python=attributes.get("data-requires-python"),
        yanked=attributes.get("data-yanked") or "" if "data-yanked" in attributes else None,
        metadata=metadata.partition("sha256=")[2] or metadata == "true" if metadata else None,
    )
    return _checked(told, belongs)


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return url


def _hashes_in(fragment: str, kind: str) -> tuple[str, ...]:
    """Return the values of one kind of hash in what follows an address."""
    parts = (part.partition("=") for part in fragment.split("&"))
    return tuple(value for name, _, value in parts if name == kind)


# -- both


class _UncheckedFile(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A file as a page of either format lists it; any value may be hostile or malformed."""

    filename: str
    url: str | None
    """Absolute; None: the page's link leads nowhere that may be fetched."""
    sha256: str | None
    requires_python: str | None
    yanked: str | None
    """The reason (PEP 592), which may be empty; None: it isn't yanked."""
    more_hashes: tuple[str, ...]
    """SHA-256 that the page has for it besides."""
    weak_hash: str
    metadata: bool | str | None
    """SHA-256 of the METADATA that lies beside the file (PEP 658); True: its hash isn't told."""
    size: int | None = None
    """Bytes."""
    upload_time: datetime | None = None
    """UTC."""
    provenance: str | None = None
    """Absolute address of the attestations (PEP 740)."""


class _Belongs:
    """Says which file names are this project's; remembers the spellings seen, for it is asked often."""

    def __init__(self, project: str) -> None:
        self.project = project
        self._spellings: dict[str, bool] = {}
        self.strangers = False
        """Wheels or sdists of another project were seen."""

    def version(self, filename: str) -> str | None:
        """Return the version in the name, or None where it is no wheel or sdist of the project."""
        if filename.endswith(".whl"):
            spelling = filename.partition("-")[0]
            known = self._spellings.get(spelling)
            if known is None:
                known = self._spellings[spelling] = canonical(spelling) == self.project
            if not known:
                self.strangers = True
                return None
        return split_filename(filename, self.project) or None


def _checked(file: _UncheckedFile, belongs: _Belongs) -> Artifact | LeftOutFile:
    """Return the file; left out where any of its values is hostile or malformed, or it isn't the project's."""
    version = belongs.version(file.filename)
    if version is None:
        why = f"it is no wheel or source distribution of {belongs.project}"
        return LeftOutFile(file.filename, why, is_foreign=True)
    wrong = _wrong(file)
    if wrong or file.url is None:
        return LeftOutFile(file.filename, wrong)
    if isinstance(file.metadata, str):
        # Advertised under a hash that can't be one: nothing of it could be checked, so it isn't there.
        metadata_sha256 = file.metadata.lower() if _SHA256.fullmatch(file.metadata) else None
    else:
        metadata_sha256 = "" if file.metadata else None
    return Artifact(
        filename=file.filename,
        project=belongs.project,
        version=version,
        url=file.url,
        sha256=file.sha256.lower() if file.sha256 is not None else None,
        size=file.size,
        upload_time=file.upload_time,
        requires_python=requires_python(file.requires_python),
        yanked=None if file.yanked is None else reason(file.yanked),
        metadata_sha256=metadata_sha256,
        provenance=file.provenance,
        weak_hash=file.weak_hash,
    )


def _wrong(file: _UncheckedFile) -> str:
    """Return what is hostile or malformed in what a page says of a file, as a clause; empty: nothing."""
    if not _FILENAME.fullmatch(file.filename) or ".." in file.filename:
        return "its name can't be that of a file"
    if file.url is None:
        return "its address is none that may be followed"
    if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
        return "its SHA-256 can't be one"
    if any(other.lower() != (file.sha256 or "").lower() for other in file.more_hashes):
        return "two hashes are given for it"
    if file.size is not None and not 0 <= file.size < _TOO_LARGE:
        return "its size can't be one"
    return ""


def _told_apart(
    files: Iterable[Artifact | LeftOutFile | None],
) -> tuple[tuple[Artifact, ...], tuple[LeftOutFile, ...]]:
    """Return the files in the page's order, and those that don't count.

    Of two with one name the first counts that has a hash; where they have different ones, neither: which of them is
    meant, nobody can say.
    """
    first: dict[str, Artifact] = {}
    left_out: list[LeftOutFile] = []
    disputed: set[str] = set()
    for file in files:
        if isinstance(file, LeftOutFile):
            left_out.append(file)
        elif file is not None:
            earlier = first.setdefault(file.filename, file)
            if earlier.sha256 is None and file.sha256 is not None:
                first[file.filename] = file
            elif file.sha256 is not None and file.sha256 != earlier.sha256:
                disputed.add(file.filename)
    for name in sorted(disputed):
        del first[name]
        left_out.append(LeftOutFile(name, "it is listed twice, with different hashes"))
    return tuple(first.values()), tuple(left_out)


# -- out


def render_json(page: ProjectPage, rewrite: Callable[[Artifact], str]) -> bytes:
    """Return the page as PEP 691 JSON 1.4 (its type is `JSON_TYPE`), each file's address as `rewrite` says.

    What the page's source says besides, of it and of each file, is in it as it was.
    """
    source = _loose(page.source)
    files = source.pop("files", None)
    told = {
        name: file for file in _list(files) if isinstance(file, dict) and isinstance(name := file.get("filename"), str)
    }
    meta: dict[str, Any] = _table(source.get("meta")) | {"api-version": _VERSION}
    if page.serial is not None:
        meta["_last-serial"] = page.serial
    if page.tracks:
        meta["tracks"] = page.tracks
    versions = dict.fromkeys(artifact.version for artifact in page.artifacts)
    hidden = {split_filename(name, page.project) for name in told.keys() - {one.filename for one in page.artifacts}}
    # PEP 700 lists versions without files, too: they stay, but for those of which no file is shown.
    versions |= dict.fromkeys(
        one for one in _list(source.get("versions")) if isinstance(one, str) and one not in hidden
    )
    document: dict[str, Any] = source | {
        "meta": meta,
        "name": page.project,
        "versions": list(versions),
        "files": [_file_of(one, rewrite(one), _table(told.get(one.filename))) for one in page.artifacts],
    }
    if page.status is not ProjectStatus.ACTIVE:
        document["project-status"] = _table(source.get("project-status")) | {"status": page.status}
    elif not isinstance(document.get("project-status", {}), dict):
        del document["project-status"]
    if isinstance(why := _table(document.get("project-status")).get("reason"), str):
        document["project-status"] = {**document["project-status"], "reason": reason(why)}
    return msgspec.json.encode(document)


def without_versions(source: bytes) -> bytes:
    """Return the JSON of a page without its list of versions: it is made anew of the files."""
    page = _loose(source)
    return msgspec.json.encode(page) if page.pop("versions", None) is not None else source


def _loose(source: bytes) -> dict[str, Any]:
    try:
        return _table(msgspec.json.decode(source)) if source else {}
    except (msgspec.DecodeError, RecursionError):
        return {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _file_of(artifact: Artifact, url: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return a file as PEP 691 has it. `told`: what its index has.

    Where that is a file with another hash, it counts for nothing.
    """
    hashes = _table(told.get("hashes"))
    if artifact.sha256 is None or str(hashes.get("sha256", "")).lower() != artifact.sha256:
        told, hashes = {}, {}
    file = told | {
        "filename": artifact.filename,
        "url": url,
        "hashes": hashes | ({"sha256": artifact.sha256} if artifact.sha256 else {}),
        "requires-python": artifact.requires_python,
        "yanked": False if artifact.yanked is None else artifact.yanked or True,
    }
    for name in ("core-metadata", "dist-info-metadata", "provenance", "size", "upload-time"):
        file.pop(name, None)  # as it was checked, below
    if artifact.size is not None:
        file["size"] = artifact.size
    if artifact.upload_time is not None:
        # Microseconds always: uv and pip read both, but a date without them is another date (PEP 700).
        moment = artifact.upload_time.astimezone(UTC).replace(tzinfo=None)
        file["upload-time"] = moment.isoformat(timespec="microseconds") + "Z"
    if artifact.metadata_sha256 is not None:
        # Not under its old name, too: pip 22.3 to 23.0 crash on the right form of that (PEP 714).
        file["core-metadata"] = {"sha256": artifact.metadata_sha256} if artifact.metadata_sha256 else True
    if artifact.provenance is not None:
        file["provenance"] = artifact.provenance
    return file


def render_html(page: ProjectPage, rewrite: Callable[[Artifact], str]) -> bytes:
    """Return the page as PEP 503 has it (PEP 629: version 1.4), with what HTML can say of PEP 592, 658, 708, 714, 740,
    792.
    """
    head = [f'<meta name="pypi:repository-version" content="{_VERSION}">']
    head += [f'<meta name="pypi:tracks" content="{_escaped(address)}">' for address in page.tracks]
    if page.status is not ProjectStatus.ACTIVE:
        head.append(f'<meta name="pypi:project-status" content="{_escaped(page.status)}">')
    name = _escaped(page.project)
    lines = [
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8">{"".join(head)}<title>Links for {name}</title></head>',
        f"<body><h1>Links for {name}</h1>",
        *(_anchor(artifact, rewrite(artifact)) for artifact in page.artifacts),
        "</body></html>",
    ]
    if page.serial is not None:
        lines.append(f"<!--SERIAL {page.serial}-->")
    return ("\n".join(lines) + "\n").encode()


def _escaped(text: str) -> str:
    from html import escape  # most runs render no HTML

    return escape(text)


def _anchor(artifact: Artifact, url: str) -> str:
    fragment = f"#sha256={artifact.sha256}" if artifact.sha256 else ""
    facts = {"href": url + fragment}
    if artifact.requires_python:
        facts["data-requires-python"] = artifact.requires_python
    if artifact.yanked is not None:
        facts["data-yanked"] = artifact.yanked
    if artifact.metadata_sha256 is not None:
        told = f"sha256={artifact.metadata_sha256}" if artifact.metadata_sha256 else "true"
        facts |= {"data-core-metadata": told, "data-dist-info-metadata": told}
    if artifact.provenance is not None:
        facts["data-provenance"] = artifact.provenance
    attributes = " ".join(f'{name}="{_escaped(value)}"' for name, value in facts.items())
    return f"<a {attributes}>{_escaped(artifact.filename)}</a><br>"


def render_names_json(names: Iterable[str], serials: Mapping[str, int | None] | None = None) -> bytes:
    """Return the list of projects (PEP 691), with the serials of those that have one: mirrors go by them."""
    known = {name: serial for name, serial in (serials or {}).items() if serial is not None}
    meta: dict[str, Any] = {"api-version": _VERSION}
    if known:
        meta["_last-serial"] = max(known.values())
    projects = [{"name": name} | ({"_last-serial": known[name]} if name in known else {}) for name in names]
    return msgspec.json.encode({"meta": meta, "projects": projects})


def render_names_html(names: Iterable[str]) -> bytes:
    """Return the list of projects (PEP 503)."""
    links = "\n".join(f'<a href="{_escaped(name)}/">{_escaped(name)}</a><br>' for name in names)
    meta = f'<meta name="pypi:repository-version" content="{_VERSION}">'
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8">{meta}<title>Simple index</title></head>\n'
        f"<body>\n{links}\n</body></html>\n"
    ).encode()
