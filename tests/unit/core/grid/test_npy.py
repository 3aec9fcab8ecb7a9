"""What a `.npy` file says of itself, of which nothing is evaluated."""

import pytest

from tf_tester.core.grid.npy import MAGIC, NpyHeader, read_header


def beginning(text: str) -> bytes:
    return MAGIC + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("shape", "read"), [("()", ()), ("(3,)", (3,)), ("(2, 0)", (2, 0)), ("(1, 2, 3)", (1, 2, 3))], ids=str
)
def test_type_shape_and_size_are_read(shape: str, read: tuple[int, ...]) -> None:
    text = f"{{'descr': '<c16', 'fortran_order': False, 'shape': {shape}, }}  \n"
    header = read_header(beginning(text) + b"content")
    assert header == NpyHeader("<c16", read, 10 + len(text))
    count = 1
    for length in read:
        count *= length
    assert header.size == 10 + len(text) + 16 * count


@pytest.mark.parametrize(
    "text",
    [
        # Of a stranger who wants a pattern to try all ways of reading it.
        pytest.param(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1' * 60_000}", id="digits"),
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, ), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }\n",
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1, ' * 64}1), }}\n",
        "__import__('os').abort()\n",
        "",
    ],
)
def test_anything_else_is_no_array_of_numbers(text: str) -> None:
    assert read_header(beginning(text)) is None


def test_what_is_cut_off_is_none() -> None:
    whole = beginning("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n")
    assert read_header(whole) is not None
    assert all(read_header(whole[:end]) is None for end in range(len(whole)))
    assert read_header(b"\x93NUMPY\x02\x00" + whole[8:]) is None
