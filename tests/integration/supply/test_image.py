"""`tf-tester image` from the outside."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import images
from tests.integration.conftest import Run, User
from tests.pythons import running
from tests.registries import Registry
from tests.simulator import Simulator
from tests.waiting import until
from tests.wheels import make_wheel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="images are made on Linux")
SITE = f"opt/env/lib/python{running().label}/site-packages"


@pytest.fixture
def rootfs(user: User) -> Path:
    root = user.folder / "rootfs"
    (root / "usr/bin").mkdir(parents=True)
    (root / f"usr/bin/python{running().label}").symlink_to(running().path)
    return root


def build(user: User, *words: str, code: int = 0, target: str = "oci:images") -> Run:
    run = user.run("image", "build", "-o", target, *words)
    assert run.code == code, run.out + run.err
    return run


def output(command: list[str], **variables: str) -> str:
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_images_on_a_base_share_what_is_the_same_and_run(user: User, rootfs: Path, tmp_path: Path) -> None:
    run = build(user, "--versions", "1.0,1.1", "--base", "rootfs")
    folder = user.folder / "images"
    one, other = (images.manifests(folder)[tag]["layers"] for tag in ("1.0", "1.1"))
    assert [layer["digest"] for layer in one[:2]] != [layer["digest"] for layer in other[:2]], "toy lies below gear"
    assert one[0] == other[0]
    assert one[2] == other[2], "gear 2.0 is the same"
    assert len(one) == 4
    assert "2 images in images." in run.out
    root = images.unpack(folder, "1.0", tmp_path / "root")
    assert (root / "opt/env/bin/python").readlink() == Path(f"/usr/bin/python{running().label}")
    # By the base's Python, which here is the one that runs.
    (root / "opt/env/bin/python").unlink()
    (root / "opt/env/bin/python").symlink_to(running().path)
    (root / "opt/env/pyvenv.cfg").write_text(f"home = {running().path.parent}\n")
    script = "import toy, sys; print(toy.__version__, toy.__spec__.cached, sys.prefix)"
    told = output([str(root / "opt/env/bin/python"), "-I", "-c", script]).split()
    assert told[0] == "1.0"
    assert Path(told[1]).is_file()
    assert told[2] == str(root / "opt/env")


def test_an_image_tells_what_is_in_it(user: User, rootfs: Path, tmp_path: Path) -> None:
    build(user, "--versions", "1.0", "--base", "rootfs")
    config = images.config(user.folder / "images", "1.0")
    labels = config["config"]["Labels"]
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Cmd"] == ["python"]
    assert config["created"] == "2020-03-01T00:00:00Z", "that of toy 1.0, the newest in it"
    root = images.unpack(user.folder / "images", "1.0", tmp_path / "root")
    for label in ("tf-tester.lock", "tf-tester.sbom"):
        path, digest = labels[label].split()
        assert f"sha256:{hashlib.sha256((root / path.strip('/')).read_bytes()).hexdigest()}" == digest
    bill = json.loads((root / "opt/env/share/tf-tester/sbom.cdx.json").read_text())
    assert [one["purl"] for one in bill["components"]] == ["pkg:pypi/gear@2.0", "pkg:pypi/toy@1.0"]
    assert "tf-tester.verdict" not in labels


def test_the_second_build_makes_the_same_bytes_there_and_elsewhere(user: User, rootfs: Path) -> None:
    assert user.run("lock", "--versions", "1.0,2.0").code == 0
    build(user, "--locked", "locks", "--base", "rootfs")
    before = digests(user.folder / "images")
    run = build(user, "--locked", "locks", "--base", "rootfs")
    assert digests(user.folder / "images") == before
    assert run.out.count("(0 B new)") == 0, "the uppermost layer is small, and packed each time"
    build(user, "--locked", "locks", "--base", "rootfs", target="oci:elsewhere")
    assert digests(user.folder / "elsewhere") == before


@pytest.mark.whole
def test_an_image_is_the_same_whatever_is_built_beside_it(user: User, rootfs: Path) -> None:
    build(user, "--versions", "1.0,1.1,2.0", "--base", "rootfs")
    build(user, "--versions", "1.1", "--base", "rootfs", target="oci:alone")
    assert images.manifests(user.folder / "alone")["1.1"] == images.manifests(user.folder / "images")["1.1"]


def test_without_a_base_it_is_a_volume(user: User, tmp_path: Path) -> None:
    build(user, "--versions", "2.0")
    config = images.config(user.folder / "images", "2.0")
    assert "Cmd" not in config["config"]
    root = images.unpack(user.folder / "images", "2.0", tmp_path / "root")
    command = [str(running().path), "-c", "import toy; print(toy.spin())"]
    assert output(command, PYTHONPATH=str(root / SITE)) == "2\n"


def test_images_are_labelled_with_what_a_run_has_found_of_just_these_wheels(user: User, rootfs: Path) -> None:
    user.write("check.py", "import toy\nassert toy.spin() == 1\n")
    assert user.run("test", "check.py", "--versions", "1.0,2.0", "--json", "run.jsonl").code == 1
    run = build(user, "--versions", "1.0,1.1,2.0", "--base", "rootfs", "--record", "run.jsonl")
    labels = {tag: images.config(user.folder / "images", tag)["config"]["Labels"] for tag in ("1.0", "1.1", "2.0")}
    assert {tag: told.get("tf-tester.verdict") for tag, told in labels.items()} == {
        "1.0": "pass",
        "1.1": None,
        "2.0": "fail",
    }
    assert "the run had no cell with these wheels" in run.out


def test_what_fails_for_one_version_costs_no_other(user: User, rootfs: Path, index: Simulator) -> None:
    index.add_wheel(*make_wheel("toy", "3.0", requires=["absent"]), upload_time="2023-01-01T00:00:00Z")
    run = build(user, "--versions", "1.0,3.0", "--base", "rootfs", code=3)
    assert "1 image in images." in run.out
    assert "toy 3.0" in run.err
    assert set(images.manifests(user.folder / "images")) == {"1.0"}


def test_where_nothing_can_be_made_nothing_is_left(user: User, rootfs: Path) -> None:
    run = build(user, "--versions", "1.0", "--python", "2.6", "--base", "rootfs", code=3)
    assert "toy 1.0" in run.err
    assert not (user.folder / "images").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "images"), "is no folder of images"),
        (("-o", "oci:project"), "something else than images"),
        (("-o", "oci:images", "--base", "nothing"), "can't be read"),
        (("-o", "oci:images", "--base", "oci:nothing"), "There is no folder"),
        (("-o", "oci:images", "--base", "project"), "no usr, bin or lib"),
    ],
)
def test_a_mistake_is_a_sentence(user: User, words: tuple[str, ...], told: str) -> None:
    user.write("project/notes.txt", "mine")
    run = user.run("image", "build", "--versions", "1.0", *words)
    assert run.code == 2
    assert told in run.err
    assert not (user.folder / "images").exists()
    assert (user.folder / "project/notes.txt").read_text() == "mine"


def test_an_image_of_somebody_elses_is_not_replaced_unasked(user: User) -> None:
    build(user, "--versions", "1.0")
    index = user.folder / "images/index.json"
    document = json.loads(index.read_text())
    del document["manifests"][0]["annotations"]["tf-tester.image"]
    index.write_text(json.dumps(document))
    run = build(user, "--versions", "1.0", code=2)
    assert "an image 1.0 that tf-tester has not made" in run.err
    build(user, "--versions", "1.0", "--force")


def test_images_go_to_a_registry_and_nothing_twice(user: User) -> None:
    build(user, "--versions", "1.0,1.1")
    with Registry() as registry:
        target = f"{registry.host}/team/toy"
        run = user.run("image", "push", "oci:images", target)
        assert run.code == 0, run.err
        # Two wheels of toy, gear once, two uppermost layers, two configurations.
        assert f"{target}: 2 images; 7 blobs" in run.out
        assert max(registry.received.values()) == max(map(len, registry.blobs.values())), "each once"
        again = user.run("image", "push", "oci:images", target)
        assert "0 blobs (0 B) sent" in again.out
        assert user.run("image", "push", "oci:images:1.0", f"{target}:stable").code == 0
        assert registry.tags["team/toy", "stable"] == registry.tags["team/toy", "1.0"]
        sent = sum(registry.received.values())
        dry = user.run("image", "push", "oci:images", f"{registry.host}/other", "--dry-run")
        assert "7 blobs" in dry.out
        assert "would be sent" in dry.out
        assert sum(registry.received.values()) == sent


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("oci:nothing", "127.0.0.1:1/x"), "There is no folder"),
        (("oci:images", "toy"), "is no place for an image"),
        (("oci:images", "127.0.0.1:1/x"), "connection refused"),
        (("oci:images", "127.0.0.1:1/x", "--mount-from", "X"), "is no name of a repository"),
    ],
)
def test_a_push_that_cant_be_is_a_sentence(user: User, words: tuple[str, ...], told: str) -> None:
    if words[0] == "oci:images":
        build(user, "--versions", "2.0")
    run = user.run("image", "push", *words)
    assert run.code in (2, 4)
    assert told in run.err


def test_ctrl_c_leaves_what_is_whole(user: User, rootfs: Path) -> None:
    (rootfs / "usr/noise").write_bytes(os.urandom(1 << 26))
    process = user.start("image", "build", "-o", "oci:images", "--versions", "1.0", "--base", "rootfs")
    until(lambda: list((user.folder / "images").glob(".part-*")))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.wait() == 130, err
    assert not (user.folder / "images").exists()


def test_a_dockerfile_has_the_lock_and_the_mirror(user: User) -> None:
    run = user.run("image", "dockerfile", "--versions", "1.0", "--mirror", "https://mirror.example/simple", "--offline")
    assert run.code != 0
    assert user.run("lock", "--versions", "1.0").code == 0
    run = user.run("image", "dockerfile", "--locked", "locks", "--mirror", "tuna")
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    assert lines[1] == f"FROM python:{running().label}-slim"
    assert any(line.startswith("ARG PIP_INDEX_URL=https://") for line in lines)
    assert "toy==1.0 \\" in lines
    assert "USER 65532:65532" in lines
    several = user.run("image", "dockerfile", "--versions", "1.0,2.0")
    assert several.code == 2
    assert "a Dockerfile makes one" in several.err
