"""Compiled modules that were built against another version of a library than the cell has. Pure.

The exception says little ("numpy.core.multiarray failed to import", or half a sentence of pybind11); what it is about
stands on standard error, where the library itself has printed it. That alone isn't enough: many a module does without
what it couldn't import. So the exception must be one of these, or the process have died.
"""

import re
from collections.abc import Mapping

from msgspec import Struct
from packaging.utils import canonicalize_name

from tf_tester.core.outcome.owners import YOURS, owner_of_file, owner_of_module
from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import Outcome, TestRow

_API = r"compiled against (?:NumPy C-)?API version (0x[0-9a-f]+)[^\n]{0,300}?(?:numpy is|C-API version) (0x[0-9a-f]+)"
_NUMPY_1 = r"compiled using NumPy 1\.x cannot be run in\s+NumPy \d"
# What is searched may be a megabyte without a space: each begins where a word does, and none is longer than it says.
_SIZE = (
    r"(?<![\w.])((\w{1,100})[\w.]{0,300}) size changed, may indicate binary incompatibility\. "
    r"Expected (\d{1,18})\b[^,\n]{0,200}, got (\d{1,18})\b"
)
_NUMPY_1_DTYPE = ("numpy.dtype", "96", "88")
"""It is the only one that has become smaller, with NumPy 2."""
_SYMBOL = r"(?<![^\s:'\"])([^\s:'\"]{1,4096}\.so[\w.]{0,60}): undefined symbol: (\w{1,2000})"
_DIRECT = (
    r"compiled against (?:NumPy C-)?A[PB]I version|multiarray failed to import|umath failed to import"
    r"|_ARRAY_API not found|may indicate binary incompatibility|compiled using NumPy 1\.x"
)
"""What only such a module raises."""
_CUT_OFF = (
    r"Unable to convert function return value to a Python type|returned a result with an (?:error|exception) set"
    r"|returned NULL without setting|raised unreported exception|initialization failed|error return without exception"
)
"""What is left of the exception where C code didn't look whether an import has failed."""
_NUMPY_APIS = {
    8: "1.7", 9: "1.8", 10: "1.10", 11: "1.13", 12: "1.14", 13: "1.16", 14: "1.20", 15: "1.22", 16: "1.23", 17: "1.25",
    18: "2.0", 19: "2.1", 20: "2.3",
}  # fmt: skip
"""The first release with each version of NumPy's C API (`numpy/core/include/numpy/numpyconfig.h`)."""
_SYMBOLS = (
    ("^_ZN?.*(?:3c10|2at|5torch)", "torch", ("torch",)),
    ("10tensorflow", "tensorflow", ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")),
    ("5arrow", "pyarrow", ("pyarrow",)),
)
"""C++ namespaces in mangled names, with the library that has them and the distributions of it."""
_FILE = r'File "([^"\n]{1,4096})", line[^\n]{0,400}(?:\n +(?:import|from) ([\w.]{1,300}))?'
"""A frame, and the module that its line of source imports."""


class AbiBreak(Struct, frozen=True):
    """One module that doesn't go with one library of its cell."""

    module: str
    """The distribution of the module; `YOURS`: the user's own."""
    file: str
    """The file that imports it."""
    library: str
    built_against: str
    """Such as `numpy 1.22 or newer (C API 0xf)`."""
    has: str
    """The library's version in the cell."""
    goes_with: str
    """Requirement that the module needs; empty: nobody knows."""

    @property
    def told(self) -> str:
        """Return it as a sentence without a full stop."""
        if self.module == YOURS:
            whose = f"the compiled module that your {self.file.rpartition('/')[2]} imports"
            advice = f": build it with the oldest {self.library} that it is to run with"
        else:
            whose = f"a compiled module of {self.module}"
            advice = f": {self.goes_with} goes with it, or another {self.module}" if self.goes_with else ""
        return f"{whose} was built against {self.built_against}, and the cell has {self.library} {self.has}{advice}"


def abi_break(row: TestRow | None, owners: Mapping[str, str], lock: Lock | None) -> AbiBreak | None:
    """Return which module doesn't go with what, where that is what made a test fail."""
    if row is None or lock is None:
        return None
    versions = {str(canonicalize_name(pin.name)): pin.version for pin in lock.pins}
    ended = what_ended(row)
    if (symbol := re.search(_SYMBOL, ended)) is not None:
        return _without_symbol(symbol[1], symbol[2], owners, versions)
    if not (re.search(_DIRECT, ended) or re.search(_CUT_OFF, ended) or row.outcome is Outcome.CRASH):
        return None
    for text in (ended, row.stderr):
        if (about := _about(text)) is not None and about[0] in versions:
            library, built_against, goes_with = about
            file, owner = _importer("\n".join([row.stderr, row.traceback]), library, owners)
            if owner is not None:
                return AbiBreak(owner, file, library, built_against, versions[library], goes_with)
    return None


def _about(text: str) -> tuple[str, str, str] | None:
    """Return the library, what the module was built against, and what would go with it."""
    if (found := re.search(_API, text)) is not None:
        release = _NUMPY_APIS.get(int(found[1], 16))
        needs = f"numpy {release} or newer (C API {found[1]})" if release else f"a newer numpy (C API {found[1]})"
        return "numpy", needs, f"numpy>={release}" if release else ""
    if re.search(_NUMPY_1, text) is not None:
        return "numpy", "numpy 1.x", "numpy<2"
    if (found := re.search(_SIZE, text)) is not None:
        if (found[1], found[3], found[4]) == _NUMPY_1_DTYPE:
            return "numpy", "numpy 1.x", "numpy<2"
        age = "a newer" if int(found[3]) > int(found[4]) else "an older"
        return str(canonicalize_name(found[2])), f"{age} {found[2]}", ""
    return None


def _importer(text: str, library: str, owners: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the innermost file that isn't the library's own, and whose it is; None: nobody knows."""
    for file, module in reversed(re.findall(_FILE, text)):
        owner = owner_of_file(file, owners)
        if owner == YOURS and module:  # which may be a module of its own at the top: `import bitarray`
            owner = owner_of_module(module, owners) or YOURS
        if owner is not None and owner != library:
            return file, owner
    return "", None


def _without_symbol(file: str, symbol: str, owners: Mapping[str, str], versions: Mapping[str, str]) -> AbiBreak | None:
    owner = owner_of_file(file, owners)
    for namespace, library, distributions in _SYMBOLS:
        name = next((one for one in distributions if one in versions), None)
        if owner not in (None, name) and name is not None and re.search(namespace, symbol) is not None:
            return AbiBreak(
                owner or YOURS, file, name, f"another {library} (it wants {symbol[:60]})", versions[name], ""
            )
    return None
