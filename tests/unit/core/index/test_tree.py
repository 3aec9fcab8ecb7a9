"""A replica as files that any web server can serve."""

import gzip
import hashlib
import json

import msgspec
import pytest
from msgspec.structs import replace

from tf_tester.core.index.replica_tree import Manifest, decode, encode, manifest_of, tree_of
from tf_tester.errors import NotAManifest
from tf_tester.model.artifact import Artifact, ProjectPage

METADATA = b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\nSummary: Nothing much\nRequires-Dist: numpy\n"
SHA = "ab" + "0" * 62
WHEEL = Artifact(
    "toy-1.0-py3-none-any.whl",
    "toy",
    "1.0",
    "https://x/toy-1.0-py3-none-any.whl",
    SHA,
    size=10,
    metadata_sha256=hashlib.sha256(METADATA).hexdigest(),
)
PAGES = [ProjectPage("toy", (WHEEL,), serial=7), ProjectPage("empty", (), serial=3)]
PATH = f"packages/ab/{SHA}/toy-1.0-py3-none-any.whl"


def manifest() -> Manifest:
    tree = tree_of(PAGES, lambda _wheel: METADATA)
    return manifest_of(tree, replica="ours", generation="1", created="2024-01-01T00:00:00Z", tool="tf-tester 0")


def test_each_file_lies_at_its_digest_with_its_metadata_beside_it() -> None:
    tree = tree_of(PAGES, lambda _wheel: METADATA)
    assert {path: entry.size for path, entry in tree.files.items()} == {PATH: 10, f"{PATH}.metadata": len(METADATA)}


def test_pages_link_to_files_relatively() -> None:
    tree = tree_of(PAGES, lambda _wheel: METADATA)
    [file] = json.loads(tree.pages["simple/toy/index.v1_json"])["files"]
    assert file["url"] == f"../../{PATH}"
    assert f'href="../../{PATH}' in tree.pages["simple/toy/index.html"].decode()


def test_packed_pages_hold_the_same() -> None:
    tree = tree_of(PAGES, lambda _wheel: METADATA)
    assert gzip.decompress(tree.pages["simple/index.html.gz"]) == tree.pages["simple/index.html"]
    assert not [path for path in tree_of(PAGES, lambda _: METADATA, packed=False).pages if path.endswith(".gz")]


def test_bandersnatch_has_something_to_read_where_the_address_is_known() -> None:
    assert not [path for path in tree_of(PAGES, lambda _: METADATA).pages if path.startswith("pypi/")]
    told = json.loads(tree_of(PAGES, lambda _: METADATA, url="https://here/").pages["pypi/toy/json"])
    assert (told["info"]["summary"], told["info"]["requires_dist"], told["last_serial"]) == (
        "Nothing much",
        ["numpy"],
        7,
    )
    assert told["releases"]["1.0"][0]["url"] == f"https://here/{PATH}"


def test_a_manifest_comes_back_as_it_was_and_counts_what_it_has() -> None:
    made = manifest()
    assert decode(encode(made)) == made
    assert (made.projects, made.distributions, made.size) == (2, 1, 10 + len(METADATA))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "simple/../../x", "a//b", "a\\b", "./a"])
def test_a_manifest_names_nothing_outside_the_tree(path: str) -> None:
    made = manifest()
    for hostile in (replace(made, pages={path: made.files[PATH]}), replace(made, files={path: made.files[PATH]})):
        with pytest.raises(NotAManifest):
            decode(encode(hostile))


def test_what_is_no_manifest_or_of_a_later_form_is_refused() -> None:
    for content in (b"", b"[]", b"<html>", msgspec.json.encode(replace(manifest(), format=99))):
        with pytest.raises(NotAManifest):
            decode(content)
