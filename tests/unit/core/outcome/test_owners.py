"""Whose files a failure speaks of."""

from tf_tester.core.outcome.owners import YOURS, InstalledFiles, owner_of_file, owner_of_module, owners_of
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow

SITE = "/env/lib/python3.10/site-packages"


def installed(owner: str, *files: str) -> InstalledFiles:
    tops = {file.split("/")[0].split(".")[0] for file in files}
    return InstalledFiles(owner, tops, lambda file: file in files)


ALL = (
    installed("numpy", "numpy/__init__.py"),
    installed("protobuf", "google/protobuf/message.py", "google/protobuf/__init__.py"),
    installed("google-auth", "google/auth/__init__.py"),
    installed("six", "six.py"),
    installed(YOURS, "mine/__init__.py"),
)


def failed(*files: str, message: str = "", stderr: str = "") -> TestRow:
    frames = "".join(f'  File "{file}", line 1, in f\n    import quaternion\n' for file in files)
    traceback = f"Traceback (most recent call last):\n{frames}TypeError: {message}\n"
    return TestRow("t", Outcome.FAIL, ExceptionFact("TypeError", message), traceback=traceback, stderr=stderr)


def test_a_top_level_module_of_one_distribution_is_its_own() -> None:
    found = owners_of([failed(f"{SITE}/numpy/core/x.py", f"{SITE}/six.py", "/home/me/numpy/t.py")], ALL)
    assert found == {"numpy": "numpy", "six": "six"}


def test_in_a_namespace_the_file_tells() -> None:
    row = failed(f"{SITE}/google/protobuf/message.py", message="module 'google.auth' has no attribute 'x'")
    found = owners_of([row], ALL)
    assert found == {"google/protobuf/message.py": "protobuf", "google/auth": "google-auth"}
    assert owner_of_file(f"{SITE}/google/protobuf/message.py", found) == "protobuf"
    assert owner_of_module("google.auth", found) == "google-auth"


def test_modules_that_messages_and_imports_name_and_files_of_cython_have_owners_too() -> None:
    pandas = installed("pandas", "pandas/_libs/interval.so")
    quaternion = installed("numpy-quaternion", "quaternion/__init__.py")
    row = failed("pandas/_libs/interval.pyx", "/home/me/t.py", message="No module named 'numpy.rec'")
    found = owners_of([row], (*ALL, pandas, quaternion))
    assert found == {"pandas": "pandas", "quaternion": "numpy-quaternion", "numpy": "numpy"}
    assert owner_of_file("pandas/_libs/interval.pyx", found) == "pandas"


def test_the_users_own_files_and_the_interpreters_are_nobodys_distribution() -> None:
    found = owners_of([failed(f"{SITE}/mine/x.py")], ALL)
    assert found == {"mine": YOURS}
    assert owner_of_file("/home/me/t.py", found) == YOURS
    assert owner_of_file("/usr/lib/python3.10/json/decoder.py", found) is None
    assert owner_of_file("<frozen importlib._bootstrap>", found) is None
    assert owner_of_file(f"{SITE}/unknown/x.py", found) is None


def test_what_passes_is_not_looked_at() -> None:
    assert owners_of([TestRow("t", Outcome.PASS, stderr=f'File "{SITE}/numpy/x.py"')], ALL) == {}
