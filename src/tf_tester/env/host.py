"""This machine as a platform: its wheel tags and its environment markers."""

import sys

from tf_tester.model.host.platform import Platform

_OTHER_WIDTH = {
    (32, "_x86_64"): ("_i686",),
    (32, "_aarch64"): ("_armv8l", "_armv7l"),
    (64, "_i686"): ("_x86_64",),
    (64, "_armv8l"): ("_aarch64",),
}
"""(bits of the interpreter, ending of this process's platform tags): the endings that interpreter takes."""
_MARKERS = ("os_name", "sys_platform", "platform_system", "platform_machine", "platform_release", "platform_version")
OWN_BITS = 64 if sys.maxsize > 2**32 else 32


def this_platform(bits: int = OWN_BITS) -> Platform:
    """Return what an interpreter of that width, which may not be our own, runs on here."""
    from packaging.markers import default_environment
    from packaging.tags import platform_tags

    markers = {**default_environment()}
    return Platform(
        tags=of_width(list(platform_tags()), bits),
        bits=bits,
        markers=tuple((name, str(markers[name])) for name in _MARKERS),
    )


def of_width(tags: list[str], bits: int) -> tuple[str, ...]:
    """Return this process's platform tags as those of an interpreter of another width; its own stay as they are.

    >>> of_width(["manylinux_2_36_x86_64"], 32)
    ('manylinux_2_36_i686',)
    """
    found = []
    for tag in tags:
        for (width, ending), others in _OTHER_WIDTH.items():
            if width == bits and "linux" in tag and tag.endswith(ending):
                found += [tag.removesuffix(ending) + other for other in others]
                break
        else:
            found.append(tag)
    return tuple(dict.fromkeys(found))
