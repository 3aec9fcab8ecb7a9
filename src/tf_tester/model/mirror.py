"""An index that copies another one."""

from msgspec import Struct

_PYTORCH = "https://download.pytorch.org/whl"


class Mirror(Struct, frozen=True, forbid_unknown_fields=True):
    """An index that copies the authority; trusted for nothing but to be a place where bytes may be had."""

    name: str
    url: str
    """Of its simple API, without a slash at its end."""
    title: str = ""
    operator: str = ""
    region: str = ""
    """ISO 3166 code of the country."""
    copies: str | None = None
    """Name of the mirror it is filled from, where that isn't the authority."""
    notes: str = ""
    apt: str | None = None
    """Where it has Debian and Ubuntu, each below its own name."""
    conda: str | None = None
    """Where it has conda's channels: above `pkgs` and `cloud`."""
    pytorch: str | None = None
    """Its copy of PyTorch's own index of wheels, above the variants such as `cpu`."""
    daily_gb: float | None = None
    """Gigabytes that it may be asked for in a day; None: no limit."""
    daily_requests: int | None = None
    pythons: str | None = None
    """Its copy of the releases of python-build-standalone."""

    def beside(self, authority: str) -> str | None:
        """Return the address of its copy of that index; None where it has none.

        >>> nju = Mirror("nju", "https://nju.example/simple", pytorch="https://nju.example/pytorch/whl")
        >>> nju.beside("https://download.pytorch.org/whl/cpu")
        'https://nju.example/pytorch/whl/cpu'
        """
        if authority.startswith(_PYTORCH):
            return None if self.pytorch is None else self.pytorch + authority.removeprefix(_PYTORCH)
        return self.url
