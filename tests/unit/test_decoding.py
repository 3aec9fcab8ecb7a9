"""Types are learnt by one thread at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from tf_tester.model.decoding import decoder_of

entered: list[int] = []
second = threading.Event()


def _learn() -> type[int]:
    """Stand for the type of a field: msgspec calls it when it learns the struct. Waits for another thread to do so."""
    entered.append(threading.get_ident())
    if len(entered) > 1:
        second.set()
    second.wait(0.3)
    return int


class Slow(Struct):
    number: "_learn()"  # type: ignore[valid-type]


def test_two_threads_do_not_learn_a_type_at_once() -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda content: decoder_of(Slow).decode(content), [b'{"number": 1}', b'{"number": 2}']))
    assert [one.number for one in found] == [1, 2]
    assert len(entered) == 1
