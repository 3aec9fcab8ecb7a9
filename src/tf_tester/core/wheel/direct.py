"""Requirements that name where their project is: a wheel, an archive, a folder, or a revision in git. Pure."""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from tf_tester.core.text.parsing import parse_requirement
from tf_tester.model.request import DirectKind, DirectReference

PROJECT_FILES = ("pyproject.toml", "setup.py")
"""A folder with one of them has a project that can be built."""
_BARE = r"(?P<place>\S+?)(?:\[(?P<extras>[A-Za-z0-9._, -]*)\])?(?:\s*;\s+(?P<marker>.+)|\s+;\s*(?P<marker2>.+))?"
_NAMED = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[^\]]*\])?\s*@\s*\S"
_ADDRESS = r"(?:[a-z][a-z0-9]*\+)?(?:https?|file|ssh|git):"
_ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
_REVISION = r"[0-9a-f]{40}"


def is_direct(text: str) -> bool:
    """Tell whether a requirement names a place, right or wrong.

    >>> [is_direct(one) for one in ("six>=1", "./six-1.0-py3-none-any.whl", "six @ git+https://host/six@v1", "a/b")]
    [False, True, True, True]
    """
    text = text.strip()
    if re.match(_NAMED, text) or re.match(_ADDRESS, text):
        return True
    word = re.split(r"[\s;\[]", text, maxsplit=1)[0]
    return word.startswith(".") or "/" in word or word.endswith((".whl", *_ARCHIVES))


def direct_reference(text: str, folder: Path) -> DirectReference:
    """Return what such a requirement means; `folder`: where its relative paths begin.

    Raises `ValueError` with what it must be.

    >>> direct_reference("Six[fast] @ git+https://host/six@v1 ; python_version > '3'", Path("/home/me")).text
    'six[fast] @ git+https://host/six@v1 ; python_version > "3"'
    >>> direct_reference("./dist/six-1.0-py3-none-any.whl", Path("/home/me")).text
    'six @ file:///home/me/dist/six-1.0-py3-none-any.whl'
    """
    if re.match(_NAMED, text.strip()):
        try:
            requirement = parse_requirement(text)
        except InvalidRequirement:
            raise ValueError("a name, @ and an address (PEP 508)") from None
        marker = str(requirement.marker) if requirement.marker else ""
        return _reference(str(requirement.url), requirement.name, tuple(sorted(requirement.extras)), marker, folder)
    match = re.fullmatch(_BARE, text.strip())
    if match is None:
        raise ValueError("an address or a path")
    extras = tuple(sorted(part.strip() for part in (match["extras"] or "").split(",") if part.strip()))
    marker = match["marker"] or match["marker2"] or ""
    return _reference(match["place"], "", extras, _checked_marker(marker), folder)


def _reference(place: str, name: str, extras: tuple[str, ...], marker: str, folder: Path) -> DirectReference:
    tool = re.match(r"([a-z][a-z0-9]*)\+", place)
    if tool is not None and tool[1] != "git":
        raise ValueError(f"in git, or a file: {tool[1]} is not known here")
    if not re.match(_ADDRESS, place) or re.match(r"file:(?!//)", place):
        # pip takes `file:wheels/six.whl`, too, for a path from where it stands.
        path, hash_sign, rest = place.removeprefix("file:").partition("#")
        place = (folder / unquote(path)).as_uri() + hash_sign + rest
    parts = urlsplit(place)
    fragment = {key: values[-1] for key, values in parse_qs(parts.fragment).items()}
    file = unquote(parts.path.rstrip("/").rpartition("/")[2])
    kind = _kind(place, file)
    if not name:
        name = re.split(r"[\[;]", fragment.get("egg", ""))[0] or (
            file.split("-")[0] if kind is DirectKind.WHEEL else ""
        )
    kept = "&".join(f"{key}={fragment[key]}" for key in ("subdirectory", "sha256") if key in fragment)
    return DirectReference(
        kind=kind,
        name=str(canonicalize_name(name)) if name else "",
        url=_joined(parts.scheme, parts.netloc, parts.path, parts.query) + (f"#{kept}" if kept else ""),
        extras=extras,
        marker=marker,
    )


def _joined(scheme: str, netloc: str, path: str, query: str = "") -> str:
    """Return an address; not as `urlunsplit` does, which makes `git+file:/srv` of it in Python 3.11."""
    return f"{scheme}://{netloc}{path}" + (f"?{query}" if query else "")


def _kind(place: str, file: str) -> DirectKind:
    if place.startswith("git+"):
        return DirectKind.GIT
    if file.endswith(".whl"):
        if len(file.split("-")) not in (5, 6):
            raise ValueError("a wheel's name with its version and tags")
        return DirectKind.WHEEL
    if file.endswith(_ARCHIVES):
        return DirectKind.ARCHIVE
    if place.startswith("file:"):
        return DirectKind.FOLDER
    raise ValueError("an address that ends in .whl, .tar.gz or .zip, or begins with git+")


def _checked_marker(marker: str) -> str:
    try:
        return str(parse_requirement(f"name ; {marker}").marker) if marker else ""
    except InvalidRequirement:
        raise ValueError("an address or a path, and behind a ; a marker (PEP 508)") from None


def git_place(url: str) -> tuple[str, str, str]:
    """Return the repository, the revision and the folder in it that a `git+` address means.

    The revision is empty where none is named: that which the repository has by default.

    >>> git_place("git+https://me@host/a/six.git@feature/x#subdirectory=py")
    ('https://me@host/a/six.git', 'feature/x', 'py')
    >>> git_place("git+file:///srv/six")
    ('file:///srv/six', '', '')
    """
    parts = urlsplit(url.removeprefix("git+"))
    path, _, revision = parts.path.partition("@")
    subdirectory = parse_qs(parts.fragment).get("subdirectory", [""])[-1]
    return _joined(parts.scheme, parts.netloc, path), revision, subdirectory


def pinned(url: str, commit: str) -> str:
    """Return a `git+` address with an exact revision.

    >>> pinned("git+https://host/six@v1#subdirectory=py", "a" * 40)
    'git+https://host/six@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#subdirectory=py'
    """
    repository, _, subdirectory = git_place(url)
    return f"git+{repository}@{commit}" + (f"#subdirectory={subdirectory}" if subdirectory else "")


def without_secrets(url: str) -> str:
    """Return an address without user name and password; whom ssh calls stays, and of a path an `@` is none of these.

    >>> without_secrets("git+https://me:secret@host/six@v1"), without_secrets("git+file:///six@v1")
    ('git+https://host/six@v1', 'git+file:///six@v1')
    >>> without_secrets("git+ssh://git@host/six")
    'git+ssh://git@host/six'
    """
    if re.search(r"(?:^|[\s+])file:", url):
        return url
    kept = r"//\1@" if "ssh:" in url else "//"
    return re.sub(r"//([^/?#:@]*)(?::[^/?#@]*)?@", kept, url, count=1)


def is_exact(revision: str) -> bool:
    """Tell whether a revision is a whole commit id, which never comes to mean another one."""
    return re.fullmatch(_REVISION, revision) is not None


def promised_hash(url: str) -> str:
    """Return the SHA-256 that an address promises (`#sha256=…`); empty: none."""
    return parse_qs(urlsplit(url).fragment).get("sha256", [""])[-1].lower()
