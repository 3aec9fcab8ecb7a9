"""Compiled modules that don't go with a library of their cell; every message is a real one."""

import pytest

from tf_tester.core.verdict.abi import AbiBreak, abi_break
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow

SITE = "/env/lib/python3.10/site-packages"
OWNERS = {"quaternion": "numpy-quaternion", "tensorflow": "tensorflow-cpu", "numpy": "numpy", "pandas": "pandas"}
OLDER_API = "RuntimeError: module compiled against API version 0xf but this version of numpy is 0xe\n"
NEWER_WORDS = (
    "RuntimeError: module was compiled against NumPy C-API version 0x10 (NumPy 1.23) but the running NumPy has C-API "
    "version 0xf. Check the section C-API incompatibility at the Troubleshooting ImportError section\n"
)
NUMPY_2 = """
A module that was compiled using NumPy 1.x cannot be run in
NumPy 2.2.6 as it may crash. To support both 1.x and 2.x
versions of NumPy, modules must be compiled with NumPy 2.0.

Traceback (most recent call last):  File "/home/me/check.py", line 1, in <module>
    import quaternion
  File "{site}/tensorflow/python/framework/dtypes.py", line 29, in <module>
    from tensorflow.python.lib.core import _pywrap_bfloat16
AttributeError: _ARRAY_API not found
""".replace("{site}", SITE)
CUT_OFF = ExceptionFact(
    "TypeError", "Unable to convert function return value to a Python type! The signature was\n\t() -> handle"
)
NO_MULTIARRAY = ExceptionFact("ImportError", "numpy.core.multiarray failed to import")
OTHER = ExceptionFact("AttributeError", "module 'tensorflow' has no attribute 'x'")


def broken(
    exception: ExceptionFact | None, *files: str, stderr: str = "", numpy: str = "1.21.6", source: str = "import it"
) -> AbiBreak | None:
    frames = "".join(f'  File "{file}", line 1, in <module>\n    {source}\n' for file in files)
    last = f"{exception.type}: {exception.message}" if exception is not None else ""
    traceback = f"Traceback (most recent call last):\n{frames}{last}\n" if exception is not None else ""
    outcome = Outcome.FAIL if exception is not None else Outcome.CRASH
    row = TestRow("t", outcome, exception, traceback=traceback, stderr=stderr)
    names = {"numpy": numpy, "numpy-quaternion": "1", "torch": "2.1.0", "torchvision": "0.9"}
    pins = tuple(Pin(name, version, "", "", 1, "") for name, version in names.items())
    return abi_break(row, {**OWNERS, "torchvision": "torchvision"}, Lock("3.10", Resolution.ERA, None, pins))


USER, QUATERNION = "/home/me/check.py", f"{SITE}/quaternion/__init__.py"


@pytest.mark.parametrize(
    ("stderr", "needs"),
    [(OLDER_API, "numpy 1.22 or newer (C API 0xf)"), (NEWER_WORDS, "numpy 1.23 or newer (C API 0x10)")],
)
def test_the_api_that_numpy_has_printed_is_the_reason(stderr: str, needs: str) -> None:
    found = broken(NO_MULTIARRAY, USER, QUATERNION, stderr=stderr)
    assert found is not None
    assert (found.module, found.built_against, found.has) == ("numpy-quaternion", needs, "1.21.6")
    assert found.told.startswith(f"a compiled module of numpy-quaternion was built against {needs}, and the cell has")


def test_half_a_sentence_of_pybind11_and_a_crash_have_their_reason_on_standard_error() -> None:
    for exception in (CUT_OFF, None):
        found = broken(exception, f"{SITE}/tensorflow/python/framework/dtypes.py", stderr=NUMPY_2, numpy="2.2.6")
        assert found is not None
        assert (found.module, found.built_against, found.goes_with) == ("tensorflow-cpu", "numpy 1.x", "numpy<2")


def test_what_was_printed_alone_is_no_reason() -> None:
    """Many a module does without what it couldn't import, and fails for another reason, if at all."""
    assert broken(OTHER, USER, stderr=NUMPY_2, numpy="2.2.6") is None
    assert broken(NO_MULTIARRAY, USER, f"{SITE}/numpy/__init__.py") is None


@pytest.mark.parametrize(
    ("kind", "expected", "got", "built_against", "goes_with"),
    [
        ("numpy.ndarray", 88, 80, "a newer numpy", ""),
        ("numpy.ndarray", 80, 88, "an older numpy", ""),
        ("numpy.dtype", 96, 88, "numpy 1.x", "numpy<2"),  # the one that has become smaller
    ],
)
def test_another_size_of_a_type_is_told_with_its_direction(
    kind: str, expected: int, got: int, built_against: str, goes_with: str
) -> None:
    message = (
        f"{kind} size changed, may indicate binary incompatibility. Expected {expected} from C header, got {got} from"
    )
    found = broken(ExceptionFact("ValueError", message), USER, "pandas/_libs/interval.pyx")
    assert found is not None
    assert (found.module, found.built_against, found.goes_with) == ("pandas", built_against, goes_with)


def test_a_symbol_that_torch_no_longer_has_is_one_built_for_another_torch() -> None:
    file = f"{SITE}/torchvision/_C.so"
    message = f"{file}: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationESs"
    found = broken(ExceptionFact("ImportError", message), USER)
    assert found is not None
    assert (found.module, found.library, found.has) == ("torchvision", "torch", "2.1.0")
    unknown = ExceptionFact("ImportError", f"{file}: undefined symbol: gzopen64")
    assert broken(unknown, USER) is None


def test_the_users_own_extension_is_told_as_such_and_a_strangers_isnt() -> None:
    found = broken(NO_MULTIARRAY, USER, "/home/me/flatpkg/__init__.py", stderr=OLDER_API, source="from . import _core")
    assert found is not None
    assert found.told.startswith("the compiled module that your __init__.py imports was built against numpy 1.22")
    assert "build it with the oldest numpy" in found.told
    at_the_top = broken(NO_MULTIARRAY, USER, stderr=OLDER_API, source="import quaternion")
    assert at_the_top is not None
    assert at_the_top.module == "numpy-quaternion"


@pytest.mark.parametrize("letters", ["0123456789abcdef", "a.so", "File "], ids=repr)
def test_a_long_word_on_standard_error_is_no_work(letters: str) -> None:
    """What ends a program may be 200 kB without a space: a search that begins at each letter would not end."""
    text = letters * (200_000 // len(letters))
    assert broken(None, stderr=text) is None
    assert broken(ExceptionFact("Error", text)) is None


def test_sizes_of_thousands_of_digits_are_none() -> None:
    said = f"numpy.ndarray size changed, may indicate binary incompatibility. Expected {'9' * 5000} from C, got 80"
    assert broken(ExceptionFact("ValueError", said), "/home/me/check.py") is None
