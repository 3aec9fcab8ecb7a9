"""What a notebook needs."""

import json

import pytest

from tf_tester.core.select.notebook import needs_ipython


def notebook(*sources: str, kind: str = "code") -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": source.splitlines(True)} for source in sources]})


@pytest.mark.parametrize(
    "source", ["!pip list", "x = 1\n%timeit x", "%%bash\nls", "get_ipython().run_line_magic('a', '')"]
)
def test_its_own_language_needs_ipython(source: str) -> None:
    assert needs_ipython(notebook("x = 7", source))
    assert not needs_ipython(notebook(source, kind="markdown"))


@pytest.mark.parametrize("source", ["x = 7 % 4", "%matplotlib inline", "%load_ext autoreload\n%autoreload 2", ""])
def test_what_python_can_run_or_pass_over_needs_none(source: str) -> None:
    assert not needs_ipython(notebook(source))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cells": 7}', '{"cells": [7]}', '{"worksheets": [{"cells": null}]}']
)
def test_what_is_no_notebook_is_for_the_run_to_say(text: str) -> None:
    assert not needs_ipython(text)


def test_format_3_and_a_byte_order_mark_are_read() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["!ls"]}]}]}
    assert needs_ipython("\ufeff" + json.dumps(old))
