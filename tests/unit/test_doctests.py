"""The examples in docstrings are true."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import tf_tester

PACKAGE = Path(tf_tester.__file__).parent
WITH_EXAMPLES = sorted(
    "tf_tester." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if re.search(r"^ +>>> ", file.read_text("utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed
