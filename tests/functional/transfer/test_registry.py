"""Images go to a registry that refuses, forgets, throttles and lies; what it has isn't sent again."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import images
from tests.functional.export.test_oci_layout import add, layout
from tests.registries import Registry
from tf_tester.core.image.names import repository
from tf_tester.core.image.tar import TarEntry
from tf_tester.errors import OurFailure, RegistryFailed, UsageError
from tf_tester.export.oci_layout import LayoutFolder
from tf_tester.flow.images.push import Push, PushOrder, push
from tf_tester.transfer.registry import RegistryClient
from tf_tester.transfer.settings import ClientSettings, Timeouts

SHARED = TarEntry.text("opt/env/shared.py", b"x" * 10_000)


@pytest.fixture
def folder(tmp_path: Path) -> LayoutFolder:
    """Two images."""
    found = layout(tmp_path / "images")
    with found.alone():
        add(found, "1.0", (SHARED,))
        add(found, "2.0", (TarEntry.text("opt/env/own.py", b"y" * 5000),))
    return found


class Pusher:
    """Somebody who pushes, and never waits."""

    def __init__(self, registry: Registry, folder: LayoutFolder, environ: dict[str, str]) -> None:
        self.registry = registry
        self.folder = folder
        self.environ = environ
        self.waits: list[float] = []

    def push(self, name: str = "team/toy", *, tag: str = "", also: str = "", **words: bool) -> Push:
        settings = ClientSettings(environ=self.environ, timeouts=Timeouts(connect=5, stall=5))
        place = repository(f"{self.registry.host}/{name}")
        client = RegistryClient(place, settings, plain=True, pause=self.waits.append, also=also)
        try:
            return push(PushOrder(self.folder, client, tag, "", also, **words))
        finally:
            client.close()


@contextmanager
def pushing(
    folder: LayoutFolder, environ: dict[str, str] | None = None, *, password: str = "", tokens: bool = False
) -> Iterator[Pusher]:
    with Registry(password=password, tokens=tokens) as registry:
        yield Pusher(registry, folder, environ or {})


def logged_in(folder: Path, host: str, password: str) -> dict[str, str]:
    account = base64.b64encode(f"me:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": account}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_all_images_arrive_whole_and_the_second_time_nothing_is_sent(folder: LayoutFolder, tmp_path: Path) -> None:
    with pushing(folder) as user:
        first = user.push()
        assert (len(first.images), first.sent, first.there) == (2, 4, 0)
        for tag, manifest in images.manifests(tmp_path / "images").items():
            assert user.registry.manifest("team/toy", tag) == manifest
            for one in (manifest["config"], *manifest["layers"]):
                assert user.registry.blobs[one["digest"]] == images.blob(tmp_path / "images", one)
        user.registry.log.clear()
        second = user.push()
        assert (second.sent, [one.was_there for one in second.images]) == (0, [True, True])
        assert {one.method for one in user.registry.log} == {"GET"}, "a tag that leads there says all"


def test_a_layer_of_an_earlier_image_is_not_sent_again(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.push(tag="1.0")
        with folder.alone():
            add(folder, "3.0", (SHARED,))
        shared = max(user.registry.received)
        done = user.push()
        assert user.registry.received[shared] == len(user.registry.blobs[shared]), "once"
        assert done.there == 2


def test_layers_are_taken_over_from_another_repository(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.push("team/base")
        done = user.push("team/toy", also="team/base")
        assert (done.sent, done.mounted) == (0, 4)
        assert user.registry.manifest("team/toy", "1.0")
        user.registry.mounts = False
        assert user.push("team/other", also="team/base").sent == 4, "a registry need not do that"


def test_a_dry_run_sends_nothing(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        done = user.push(dry_run=True)
        assert (done.sent, len(done.images)) == (4, 2)
        assert {one.method for one in user.registry.log} <= {"HEAD", "GET"}


def test_a_registry_that_wants_to_be_left_alone_is(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(429, times=2, method="PUT", headers={"Retry-After": "7"})
        user.registry.refuse_next(503, times=1, method="HEAD")
        assert user.push().sent == 4
        assert sorted(user.waits) == [1.0, 7.0, 7.0]


def test_a_connection_that_breaks_is_begun_anew(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(0, times=2, method="PUT", closes=True)
        assert user.push().sent == 4


def test_an_upload_that_the_registry_has_forgotten_is_begun_anew(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(404, times=1, method="PUT", part="/blobs/uploads/", code="BLOB_UPLOAD_UNKNOWN")
        assert user.push().sent == 4


def test_a_registry_that_never_recovers_is_a_sentence(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(429, times=1000, code="TOOMANYREQUESTS", message="pull rate limit")
        with pytest.raises(RegistryFailed, match=r"answered 429 Too Many Requests \(«pull rate limit»\) 6 times\."):
            user.push()
        assert user.waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_layers_that_the_registry_only_says_it_has_are_sent(folder: LayoutFolder, tmp_path: Path) -> None:
    with pushing(folder) as user:
        layer = images.manifests(tmp_path / "images")["1.0"]["layers"][0]["digest"]
        user.registry.forgets.add(layer)
        user.push()
        assert layer in user.registry.blobs
        assert user.registry.manifest("team/toy", "1.0")


def test_a_registry_that_loses_what_it_is_given_is_a_sentence(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(
            404, times=1000, method="PUT", part="/manifests/", code="MANIFEST_BLOB_UNKNOWN", message="blob unknown"
        )
        with pytest.raises(RegistryFailed, match=r"lacks layers of 1\.0"):
            user.push()
        assert not user.registry.tags


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_refuses_is_a_sentence_with_its_own_words(folder: LayoutFolder, status: int) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(status, times=1000, method="POST", message="requested access is denied")
        with pytest.raises(
            RegistryFailed, match=r"doesn't let you .* in team/toy \(«requested access is denied»\)"
        ) as told:
            user.push()
        assert "docker login" in told.value.hint
        assert not user.registry.tags


def test_a_layer_that_is_too_large_is_a_sentence(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.most = 40
        with pytest.raises(RegistryFailed, match="doesn't take a layer of"):
            user.push()


def test_a_registry_that_keeps_something_else_is_a_sentence(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.digest_told = f"sha256:{'0' * 64}"
        with pytest.raises(RegistryFailed, match="has kept sha256:000"):
            user.push()


def test_what_is_no_registry_is_a_sentence(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.registry.refuse_next(405, times=1000, code="", message="")
        with pytest.raises(RegistryFailed, match="answered 405"):
            user.push()
    with pytest.raises(RegistryFailed, match="connection refused"):
        user.push()


def test_a_tag_of_another_image_is_moved_only_when_asked(folder: LayoutFolder) -> None:
    with pushing(folder) as user:
        user.push()
        before = dict(user.registry.tags)
        with folder.alone():
            add(folder, "1.0", (TarEntry.text("opt/env/new.py", b"z"),))
        with pytest.raises(UsageError, match=r"another image called 1\.0"):
            user.push()
        assert user.registry.tags == before
        user.push(force=True)
        assert user.registry.tags["team/toy", "1.0"] != before["team/toy", "1.0"]


@pytest.mark.parametrize("tokens", [False, True], ids=["basic", "bearer"])
def test_a_password_of_docker_login_is_used(folder: LayoutFolder, tmp_path: Path, tokens: bool) -> None:
    with pushing(folder, password="secret", tokens=tokens) as user:
        user.environ = logged_in(tmp_path, user.registry.host, "secret")
        assert user.push().sent == 4
        if tokens:
            assert any("repository:team/toy:pull,push" in one.authorization for one in user.registry.log)


@pytest.mark.parametrize("tokens", [False, True], ids=["basic", "bearer"])
def test_a_wrong_password_is_a_sentence_and_isnt_in_it(folder: LayoutFolder, tmp_path: Path, tokens: bool) -> None:
    with pushing(folder, password="secret", tokens=tokens) as user:
        user.environ = logged_in(tmp_path, user.registry.host, "hunter2")
        with pytest.raises(RegistryFailed, match="doesn't let you") as told:
            user.push()
        assert "hunter2" not in f"{told.value} {told.value.hint} {told.value.detail}"
        user.environ = {}
        with pytest.raises(RegistryFailed, match="doesn't let you"):
            user.push()


def test_where_uploads_go_to_another_host_it_isnt_told_who_asks(folder: LayoutFolder, tmp_path: Path) -> None:
    with Registry() as elsewhere, pushing(folder, password="secret") as user:
        user.environ = logged_in(tmp_path, user.registry.host, "secret")
        user.registry.uploads_elsewhere = f"http://{elsewhere.host}"
        with pytest.raises(RegistryFailed, match="lacks layers"):
            user.push()
        assert elsewhere.asked("PUT")
        assert {one.authorization for one in elsewhere.log} == {""}


def test_a_damaged_folder_is_told_as_such_and_not_sent(folder: LayoutFolder, tmp_path: Path) -> None:
    layer = images.manifests(tmp_path / "images")["1.0"]["layers"][0]
    path = tmp_path / "images/blobs" / layer["digest"].replace(":", "/")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pushing(layout(tmp_path / "images")) as user:
        with pytest.raises(OurFailure, match="missing or damaged"):
            user.push()
        assert layer["digest"] not in user.registry.blobs
        assert not user.registry.tags


def test_an_image_that_isnt_there_is_a_sentence(folder: LayoutFolder, tmp_path: Path) -> None:
    with pushing(folder) as user, pytest.raises(UsageError, match=r"no image 9\.0"):
        user.push(tag="9.0")
    empty = layout(tmp_path / "empty")
    with empty.alone(), pushing(empty) as user, pytest.raises(UsageError, match="no image with a name"):
        user.push()
