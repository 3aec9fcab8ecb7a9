"""Platforms by name, also others than this machine's: which wheels fit them, and what the resolver calls them."""

import re
from functools import lru_cache

from packaging import tags as packaging_tags

from tf_tester.errors import UsageError
from tf_tester.model.host.platform import Platform

EXAMPLES = "linux_x86_64, linux_aarch64, macosx_arm64, macosx_x86_64, win_amd64"
_GLIBC = 28
"""Where no version of glibc is named: 2.28 is what RHEL 8, Debian 10 and Ubuntu 20.04 have at least."""
_MACOS = 13
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
"""Elsewhere 2.17, the oldest that wheels of that architecture are made for (PEP 599)."""
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_ALIASES = {
    "manylinux1": "manylinux_2_5",
    "manylinux2010": "manylinux_2_12",
    "manylinux2014": "manylinux_2_17",
}
_LINUX = re.compile(r"(?:linux|manylinux_2_(?P<glibc>\d{1,2})|musllinux_1_(?P<musl>\d{1,2}))_(?P<arch>[a-z0-9_]+)")
_MAC = re.compile(r"macosx_(?:(?P<major>\d{1,2})_(?P<minor>\d{1,2})_)?(?P<arch>arm64|x86_64)")
_WINDOWS = {"win_amd64": "x86_64", "win32": "i686", "win_arm64": "aarch64"}
_WINDOWS_MACHINES = {"win_amd64": "AMD64", "win32": "x86", "win_arm64": "ARM64"}
_ARCHITECTURES = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")


@lru_cache
def platform_named(text: str) -> Platform:
    """Return the platform that a name means; dashes and dots are as good as underscores. Raises `UsageError`.

    >>> platform_named("linux-x86_64").tags[:3]
    ('manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux_2_26_x86_64')
    >>> platform_named("win_amd64").tags
    ('win_amd64',)
    """
    name = re.sub("[-.]", "_", text.strip().lower())
    for old, new in _ALIASES.items():
        name = re.sub(rf"^{old}_", f"{new}_", name)
    if name in _WINDOWS:
        resolver_name = f"{_WINDOWS[name]}-pc-windows-msvc"
        markers = _markers("nt", "win32", "Windows", _WINDOWS_MACHINES[name])
        return Platform(name, (name,), 32 if name == "win32" else 64, markers, resolver_name)
    if match := _MAC.fullmatch(name):
        version = (int(match["major"] or _MACOS), int(match["minor"] or 0))
        tags = tuple(packaging_tags.mac_platforms(version, match["arch"]))
        arch = "aarch64" if match["arch"] == "arm64" else "x86_64"
        markers = _markers("posix", "darwin", "Darwin", match["arch"])
        return Platform(name, tags, 64, markers, f"{arch}-apple-darwin")
    match = _LINUX.fullmatch(name)
    if match is None or match["arch"] not in _ARCHITECTURES:
        raise UsageError(
            f"--platform {text!r} is not a platform that is known here.",
            hint=f"Names are those of wheels, such as {EXAMPLES}, manylinux_2_35_x86_64 or musllinux_1_2_x86_64.",
        )
    arch = match["arch"]
    known = arch in ("x86_64", "aarch64")
    bits = 32 if arch in ("i686", "armv7l") else 64
    if match["musl"]:
        tags = tuple(f"musllinux_1_{minor}_{arch}" for minor in range(int(match["musl"]), -1, -1))
        newest = f"{arch}-unknown-linux-musl"
    else:
        tags = _glibc_tags(int(match["glibc"] or _GLIBC), arch)
        newest = f"{arch}-manylinux_2_40"
    markers = _markers("posix", "linux", "Linux", arch)
    return Platform(name, (*tags, f"linux_{arch}"), bits, markers, newest if known else None)


def _markers(os_name: str, sys_platform: str, system: str, machine: str) -> tuple[tuple[str, str], ...]:
    return (
        ("os_name", os_name),
        ("sys_platform", sys_platform),
        ("platform_system", system),
        ("platform_machine", machine),
        ("platform_release", ""),
        ("platform_version", ""),
    )


def _glibc_tags(glibc: int, arch: str) -> tuple[str, ...]:
    tags: list[str] = []
    for minor in range(glibc, _OLDEST_GLIBC.get(arch, 17) - 1, -1):
        tags.append(f"manylinux_2_{minor}_{arch}")
        if minor in _LEGACY:
            tags.append(f"{_LEGACY[minor]}_{arch}")
    return tuple(tags)
