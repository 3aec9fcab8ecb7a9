"""What an image is built on: whether our layers can run there, and which Pythons are in it. Pure."""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from tf_tester.core.image.documents import BaseImage, ImagePlatform
from tf_tester.errors import UsageError
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Pin

_ARCHITECTURES = {
    "x86_64": ImagePlatform("amd64", "linux"),
    "aarch64": ImagePlatform("arm64", "linux", "v8"),
    "armv7l": ImagePlatform("arm", "linux", "v7"),
    "i686": ImagePlatform("386", "linux"),
    "ppc64le": ImagePlatform("ppc64le", "linux"),
    "s390x": ImagePlatform("s390x", "linux"),
    "riscv64": ImagePlatform("riscv64", "linux"),
}
"""By how a wheel's tag ends."""
_LOADERS = {
    "ld-linux-x86-64.so.2": ("amd64", "glibc"),
    "ld-linux-aarch64.so.1": ("arm64", "glibc"),
    "ld-linux-armhf.so.3": ("arm", "glibc"),
    "ld-linux.so.2": ("386", "glibc"),
    "ld64.so.2": ("ppc64le", "glibc"),
    "ld64.so.1": ("s390x", "glibc"),
    "ld-linux-riscv64-lp64d.so.1": ("riscv64", "glibc"),
    "ld-musl-x86_64.so.1": ("amd64", "musl"),
    "ld-musl-aarch64.so.1": ("arm64", "musl"),
    "ld-musl-armhf.so.1": ("arm", "musl"),
    "ld-musl-i386.so.1": ("386", "musl"),
    "ld-musl-powerpc64le.so.1": ("ppc64le", "musl"),
    "ld-musl-s390x.so.1": ("s390x", "musl"),
    "ld-musl-riscv64.so.1": ("riscv64", "musl"),
}
"""What starts a program, by name: for which machines, with which C library."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = re.compile(r"python(3\.\d{1,3}t?)")


class BasePython(Struct, frozen=True):
    """A Python of a base."""

    label: str
    """Such as `3.10`."""
    path: str
    """Of the program, absolute in the image."""


def image_platform(platform: Platform) -> ImagePlatform:
    """Return what a machine is in the words of images. Raises `UsageError` for one that none are made for.

    >>> image_platform(Platform("linux_x86_64")).architecture
    'amd64'
    """
    for tag in (platform.name, *platform.tags):
        for ending, found in _ARCHITECTURES.items():
            if tag.startswith(("linux_", "manylinux", "musllinux")) and tag.endswith(f"_{ending}"):
                return found
    raise UsageError(
        "Images are made on Linux: their layers have what this machine's Pythons compile.",
        hint="Run this command on a Linux machine, or in a container; `image dockerfile` works everywhere.",
    )


def pythons_in(base: BaseImage) -> tuple[BasePython, ...]:
    """Return the Pythons that a program in the base finds by name, the newest first."""
    variables = dict(str(text).partition("=")[::2] for text in base.config.config.get("Env") or ())
    found: dict[str, BasePython] = {}
    for folder in variables.get("PATH", _PATH).split(":"):
        inside = f"{folder.strip('/')}/"
        for path in base.paths:
            name = path.removeprefix(inside)
            if path.startswith(inside) and (match := _PYTHON.fullmatch(name)):
                found.setdefault(match[1], BasePython(match[1], f"/{path}"))
    return tuple(sorted(found.values(), key=_age))


def check_platform(base: BaseImage, platform: ImagePlatform) -> None:
    """Raise `UsageError` where a base is for another kind of machine."""
    config = base.config
    if (config.os, config.architecture) != (platform.os, platform.architecture):
        raise _foreign(base, f"{config.os}/{config.architecture}", platform)
    found = [_LOADERS[name] for name in _names(base.paths) if name in _LOADERS]
    if found and platform.architecture not in {architecture for architecture, _ in found}:
        raise _foreign(base, f"linux/{found[0][0]}", platform)


def check_library(base: BaseImage, platform: ImagePlatform, pins: Sequence[Pin]) -> None:
    """Raise `UsageError` where wheels are for another C library than the base's."""
    found = {library for name in _names(base.paths) if name in _LOADERS for _, library in [_LOADERS[name]]}
    if len(found) != 1:
        return
    [library] = found
    wrong = "musllinux" if library == "glibc" else "manylinux"
    of_other = [pin.filename for pin in pins if wrong in pin.filename.rpartition("-")[2]]
    if of_other:
        raise UsageError(
            f"{base.name} has the C library {library}, and {of_other[0]} is for the other one.",
            hint="Name a base of the same kind as this machine, such as Debian's for manylinux wheels.",
        )


def python_of(base: BaseImage, label: str) -> BasePython:
    """Return the base's Python of that label. Raises `UsageError`."""
    pythons = pythons_in(base)
    found = next((one for one in pythons if one.label == label), None)
    if found is None:
        has = ", ".join(one.label for one in pythons)
        raise UsageError(
            f"{base.name} has no Python {label}{f', but {has}' if has else ''}.",
            hint="Name a Python that it has with --python, or another base.",
        )
    return found


def _names(paths: Iterable[str]) -> Iterable[str]:
    return (path.rpartition("/")[2] for path in sorted(paths))


def _age(python: BasePython) -> tuple[int, bool]:
    return -int(python.label.rstrip("t").partition(".")[2]), python.label.endswith("t")


def _foreign(base: BaseImage, what: str, platform: ImagePlatform) -> UsageError:
    return UsageError(
        f"{base.name} is for {what}, and the wheels of this machine are for {platform.os}/{platform.architecture}.",
        hint="Name a base for this kind of machine.",
    )
