"""Images as other people's tools see them; each test is skipped with a reason where its tool isn't installed."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import images
from tests.integration.conftest import User
from tests.pythons import running
from tests.waiting import until

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(sys.platform != "linux", reason="images are made on Linux"),
]


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian has it)")
    return found


def said(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def rootfs(user: User) -> Path:
    """A root file system with the Python that runs these tests, its library and what they load, nothing else."""
    root, python = user.folder / "rootfs", running().path.resolve()
    prefix = python.parent.parent
    for folder in ("usr/bin", "proc", "dev", "sys", "tmp", "etc"):
        (root / folder).mkdir(parents=True)
    library = prefix / "lib" / f"python{running().label}"
    leave = shutil.ignore_patterns("test", "site-packages", "__pycache__", "idlelib", "config-*", "ensurepip")
    shutil.copytree(library, root / str(library).lstrip("/"), ignore=leave, symlinks=True)
    (root / str(python).lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(python, root / str(python).lstrip("/"))
    (root / "usr/bin" / f"python{running().label}").symlink_to(python)
    programs = [python, *(library / "lib-dynload").glob("*.so")]
    loaded = {
        word
        for program in programs
        for word in subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout.split()
        if word.startswith("/")
    }
    for path in sorted(loaded):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(Path(path).resolve(), target)
    return root


@pytest.fixture
def folder(user: User) -> Path:
    run = user.run("image", "build", "--versions", "1.0,1.1", "-o", "oci:images")
    assert run.code == 0, run.err
    return user.folder / "images"


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Debian's docker-registry on loopback."""
    program = tool("docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    (folder / "registry.yml").write_text(json.dumps(config))
    with (folder / "registry.log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or _answers(port))
            assert process.poll() is None, (folder / "registry.log").read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def test_skopeo_reads_an_image_and_copies_it_as_it_is(folder: Path, tmp_path: Path) -> None:
    skopeo = tool("skopeo")
    told = json.loads(said(skopeo, "inspect", f"oci:{folder}:1.0", cwd=tmp_path))
    assert told["Labels"]["org.opencontainers.image.version"] == "1.0"
    assert told["Layers"] == [one["digest"] for one in images.manifests(folder)["1.0"]["layers"]]
    said(skopeo, "--insecure-policy", "copy", f"oci:{folder}:1.0", f"oci:{tmp_path}/copy:1.0", cwd=tmp_path)
    assert images.manifests(tmp_path / "copy")["1.0"] == images.manifests(folder)["1.0"]


def test_umoci_unpacks_what_the_specification_says(folder: Path, tmp_path: Path) -> None:
    said(tool("umoci"), "unpack", "--rootless", "--image", f"{folder}:1.0", "bundle", cwd=tmp_path)
    ours = images.unpack(folder, "1.0", tmp_path / "ours")
    theirs = tmp_path / "bundle/rootfs"
    assert _tree(theirs) == _tree(ours)


def _tree(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes() if path.is_file() else b"")
        for path in root.rglob("*")
        if not path.is_symlink()
    }


def test_a_real_registry_takes_images_and_is_sent_nothing_twice(user: User, folder: Path, tmp_path: Path) -> None:
    with registry(tmp_path) as host:
        first = user.run("image", "push", "oci:images", f"{host}/team/toy")
        assert first.code == 0, first.err
        assert "2 images; 7 blobs" in first.out
        again = user.run("image", "push", "oci:images", f"{host}/team/toy")
        assert "0 blobs (0 B) sent" in again.out
        mounted = user.run("image", "push", "oci:images", f"{host}/team/other", "--mount-from", "team/toy")
        assert "0 blobs (0 B) sent, 7 taken over from there" in mounted.out
        if shutil.which("skopeo"):
            place = f"docker://{host}/team/other:1.1"
            told = json.loads(said("skopeo", "inspect", "--tls-verify=false", place, cwd=tmp_path))
            assert told["Layers"] == [one["digest"] for one in images.manifests(folder)["1.1"]["layers"]]


@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="runc as this test starts it needs root")
def test_runc_runs_the_version_that_was_built_as_somebody_who_is_not_root(
    user: User, rootfs: Path, tmp_path: Path
) -> None:
    umoci, runc = tool("umoci"), tool("runc")
    run = user.run("image", "build", "--versions", "1.1", "--base", "rootfs", "-o", "oci:images")
    assert run.code == 0, run.err
    said(umoci, "unpack", "--image", f"{user.folder / 'images'}:1.1", "bundle", cwd=tmp_path)
    config = json.loads((tmp_path / "bundle/config.json").read_text())
    script = "import os, toy; print(toy.__version__, os.getuid(), os.getcwd(), os.path.isfile(toy.__cached__))"
    assert config["process"]["user"]["uid"] == 65532
    config["process"] |= {"args": ["python", "-c", script], "terminal": False}
    config["linux"] = {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]}
    (tmp_path / "bundle/config.json").write_text(json.dumps(config))
    told = subprocess.run(
        [runc, "run", f"tf-tester-{os.getpid()}"], cwd=tmp_path / "bundle", capture_output=True, text=True, check=False
    )
    if "cgroup" in told.stderr and told.returncode:
        pytest.skip(f"runc can't have control groups here: {told.stderr.strip()[:200]}")
    assert told.stdout.split() == ["1.1", "65532", "/home/nonroot", "True"], told.stderr
