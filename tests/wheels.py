"""Small real wheels and source distributions, made in memory.

    filename, content = make_wheel("toy", "1.0", files={"toy.py": "VALUE = 1"}, requires=["six>=1.0"])

A wheel made here has a right RECORD, so a strict reader accepts it; equal arguments give equal bytes. A
source distribution brings its own build backend and needs nothing to be built: it can be built offline.
"""

import gzip
import io
import tarfile
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

_SAMPLE = 4096
"""Bytes of a file from whose start is told whether it can be made smaller."""
_DATE = (2020, 1, 1, 0, 0, 0)


def make_wheel(
    name: str,
    version: str,
    *,
    files: Mapping[str, str | bytes] | None = None,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    tag: str = "py3-none-any",
    entry_points: str | Mapping[str, str] | None = None,
    extras: Iterable[str] = (),
) -> tuple[str, bytes]:
    """File name and bytes of a wheel.

    `files`: what it installs, by path (without any: one module of its name with its version). `requires`:
    PEP 508 lines. `entry_points`: console scripts as `{"toy": "toy:main"}`, or the whole text of the file.
    """
    spelling = name.replace("-", "_")
    info = f"{spelling}-{version}.dist-info"
    members = dict(files) if files is not None else {f"{spelling}.py": f"__version__ = {version!r}\n"}
    members[f"{info}/METADATA"] = metadata_text(
        name, version, requires=requires, requires_python=requires_python, extras=extras
    )
    members[f"{info}/WHEEL"] = _wheel_text(tag)
    if entry_points:
        members[f"{info}/entry_points.txt"] = _entry_points_text(entry_points)
    contents = {path: _bytes(content) for path, content in members.items()}
    contents[f"{info}/RECORD"] = record_text(contents, f"{info}/RECORD").encode()
    return f"{spelling}-{version}-{tag}.whl", zip_of(contents)


def metadata_text(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    extras: Iterable[str] = (),
) -> str:
    """A METADATA or PKG-INFO file."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join(lines) + "\n"


def record_text(contents: Mapping[str, bytes], own_path: str) -> str:
    """The RECORD of these files: urlsafe base64 without padding, as the format wants it."""
    rows = [f"{path},sha256={record_hash(content)},{len(content)}" for path, content in contents.items()]
    return "\n".join([*rows, f"{own_path},,"]) + "\n"


def record_hash(content: bytes) -> str:
    return urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode("ascii")


def zip_of(contents: Mapping[str, bytes]) -> bytes:
    """Return a ZIP of these members in this order, all with one date; deflated where that makes them smaller."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in contents.items():
            member = zipfile.ZipInfo(path, _DATE)
            # Random bytes, of which tests have megabytes, take most of the time and stay as they are.
            random = len(content) > _SAMPLE and len(zlib.compress(content[:_SAMPLE])) >= _SAMPLE
            member.compress_type = zipfile.ZIP_STORED if random else zipfile.ZIP_DEFLATED
            member.external_attr = 0o100644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def make_sdist(
    name: str,
    version: str,
    *,
    files: Mapping[str, str | bytes] | None = None,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    build_fails: str | None = None,
    build_runs: str = "",
    build_requires: Iterable[str] = (),
    build_asks: Iterable[str] = (),
) -> tuple[str, bytes]:
    """File name and bytes of a source distribution; its build gives what `make_wheel` gives for pure Python.

    `build_fails`: the build prints this and dies. `build_runs`: what it runs at its start.
    `build_requires`: what it names, `build_asks`: what its back end asks for besides.
    """
    spelling = name.replace("-", "_")
    root = f"{spelling}-{version}"
    installed = dict(files) if files is not None else {f"{spelling}.py": f"__version__ = {version!r}\n"}
    metadata = metadata_text(name, version, requires=requires, requires_python=requires_python)
    members: dict[str, str | bytes] = {f"src/{path}": content for path, content in installed.items()}
    members["PKG-INFO"] = metadata
    members["pyproject.toml"] = _BUILD_SYSTEM.replace("[]", str(list(build_requires)), 1)
    paths = {path: f"src/{path}" for path in installed}
    backend = _backend(spelling, version, metadata, paths, build_fails)
    members[_BACKEND_PATH] = build_runs + backend.replace("return []", f"return {list(build_asks)!r}")
    return f"{root}.tar.gz", _tar_gz({f"{root}/{path}": _bytes(text) for path, text in members.items()})


