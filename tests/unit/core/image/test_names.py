"""Names of images."""

import pytest

from tf_tester.core.image.names import layout_place, repository, repository_name, tags_of
from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution


@pytest.mark.parametrize(
    ("text", "folder", "tag"),
    [
        ("oci:images", "images", ""),
        ("oci:/srv/images:2.8.0", "/srv/images", "2.8.0"),
        ("oci:./a:b/images", "./a:b/images", ""),
        ("oci:images:", "images:", ""),
    ],
)
def test_a_folder_and_one_of_its_images(text: str, folder: str, tag: str) -> None:
    assert (layout_place(text).folder, layout_place(text).tag) == (folder, tag)


@pytest.mark.parametrize("text", ["images", "oci:", "docker://x/y", ""])
def test_what_is_no_folder_of_images_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"folder"):
        layout_place(text)


@pytest.mark.parametrize(
    ("text", "host", "name", "tag"),
    [
        ("registry.example/tf", "registry.example", "tf", ""),
        ("docker://registry.example:443/a/b.c/d__e:1.0-py3.9", "registry.example:443", "a/b.c/d__e", "1.0-py3.9"),
        ("localhost/x:y", "localhost", "x", "y"),
        ("[::1]:5000/x", "[::1]:5000", "x", ""),
    ],
)
def test_a_place_at_a_registry(text: str, host: str, name: str, tag: str) -> None:
    found = repository(text)
    assert (found.host, found.name, found.tag) == (host, name, tag)


@pytest.mark.parametrize(
    "text",
    [
        "tf",
        "team/tf",
        "registry.example/",
        "registry.example/TF",
        "registry.example/a//b",
        "registry.example/../x",
        "registry.example:99999/x",
        "user:pw@registry.example/x",
        "registry.example/x:",
        "registry.example/x:a/b",
        "registry.example/x?y",
        "http://registry.example/x",
        "-x.example/y",
    ],
)
def test_what_is_no_place_at_a_registry_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no place for an image"):
        repository(text)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1:5000", True),
        ("localhost", True),
        ("[::1]:5000", True),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
    ],
)
def test_without_tls_only_this_machine_is_asked_unbidden(host: str, here: bool) -> None:
    assert repository(f"{host}/x").is_here is here


@pytest.mark.parametrize("text", ["", "Team", "a/../b", "host.example/x:tag", "/x"])
def test_what_is_no_name_of_a_repository_is_refused(text: str) -> None:
    assert repository_name("team/tf") == "team/tf"
    with pytest.raises(UsageError, match="no name of a repository"):
        repository_name(text)


def test_cells_of_one_version_have_tags_that_tell_them_apart() -> None:
    era = Cell.of("toy", "1.0", "3.9", Resolution.ERA)
    locks = [Cell.of("toy", "1.0", "3.9", Resolution.LOCK, lock_name=name) for name in ("a.toml", "b.toml")]
    other = Cell.of("toy", "2.0", "3.9", Resolution.ERA)
    tags = tags_of([era, *locks, other])
    assert (tags[era.name], tags[other.name]) == ("1.0-py3.9-era", "2.0")
    assert len(set(tags.values())) == 4


def test_a_tag_takes_no_plus_and_no_exclamation_mark() -> None:
    cells = [Cell.of("toy", version, "3.9", Resolution.ERA) for version in ("2.1.0+cpu", "1!3.0")]
    assert list(tags_of(cells).values()) == ["2.1.0-cpu", "1-3.0"]
