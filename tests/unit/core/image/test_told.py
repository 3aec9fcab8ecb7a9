"""What an image tells of itself."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from tf_tester.core.image.bases import BasePython
from tf_tester.core.image.dockerfile import dockerfile
from tf_tester.core.image.documents import (
    BaseImage,
    Descriptor,
    ImageConfig,
    ImagePlatform,
    ImageUse,
    LayerHistory,
    RootFiles,
    StackedLayer,
    digest_of,
    image_of,
    index_bytes,
    named,
    read_index,
    read_manifest,
    with_image,
)
from tf_tester.core.image.environment import own_files, told_of, use_of, verdict_of
from tf_tester.core.image.sbom import bill_of_materials
from tf_tester.core.outcome.report import RunReport, fold
from tf_tester.errors import NotAnImage, UsageError
from tf_tester.model.cell import Cell
from tf_tester.model.events import CellFinished, CellLocked, RunStarted
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, Outcome

CELL = Cell.of("toy", "1.0", "3.10", Resolution.ERA)
PINS = (
    Pin(
        "gear",
        "2.0",
        "gear-2.0-py3-none-any.whl",
        "b" * 64,
        7,
        "https://x/gear",
        upload_time=datetime(2020, 2, 1, tzinfo=UTC),
    ),
    Pin(
        "toy",
        "1.0",
        "toy-1.0-py3-none-any.whl",
        "a" * 64,
        9,
        "https://x/toy",
        upload_time=datetime(2020, 3, 1, tzinfo=UTC),
    ),
)
LOCK = Lock("3.10.4", Resolution.ERA, None, PINS)
LINUX = ImagePlatform("amd64", "linux")


def layer(letter: str, *, size: int = 5) -> StackedLayer:
    descriptor = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", f"sha256:{letter * 64}", size)
    return StackedLayer(descriptor, f"sha256:{letter * 64}", LayerHistory(created_by=letter))


def test_a_bill_of_materials_has_each_wheel_with_its_digest() -> None:
    bill = json.loads(bill_of_materials(CELL, PINS, tool="tf-tester 0.1.0"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [(one["purl"], one["hashes"][0]["content"]) for one in bill["components"]] == [
        ("pkg:pypi/gear@2.0", "b" * 64),
        ("pkg:pypi/toy@1.0", "a" * 64),
    ]
    assert bill["metadata"]["component"]["name"] == "toy"


def test_the_same_wheels_have_the_same_bill_and_others_another_number() -> None:
    once, again = (bill_of_materials(CELL, PINS, tool="tf-tester 0.1.0") for _ in range(2))
    assert once == again
    other = bill_of_materials(CELL, PINS[:1], tool="tf-tester 0.1.0")
    assert json.loads(other)["serialNumber"] != json.loads(once)["serialNumber"]


def test_labels_are_short_enough_for_containerd_and_name_what_is_in_the_image() -> None:
    pins = tuple(msgspec.structs.replace(PINS[0], name=f"p{number}") for number in range(500))
    lock = msgspec.structs.replace(LOCK, pins=pins)
    told = told_of(CELL, lock, tool="tf-tester 0.1.0")
    use = use_of(CELL, lock, told, verdict="pass", has_base=True)
    assert max(len(name) + len(value) for name, value in use.labels.items()) < 4096
    paths = {one.path: one.content for one in own_files(told, None)}
    for label, name in (("tf-tester.lock", "pylock.toml"), ("tf-tester.sbom", "sbom.cdx.json")):
        path, digest = use.labels[label].split()
        assert path.endswith(name)
        assert digest == digest_of(paths[path.strip("/")])
    assert use.labels["tf-tester.verdict"] == "pass"


def test_an_image_was_made_when_its_newest_wheel_was_uploaded() -> None:
    told = told_of(CELL, LOCK, tool="tf-tester 0.1.0")
    assert use_of(CELL, LOCK, told, verdict="", has_base=True).created == "2020-03-01T00:00:00Z"


def test_on_a_base_it_is_a_virtual_environment_of_the_bases_python_and_nobodys_home_is_its_users() -> None:
    told = told_of(CELL, LOCK, tool="tf-tester 0.1.0")
    found = {one.path: one for one in own_files(told, BasePython("3.10", "/usr/bin/python3.10"))}
    assert found["opt/env/bin/python"].target == "/usr/bin/python3.10"
    assert found["opt/env/bin/python3.10"].target == "python"
    assert b"home = /usr/bin\n" in found["opt/env/pyvenv.cfg"].content
    assert (found["home/nonroot"].owner, found["home/nonroot"].mode) == ((65532, 65532), 0o700)
    assert not any(one.path.endswith("pyvenv.cfg") for one in own_files(told, None))


def test_an_image_keeps_what_its_base_says_and_says_more() -> None:
    settings = {
        "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
        "Entrypoint": ["/init"],
        "Labels": {"a": "b"},
        "User": "root",
    }
    config = ImageConfig("amd64", "linux", RootFiles((f"sha256:{'a' * 64}",)), config=settings)
    base = BaseImage("base", f"sha256:{'f' * 64}", config, (layer("a"),), frozenset())
    use = ImageUse(
        (("PATH", "/opt/env/bin:/bin"),), "65532:65532", "/home", ("python",), {"c": "d"}, "2020-03-01T00:00:00Z"
    )
    packed, manifest = image_of(LINUX, base, [layer("b")], use, {"x": "y"})
    told = json.loads(packed.content)
    assert told["config"] == {
        "Cmd": ["python"],
        "Entrypoint": ["/init"],
        "Env": ["PATH=/opt/env/bin:/bin:/usr/bin", "LANG=C.UTF-8"],
        "Labels": {"a": "b", "c": "d"},
        "User": "65532:65532",
        "WorkingDir": "/home",
    }
    assert told["rootfs"] == {"diff_ids": [f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"], "type": "layers"}
    assert [one.digest[7] for one in read_manifest(manifest.content).layers] == ["a", "b"]


def test_an_image_of_an_index_takes_the_place_of_the_one_of_its_name() -> None:
    one, two, new = (
        named(layer(letter).descriptor, tag, LINUX, "cell") for letter, tag in (("a", "1"), ("b", "2"), ("c", "1"))
    )
    assert [image.digest[7] for image in with_image((one, two), new)] == ["c", "b"]
    assert [image.digest[7] for image in with_image((two,), new)] == ["b", "c"]


def test_what_others_wrote_into_an_index_stays() -> None:
    content = index_bytes([], {"annotations": {"a": "b"}, "manifests": [1], "schemaVersion": 1})
    assert json.loads(content)["annotations"] == {"a": "b"}
    assert read_index(content).manifests == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../x", "size": 1}]}'],
)
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(NotAnImage, match="index of images"):
        read_index(content)


def run_of(lock: Lock, outcome: Outcome | None = Outcome.PASS) -> RunReport:
    started = RunStarted("run", "2026-12-01T00:00:00Z", "tf-tester 0.1.0", {}, (CELL,), "")
    ended = [CellFinished(CellResult(CELL.name, outcome))] if outcome is not None else []
    return fold([started, CellLocked(CELL.name, lock, False), *ended])


def test_a_verdict_is_of_just_these_wheels() -> None:
    runner = msgspec.structs.replace(PINS[0], name="pytest", sha256="c" * 64)
    other = msgspec.structs.replace(PINS[0], sha256="d" * 64)
    with_runner, with_other = (
        msgspec.structs.replace(LOCK, pins=(*pins,)) for pins in ((*PINS, runner), (other, PINS[1]))
    )
    assert verdict_of(run_of(LOCK), CELL, PINS) == "pass"
    assert verdict_of(run_of(with_runner, Outcome.FAIL), CELL, PINS) == "fail"
    assert verdict_of(run_of(with_other), CELL, PINS) == ""
    assert verdict_of(run_of(LOCK, None), CELL, PINS) == "", "it has not come to an end"
    assert verdict_of(run_of(LOCK), Cell.of("toy", "1.0", "3.9", Resolution.ERA), PINS) == ""


def test_a_dockerfile_installs_the_lock_by_its_hashes_from_the_mirror() -> None:
    text = dockerfile(
        CELL, LOCK, base="python:3.10-slim", mirror=["ARG PIP_INDEX_URL=https://m/simple"], tool="tf-tester 1"
    )
    lines = text.splitlines()
    assert lines[1:3] == ["FROM python:3.10-slim", "ARG PIP_INDEX_URL=https://m/simple"]
    assert f"    --hash=sha256:{'a' * 64}" in lines
    assert "--require-hashes" in text
    assert lines[-2:] == ["USER 65532:65532", 'CMD ["python"]']


def test_a_dockerfile_of_what_is_here_alone_is_refused() -> None:
    lock = msgspec.structs.replace(LOCK, pins=(msgspec.structs.replace(PINS[0], url=""),))
    with pytest.raises(UsageError, match="gear is on this machine alone"):
        dockerfile(CELL, lock, base="x", mirror=[], tool="tf-tester 1")
