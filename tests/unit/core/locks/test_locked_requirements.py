"""Locks of all kinds, read for what files they name."""

import pytest

from tf_tester.core.locks.lockfile import locked_requirements
from tf_tester.errors import ConfigError

A, B = "a" * 64, "b" * 64

PYLOCK = f"""\
lock-version = "1.0"
created-by = "x"
[[packages]]
name = "toy"
version = "1.0"
sdist = {{ name = "toy-1.0.tar.gz", url = "https://x/toy-1.0.tar.gz", hashes = {{ sha256 = "{A}" }} }}
wheels = [{{ name = "toy-1.0-py3-none-any.whl", url = "https://x/t.whl", hashes = {{ sha256 = "{B}" }} }}]
"""

UV = f"""\
version = 1
[[package]]
name = "app"
source = {{ virtual = "." }}
[[package]]
name = "toy"
version = "1.0"
sdist = {{ url = "https://x/toy-1.0.tar.gz", hash = "sha256:{A}" }}
wheels = [{{ url = "https://x/toy-1.0-py3-none-any.whl", hash = "sha256:{B}" }}]
"""

POETRY = f"""\
[[package]]
name = "toy"
version = "1.0"
files = [
    {{ file = "toy-1.0-py3-none-any.whl", hash = "sha256:{B}" }},
    {{ file = "toy-1.0.tar.gz", hash = "sha256:{A}" }},
]
[metadata]
lock-version = "2.1"
"""

REQUIREMENTS = f"""\
--extra-index-url https://x/simple
toy==1.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}  # both
"""


@pytest.mark.parametrize("text", [PYLOCK, UV, POETRY, REQUIREMENTS], ids=["pylock", "uv", "poetry", "requirements"])
def test_what_a_lock_names(text: str) -> None:
    [(requirement, digests)] = locked_requirements(text.encode(), shown="lock")
    assert (requirement.name, digests) == ("toy", frozenset({A, B}))


def test_without_hashes_every_file_of_the_version_is_meant() -> None:
    [(requirement, digests)] = locked_requirements(b"Toy==1.0 ; python_version > '3'", shown="lock")
    assert (str(requirement.specifier), digests) == ("==1.0", frozenset())


@pytest.mark.parametrize("text", ["toy", "toy>=1", "toy==1.*", "# nothing", "[[package]]\nname = 'toy'\n", "a b"])
def test_what_is_no_lock(text: str) -> None:
    with pytest.raises(ConfigError):
        locked_requirements(text.encode(), shown="lock")