def write_project(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str],
    built: Mapping[str, str] | None = None,
    settings: str = "",
    requires: Iterable[str] = (),
    extras: Iterable[str] = (),
) -> None:
    """Write a project whose sources lie beside its settings (a flat layout).

    `built`: what is only in its wheel, as a compiled extension is. `settings`: more of its pyproject.toml.
    """
    made = {path: f"backend/made/{path}" for path in built or {}}
    paths = {path: path for path in files} | made
    metadata = metadata_text(name, version, requires=requires, extras=extras)
    members = {
        **files,
        **{made[path]: text for path, text in (built or {}).items()},
        "pyproject.toml": f'{_BUILD_SYSTEM}[project]\nname = "{name}"\nversion = "{version}"\n{settings}',
        _BACKEND_PATH: _backend(name.replace("-", "_"), version, metadata, paths, None),
    }
    for path, text in members.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _backend(spelling: str, version: str, metadata: str, paths: Mapping[str, str], fails: str | None) -> str:
    """Return the module of a build backend; `paths`: what is installed, and where in the project it lies."""
    wheel = _wheel_text("py3-none-any")
    words = {"spelling": spelling, "version": version, "metadata": metadata, "wheel": wheel}
    return _BACKEND.format(**words, paths=dict(paths), fails=fails)


def _tar_gz(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, content in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mtime = 1_577_836_800
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _wheel_text(tag: str) -> str:
    pure = "true" if tag.endswith("-none-any") else "false"
    pythons, abis, platforms = tag.split("-")
    tags = [
        f"Tag: {py}-{abi}-{plat}"
        for py in pythons.split(".")
        for abi in abis.split(".")
        for plat in platforms.split(".")
    ]
    return "\n".join(["Wheel-Version: 1.0", "Generator: tests", f"Root-Is-Purelib: {pure}", *tags]) + "\n"


def _entry_points_text(entry_points: str | Mapping[str, str]) -> str:
    if isinstance(entry_points, str):
        return entry_points
    return "\n".join(["[console_scripts]", *(f"{name} = {to}" for name, to in entry_points.items())]) + "\n"


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


_BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "tiny_backend"\nbackend-path = ["backend"]\n'
_BACKEND_PATH = "backend/tiny_backend.py"
_BACKEND = '''"""A PEP 517 backend that needs nothing but Python."""

import base64
import hashlib
import os
import zipfile

SPELLING, VERSION, FAILS = {spelling!r}, {version!r}, {fails!r}
METADATA, WHEEL, PATHS = {metadata!r}, {wheel!r}, {paths!r}
INFO = SPELLING + "-" + VERSION + ".dist-info"


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    os.makedirs(os.path.join(metadata_directory, INFO))
    for name, text in (("METADATA", METADATA), ("WHEEL", WHEEL)):
        with open(os.path.join(metadata_directory, INFO, name), "w") as file:
            file.write(text)
    return INFO


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if FAILS is not None:
        raise SystemExit(FAILS)
    filename = SPELLING + "-" + VERSION + "-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w") as wheel:

        def add(path, content):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(path + ",sha256=" + digest + "," + str(len(content)))
            wheel.writestr(path, content)

        for path, place in sorted(PATHS.items()):
            with open(place, "rb") as file:
                add(path, file.read())
        add(INFO + "/METADATA", METADATA.encode())
        add(INFO + "/WHEEL", WHEEL.encode())
        record.append(INFO + "/RECORD,,")
        wheel.writestr(INFO + "/RECORD", "\\n".join(record) + "\\n")
    return filename
'''
