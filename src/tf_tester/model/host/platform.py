"""A kind of machine, as far as it decides which wheels fit and which environment markers hold."""

from msgspec import Struct


class Platform(Struct, frozen=True):
    """What a Python runs on: this machine, or one that is only meant."""

    name: str = ""
    """As in a wheel's tag, such as `linux_x86_64` or `manylinux_2_28_x86_64`; empty: this machine."""
    tags: tuple[str, ...] = ()
    """Platform tags of the wheels that it takes, best first."""
    bits: int = 64
    """Of a pointer: 32 or 64."""
    markers: tuple[tuple[str, str], ...] = ()
    """The environment markers (PEP 508) that depend on it: `os_name`, `sys_platform` and all that begin with
    `platform_`, but for `platform_python_implementation`."""
    resolver_name: str | None = None
    """What uv calls the newest of that kind; None: this machine, or uv knows none. Which wheels fit is decided by
    `tags`."""

    @property
    def label(self) -> str:
        """Return the name; of this machine its newest platform tag that says which C library it has (PEP 600, 656).

        >>> Platform(tags=("linux_x86_64", "manylinux_2_36_x86_64", "manylinux_2_35_x86_64")).label
        'manylinux_2_36_x86_64'
        """
        telling = (tag for tag in self.tags if not tag.startswith("linux_"))
        return self.name or next(telling, next(iter(self.tags), ""))
