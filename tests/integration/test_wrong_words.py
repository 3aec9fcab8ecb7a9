"""Whatever word is wrong for an option or an argument: one sentence, no mistake of ours, no wait without end."""

import os
import socket

import pytest

from tests.integration.conftest import User
from tests.wrong_words import VALUES, invocations, prepare

EACH = 29
"""One of so many command lines is tried: each option with one value, another one than the option before it. All of them
are tried by `bench/wrong_words.py`."""


@pytest.mark.whole
@pytest.mark.skipif(os.name != "posix", reason="pipes and links")
def test_a_wrong_word_is_one_sentence(user: User) -> None:
    assert EACH % len(VALUES)
    prepare(user.folder)
    assert not any(value.startswith("/") or "../.." in value for value in VALUES.values()), "nothing of this machine"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tried = list(invocations(busy_port=taken.getsockname()[1]))[::EACH]
        for one in tried:
            run = user.run(*one.words, env={"TF_TESTER_OFFLINE": "1"})
            told = f"{' '.join(one.command)} {one.parameter}: {one.wrong}: {run.code} {run.err}"
            assert run.code in (0, 2, 3, 4, 125), told
            assert "mistake of ours" not in run.err, told
    assert {one.wrong for one in tried} == set(VALUES)
