"""Layers on layers, whatever is in them."""

import io
import tarfile
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.image.grouping import layer_groups
from tf_tester.core.image.tar import END, TarEntry, corrections, header_of, padding_of, stacked, with_folders

PARTS = ("a", "b", "c")
PATHS = ["/".join(parts) for length in (1, 2, 3) for parts in product(PARTS, repeat=length)]
CONTENTS = st.sampled_from([b"", b"1", b"two"])


def tree(paths: dict[str, bytes]) -> list[TarEntry]:
    """What there can be at once: no file where a folder is needed."""
    files = {path: text for path, text in paths.items() if not any(one.startswith(f"{path}/") for one in paths)}
    return with_folders([TarEntry.text(path, text) for path, text in files.items()], "a") + [
        TarEntry.folder(folder)
        for folder in sorted({path[:end] for path in files for end in range(len(path)) if path[end] == "/"})
        if not folder.startswith("a")
    ]


TREES = st.dictionaries(st.sampled_from(PATHS), CONTENTS, max_size=8).map(tree)


@given(st.lists(TREES, max_size=4), TREES)
def test_with_what_corrects_them_layers_are_seen_as_wanted(
    layers: list[list[TarEntry]], wanted: list[TarEntry]
) -> None:
    seen = stacked(layers)
    told = {one.path: one for one in wanted}
    assert stacked([*layers, corrections(seen, told)]) == told


@given(TREES)
def test_a_tar_says_what_it_was_made_of_and_nothing_else(entries: list[TarEntry]) -> None:
    made = b"".join(header_of(one) + one.content + padding_of(one.size) for one in entries) + END
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        found = {one.name: b"" if one.isdir() else archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    assert found == {one.path: one.content for one in entries}


@given(st.lists(st.tuples(st.text(PARTS, min_size=1, max_size=4), st.integers(0, 5)), unique_by=lambda one: one[0]))
def test_no_wheel_is_lost_and_none_is_there_twice(wheels: list[tuple[str, int]]) -> None:
    for room in (1, 2, 5, 100):
        made = layer_groups(wheels, room=room)
        assert len(made) <= room
        assert sorted(digest for one in made for digest in one.digests) == sorted(digest for digest, _ in wheels)


@given(st.lists(st.tuples(st.text(PARTS, min_size=1, max_size=4), st.integers(0, 5)), unique_by=lambda one: one[0]))
def test_what_comes_first_in_a_lock_lies_on_top_of_what_is_alone(wheels: list[tuple[str, int]]) -> None:
    [*rest] = layer_groups(wheels, room=100)
    assert [one.digests for one in rest] == [(digest,) for digest, _ in reversed(wheels)]
