"""`tf-tester publish` from the outside: trees in folders and buckets, those who read them, and what goes wrong."""

import functools
import gzip
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import obstore
import pytest
import uv
from obstore.store import S3Store

from tests.integration.conftest import Run, User
from tests.integration.host.test_damage import rot_unseen
from tests.simulator import Simulator, Status
from tests.wheels import make_wheel

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def synced(user: User, index: Simulator) -> User:
    user.write("team.toml", 'projects = ["toy"]\n')
    sync(user)
    return user


def sync(user: User) -> None:
    run = user.run("sync", "team.toml")
    assert run.code == 0, run.err


def publish(user: User, *words: str, code: int = 0, target: str = "tree") -> Run:
    run = user.run("publish", target, *words)
    assert run.code == code, run.out + run.err
    return run


def add(index: Simulator, version: str) -> str:
    name, content = make_wheel("toy", version, requires=["gear"])
    index.add_wheel(name, content)
    return name


class _Static(SimpleHTTPRequestHandler):
    """What any web server does, and the choice between two forms (PEP 691)."""

    extensions_map = {"": "application/octet-stream", ".html": "text/html", ".v1_json": JSON}  # noqa: RUF012

    def send_head(self):  # type: ignore[no-untyped-def]
        if self.path.endswith("/"):
            self.path += "index.v1_json" if JSON in self.headers.get("Accept", "") else "index.html"
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def web(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Static, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def shown(tree: Path, project: str = "toy") -> list[str]:
    page = json.loads((tree / f"current/simple/{project}/index.v1_json").read_bytes())
    return [file["filename"] for file in page["files"]]


# -- a folder


def test_what_is_in_a_tree(synced: User) -> None:
    run = publish(synced)
    assert "2 projects, 4 files" in run.out
    tree = synced.folder / "tree"
    names = json.loads((tree / "current/simple/index.v1_json").read_bytes())
    assert [one["name"] for one in names["projects"]] == ["gear", "toy"]
    assert all(one["_last-serial"] for one in names["projects"])
    page = json.loads((tree / "current/simple/toy/index.v1_json").read_bytes())
    for file in page["files"]:
        path = (tree / "current/simple/toy" / file["url"]).resolve()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["hashes"]["sha256"]
        metadata = path.with_name(f"{path.name}.metadata").read_bytes()
        assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"], "although the index has none"
    assert b"data-core-metadata" in (tree / "current/simple/toy/index.html").read_bytes()
    packed = gzip.decompress((tree / "current/simple/toy/index.html.gz").read_bytes())
    assert packed == (tree / "current/simple/toy/index.html").read_bytes()


def test_files_are_those_of_the_store(synced: User) -> None:
    publish(synced)
    [wheel] = (synced.folder / "tree/packages").glob("*/*/toy-2.0-py3-none-any.whl")
    assert wheel.stat().st_nlink == 2


@pytest.mark.whole
def test_pip_uv_and_we_install_from_it(synced: User, tmp_path: Path) -> None:
    publish(synced)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    with web(synced.folder / "tree/current") as url:
        words = ["--no-cache-dir", "--disable-pip-version-check", "--index-url", f"{url}/simple/"]
        subprocess.run([python, "-m", "pip", "install", "-q", *words, "toy==1.1"], check=True, env=env)
        words = ["--no-config", "--no-cache", "--default-index", f"{url}/simple/", "--python", python]
        subprocess.run([uv.find_uv_bin(), "pip", "install", "-q", *words, "toy==2.0"], check=True, env=env)
        downstream = {"TF_TESTER_INDEX_URL": f"{url}/simple", "TF_TESTER_STORE": str(tmp_path / "downstream")}
        for expected in ("2 projects, 4 files", "nothing new; 2 projects, 4 files"):
            run = synced.run("sync", "team.toml", env=downstream)
            assert expected in run.out, run.err


def test_unchanged_it_stays_and_changed_it_is_switched(synced: User, index: Simulator) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    first = (tree / "current").readlink()
    assert "nothing new" in publish(synced).out
    assert (tree / "current").readlink() == first
    new = add(index, "2.1")
    sync(synced)
    run = publish(synced)
    assert "6 pages and 1 file (" in run.out, "those of toy and the lists, packed too; no page of gear"
    assert (tree / "current").readlink() != first
    assert new in shown(tree)
    gear = tree / "current/simple/gear/index.html"
    assert gear.stat().st_nlink == 2, "a page that has not changed is there once"


def test_going_back(synced: User, index: Simulator) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    before = shown(tree)
    add(index, "2.1")
    sync(synced)
    publish(synced)
    assert shown(tree) != before
    publish(synced, "--rollback")
    assert shown(tree) == before
    listed = publish(synced, "--list").out.splitlines()
    assert [line.endswith("shown") for line in listed] == [True, False]
    publish(synced, "--rollback", listed[1].split()[0])
    assert shown(tree) != before
    assert "no generation" in publish(synced, "--rollback", "absent", code=2).err


def test_what_was_gone_back_from_is_not_shown_before_there_is_something_else(synced: User, index: Simulator) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    before = shown(tree)
    add(index, "2.1")
    sync(synced)
    publish(synced)
    newest = publish(synced, "--list").out.splitlines()[-1].split()[0]
    assert "It stays so until the replica holds something else" in publish(synced, "--rollback").out
    for _ in range(2):
        told = publish(synced).out
        assert "what the replica holds was gone back from" in told
        assert f"`tf-tester publish tree --rollback {newest}`" in told
        assert shown(tree) == before
    add(index, "2.2")
    sync(synced)
    assert f"The replica has changed since {newest}, which was gone back from." in publish(synced).out
    assert len(shown(tree)) == len(before) + 2
    assert "nothing new" in publish(synced).out
    publish(synced, "--rollback", newest)
    assert len(shown(tree)) == len(before) + 1
    publish(synced, "--verify", "--deep")


def test_what_was_published_by_somebody_who_died_was_not_gone_back_from(synced: User, index: Simulator) -> None:
    """Whether or not there was a rollback before."""
    publish(synced)
    tree = synced.folder / "tree"
    add(index, "2.1")
    sync(synced)
    publish(synced)
    publish(synced, "--rollback")
    first = (tree / "current").readlink()
    add(index, "2.2")
    sync(synced)
    publish(synced)
    (tree / "current").unlink()
    (tree / "current").symlink_to(first)  # as if it had not come to this
    assert "gone back from" not in publish(synced).out
    assert (tree / "current").readlink() != first


@pytest.mark.parametrize("name", ["28261127T140026-a9c1", "28261127T140026.482913-5e0f92a1"])
def test_it_comes_after_what_is_there_also_where_the_clock_was_set_back(
    synced: User, index: Simulator, name: str
) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    before = shown(tree)
    current = tree / "current"
    folder = current.resolve()
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(folder.name, name))
    folder.rename(folder.with_name(name))
    current.unlink()
    current.symlink_to(Path("generations", name))
    add(index, "2.1")
    sync(synced)
    publish(synced)
    assert shown(tree) != before
    listed = publish(synced, "--list").out.splitlines()
    assert [(line.startswith(name), line.endswith("shown")) for line in listed] == [(True, False), (False, True)]
    publish(synced, "--rollback")
    assert shown(tree) == before


def test_old_generations_go_and_what_they_alone_needed(synced: User, index: Simulator) -> None:
    publish(synced)
    index.remove("toy-1.0-py3-none-any.whl")
    sync(synced)
    publish(synced, "--keep", "2")
    old = list((synced.folder / "tree/packages").glob("*/*/toy-1.0-*"))
    assert len(old) == 2, "a generation that is kept has it"
    add(index, "2.1")
    sync(synced)
    assert ", 1 file went" in publish(synced, "--keep", "2").out
    assert not list((synced.folder / "tree/packages").glob("*/*/toy-1.0-*"))
    assert len(publish(synced, "--list").out.splitlines()) == 2
    publish(synced, "--verify", "--deep")


def closed(tree: Path) -> list[str]:
    """What another user, such as a web server's, can't read."""
    found = [path for path in (tree, *tree.rglob("*")) if not path.is_symlink() and path.name != ".lock"]
    wanted = {path: 0o555 if path.is_dir() else 0o444 for path in found}
    return [path.name for path, mode in wanted.items() if path.stat().st_mode & mode != mode]


def test_everybody_can_read_it_whatever_the_umask_and_the_modes_of_before(synced: User, index: Simulator) -> None:
    tree = synced.folder / "tree"
    words = [sys.executable, "-m", "tf_tester", "publish", "tree"]
    masked = ["sh", "-c", 'umask 077; exec "$@"', "sh", *words]
    subprocess.run(masked, cwd=synced.folder, env=synced.env, check=True, capture_output=True)
    assert closed(tree) == []
    for path in (tree, tree / "packages", *tree.glob("packages/??/*/*"), tree / "current/simple/toy/index.html"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    found = publish(synced, "--verify", code=4)
    assert "packages can't be read by other users" in found.err
    assert "simple/toy/index.html can't be read by other users" in found.err
    assert "nothing new" in publish(synced).out
    assert closed(tree) == []
    publish(synced, "--verify")


def test_what_is_wrong_is_found(synced: User) -> None:
    publish(synced)
    assert "are as the manifest says" in publish(synced, "--verify").out
    tree = synced.folder / "tree"
    [wheel] = (tree / "packages").glob("*/*/toy-2.0-py3-none-any.whl")
    content = bytearray(wheel.read_bytes())
    wheel.unlink()  # not the store's own
    content[100] ^= 1
    wheel.write_bytes(content)
    publish(synced, "--verify")
    run = publish(synced, "--verify", "--deep", code=4)
    assert "toy-2.0-py3-none-any.whl is not what the manifest says" in run.err
    wheel.unlink()
    assert "is not there" in publish(synced, "--verify", code=4).err
    page = tree / "current/simple/gear/index.html"
    page.write_text("x")
    assert "simple/gear/index.html is not what" in publish(synced, "--verify", code=4).err
    assert "1 file" in publish(synced, "--sign", str(key(synced))).out, "and what was lost is brought again"


def test_publishing_again_mends_what_was_lost_cut_or_changed(synced: User) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    wheels = sorted((tree / "packages").glob("*/*/*.whl"))
    for number, place in enumerate(wheels[:3]):
        content = place.read_bytes()
        place.unlink()  # not the store's own
        if number:
            place.write_bytes(content[:50] if number == 1 else content[:-1] + b"!")
    publish(synced, "--verify", "--deep", code=4)
    assert "3 files that had been lost or changed" in publish(synced).out
    publish(synced, "--verify", "--deep")
    assert publish(synced).out.endswith(").\n"), "nothing is left to mend"


def test_publishing_again_mends_a_page_that_is_a_folder(synced: User) -> None:
    publish(synced)
    page = synced.folder / "tree/current/simple/toy/index.html"
    content = page.read_bytes()
    page.unlink()
    page.mkdir()
    publish(synced)
    assert (synced.folder / "tree/current/simple/toy/index.html").read_bytes() == content


def test_publishing_again_mends_pages_and_generations(synced: User, index: Simulator) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    for page in ("simple/gear/index.html", "simple/toy/index.v1_json"):
        (tree / "current" / page).chmod(0o600)
        (tree / "current" / page).write_text("x")
    (tree / "current/simple/index.html").unlink()
    assert "pages that had been lost or changed" in publish(synced).out
    publish(synced, "--verify", "--deep")
    (tree / "current/manifest.json").chmod(0o600)
    (tree / "current/manifest.json").write_text("{")
    assert " shows " in publish(synced).out
    publish(synced, "--verify", "--deep")
    publish(synced, "--list")
    shutil.rmtree((tree / "current").resolve())
    assert " shows " in publish(synced).out
    publish(synced, "--verify", "--deep")


def test_what_rots_unseen_is_not_copied_to_another_disk(synced: User) -> None:
    place = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if place.stat().st_dev == synced.store.stat().st_dev:
            pytest.skip("there is no other disk")
        [blob] = [path for path in (synced.store / "blobs").glob("*/*") if b"toy-1.0.dist-info" in path.read_bytes()]
        content = blob.read_bytes()
        rot_unseen(blob, synced.store)
        publish(synced, target=str(place / "tree"))
        [published] = (place / "tree/packages").glob("*/*/toy-1.0-*.whl")
        assert published.read_bytes() == blob.read_bytes() == content
    finally:
        shutil.rmtree(place)


def test_copies_on_another_disk_are_mended_too(synced: User) -> None:
    """They are read only where they were touched."""
    place = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if place.stat().st_dev == synced.store.stat().st_dev:
            pytest.skip("there is no other disk")
        target = str(place / "tree")
        publish(synced, target=target)
        [wheel] = (place / "tree/packages").glob("*/*/toy-2.0-py3-none-any.whl")
        content = wheel.read_bytes()
        wheel.chmod(0o600)
        wheel.write_bytes(content[:-1] + b"!")
        assert "1 file that had been lost" in publish(synced, target=target).out
        assert wheel.read_bytes() == content
        wheel.touch()
        assert publish(synced, target=target).out.endswith(").\n")
    finally:
        shutil.rmtree(place)


def key(user: User) -> Path:
    private, public = user.folder / "key.pem", user.folder / "public.pem"
    if not private.exists():
        from cryptography.hazmat.primitives import serialization as forms
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        made = Ed25519PrivateKey.generate()
        none = forms.NoEncryption()
        private.write_bytes(made.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, none))
        spki = forms.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(made.public_key().public_bytes(forms.Encoding.PEM, spki))
    return private


def test_signed_by_whom(synced: User) -> None:
    key(synced)
    publish(synced)
    assert "isn't signed" in publish(synced, "--verify", "--key", "public.pem", code=4).err
    assert "nothing new" not in publish(synced, "--sign", "key.pem").out
    assert "nothing new" in publish(synced, "--sign", "key.pem").out
    publish(synced, "--verify", "--key", "public.pem")
    assert "is a public key" in publish(synced, "--sign", "public.pem", code=2).err
    assert "openssl" in publish(synced, "--sign", "absent.pem", code=2).err
    manifest = synced.folder / "tree/current/manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"mirror": "team"', b'"mirror": "evil"'))
    assert "not of that key" in publish(synced, "--verify", "--key", "public.pem", code=4).err


def test_nothing_of_others_is_touched(synced: User) -> None:
    theirs = synced.write("tree/packages/ab/precious.whl", "x")
    assert "holds other things" in publish(synced, code=2).err
    assert theirs.exists()
    assert not (synced.folder / "tree/generations").exists()


def test_a_first_time_that_was_killed_can_be_repeated(synced: User) -> None:
    assert synced.run("publish", "tree", dies_at=("os.link", 1)).code == -signal.SIGKILL
    assert (synced.folder / "tree" / "packages").exists()
    publish(synced)
    publish(synced, "--verify", "--deep")


def test_another_replica_has_another_place(synced: User) -> None:
    publish(synced)
    synced.write("other.toml", 'projects = ["gear"]\n')
    assert synced.run("sync", "other.toml").code == 0
    assert "The store holds several replicas." in publish(synced, code=2).err
    assert "There is the replica team, not other." in publish(synced, "--name", "other", code=2).err
    assert "no replica named absent" in publish(synced, "--name", "absent", code=2).err


@pytest.mark.whole
def test_killed_at_any_moment_it_shows_what_was_there(synced: User, index: Simulator) -> None:
    publish(synced)
    tree = synced.folder / "tree"
    for number in range(8):
        add(index, f"3.{number}")
        sync(synced)
        assert synced.run("publish", "tree", dies_at=("", 10 + 25 * number)).code == -signal.SIGKILL
        publish(synced, "--verify", "--deep")
    publish(synced)
    publish(synced, "--verify", "--deep")
    assert not list((tree / "generations").glob("*.part"))
    assert len(shown(tree)) == 11


def test_a_replica_of_which_a_project_was_forgotten_is_not_published(synced: User) -> None:
    publish(synced)
    before = shown(synced.folder / "tree")
    with closing(sqlite3.connect(synced.store / "ledger.sqlite")) as database:
        database.execute("UPDATE memo SET value = x'00' WHERE kind = 'replica-project' AND key LIKE '%/toy'")
        database.commit()
    assert "Sync it" in publish(synced, code=4).err
    assert shown(synced.folder / "tree") == before
    sync(synced)
    publish(synced)
    assert shown(synced.folder / "tree") == before


def test_what_the_store_has_lost_is_fetched_again(synced: User) -> None:
    [blob] = [path for path in (synced.store / "blobs").glob("*/*") if b"toy-1.0.dist-info" in path.read_bytes()]
    blob.unlink()
    publish(synced)
    assert blob.is_file()
    assert "toy-1.0-py3-none-any.whl" in shown(synced.folder / "tree")


def test_what_the_store_has_lost_is_left_out(synced: User, index: Simulator) -> None:
    index.fault("toy-1.0-py3-none-any.whl", Status(404))
    [blob] = [path for path in (synced.store / "blobs").glob("*/*") if b"toy-1.0.dist-info" in path.read_bytes()]
    blob.unlink()
    run = publish(synced, code=4)
    assert "toy-1.0-py3-none-any.whl" in run.err
    assert shown(synced.folder / "tree") == ["toy-1.1-py3-none-any.whl", "toy-2.0-py3-none-any.whl"]
    publish(synced, "--verify", "--deep")


def test_bandersnatch_finds_what_it_goes_by(synced: User) -> None:
    publish(synced, "--url", "https://mirror.example/")
    tree = synced.folder / "tree"
    told = json.loads((tree / "current/pypi/toy/json").read_bytes())
    assert (told["info"]["name"], told["info"]["version"]) == ("toy", "2.0")
    assert told["info"]["requires_dist"] == ["gear>=1"]
    listed = json.loads((tree / "current/simple/index.v1_json").read_bytes())
    assert told["last_serial"] == {one["name"]: one["_last-serial"] for one in listed["projects"]}["toy"]
    [file] = told["releases"]["1.1"]
    assert file["upload_time_iso_8601"] == "2021-03-01T00:00:00.000000Z"
    path = tree / "current" / file["url"].removeprefix("https://mirror.example/")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file["digests"]["sha256"]


def test_a_place_that_is_no_folder(synced: User) -> None:
    synced.write("tree", "x")
    assert "can't be used" in publish(synced, code=4).err


# -- servers


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(url: str) -> None:
    for _ in range(1200):  # a minute
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except URLError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens at {url}")


def get(url: str, **headers: str) -> tuple[dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


@pytest.mark.parametrize("server", ["nginx", "caddy"])
def test_the_configuration_does_what_it_should(synced: User, server: str) -> None:
    program = shutil.which(server, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{server} isn't installed")
    publish(synced, "--url", "http://127.0.0.1")
    text = publish(synced, "--print", server).out
    port = free_port()
    if server == "nginx":
        text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        own = "daemon off; worker_processes 1; pid pid; error_log error; events {} "
        own += "user root; " if os.geteuid() == 0 else ""
        file = synced.write("nginx.conf", f"{own} http {{ access_log off; {text} }}")
        words = [program, "-p", str(synced.folder), "-c", str(file)]
    else:
        file = synced.write(
            "Caddyfile", "{\nadmin off\n}\n" + text.replace("mirror.example {", f"http://127.0.0.1:{port} {{")
        )
        words = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
    (synced.home / "project").chmod(0o755)
    env = {"HOME": str(synced.home), "PATH": os.defpath}
    process = subprocess.Popen(words, cwd=synced.folder, env=env, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/simple/")
        told, page = get(f"{url}/simple/toy/", Accept=f"{JSON}, text/html;q=0.01")
        assert told["content-type"] == JSON
        assert "Accept" in told["vary"] and "max-age=60" in told["cache-control"]
        [path] = [file["url"] for file in json.loads(page)["files"] if file["filename"].startswith("toy-2.0")]
        told, packed = get(f"{url}/simple/toy/", Accept=JSON, Accept_Encoding="gzip")
        assert told["content-encoding"] == "gzip" and gzip.decompress(packed) == page
        told, html = get(f"{url}/simple/toy")
        assert told["content-type"].startswith("text/html") and b"toy-2.0" in html
        assert get(f"{url}/")[1].startswith(b"<!DOCTYPE html>")
        told, _ = get(f"{url}/simple/toy/{path}")
        assert "immutable" in told["cache-control"]
        assert get(f"{url}/simple/toy/{path}", Range="bytes=0-1")[1] == b"PK"
        told, _ = get(f"{url}/pypi/toy/json")
        assert told["content-type"] == "application/json" and int(told["x-pypi-last-serial"]) > 2**31
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_function_for_a_cdn_chooses_as_servers_do(user: User) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node isn't installed")
    function = publish(user, "--print", "cdn", target="s3://bucket/prefix").out
    asks = [
        ("/simple/toy/", JSON),
        ("/simple/toy/", "text/html"),
        ("/simple/toy", ""),
        ("/", ""),
        ("/packages/a/b", JSON),
    ]
    calls = ", ".join(
        f"handler({{request: {{uri: {json.dumps(uri)}, headers: {json.dumps({'accept': {'value': accept}})}}}}})"
        for uri, accept in asks
    )
    script = user.write("function.js", f"{function}\nconsole.log(JSON.stringify([{calls}]));\n")
    done = subprocess.run([node, str(script)], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert [one.get("uri") or one["headers"]["location"]["value"] for one in told] == [
        "/simple/toy/index.v1_json",
        "/simple/toy/index.html",
        "/simple/toy/",
        "/simple/",
        "/packages/a/b",
    ]


# -- a bucket


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """A server that speaks S3."""
    from moto.server import ThreadedMotoServer  # takes most of a second

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def store_of(storage: str) -> S3Store:
    return S3Store(
        "tree-bucket",
        prefix="a",
        endpoint=storage,
        region="us-east-1",
        access_key_id="me",
        secret_access_key="secret",
        client_options={"allow_http": True},
    )


def objects(storage: str, path: str) -> "obstore.GetResult | None":
    try:
        return obstore.get(store_of(storage), path)
    except FileNotFoundError:
        return None


@pytest.fixture
def bucket(storage: str, synced: User) -> Callable[[str], bytes | None]:
    """An empty bucket named `tree`; reads its objects as a CDN does."""
    variables = {"AWS_ENDPOINT_URL": storage, "AWS_REGION": "us-east-1"}
    variables |= {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret"}
    synced.env.update(variables)
    post = urllib.request.Request(f"{storage}/moto-api/reset", method="POST")
    urllib.request.urlopen(post, timeout=30).close()
    put = urllib.request.Request(f"{storage}/tree-bucket", method="PUT")
    urllib.request.urlopen(put, timeout=30).close()

    def read(path: str) -> bytes | None:
        told = objects(storage, path)
        if told is None:
            return None
        if path.startswith("simple/"):
            assert told.attributes["Content-Type"] == (JSON if path.endswith("json") else "text/html; charset=utf-8")
        assert ("immutable" in told.attributes["Cache-Control"]) == path.startswith("packages/")
        return bytes(told.bytes())

    return read


BUCKET = "s3://tree-bucket/a"


@pytest.mark.whole
def test_a_bucket(synced: User, index: Simulator, bucket: Callable[[str], bytes | None], storage: str) -> None:
    key(synced)
    run = publish(synced, "--sign", "key.pem", target=BUCKET)
    assert "2 projects, 4 files" in run.out
    assert "nothing new" in publish(synced, "--sign", "key.pem", target=BUCKET).out
    publish(synced, "--verify", "--deep", "--key", "public.pem", target=BUCKET)
    page = json.loads(bucket("simple/toy/index.v1_json") or b"")
    for file in page["files"]:
        content = bucket(file["url"].removeprefix("../../"))
        assert content is not None and hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"]
    before = bucket("simple/toy/index.html")
    add(index, "2.1")
    sync(synced)
    assert "3 pages and 1 file (" in publish(synced, target=BUCKET).out
    assert bucket("manifest.json.sig") is None, "this one is not signed"
    assert bucket("simple/toy/index.html") != before
    publish(synced, "--rollback", target=BUCKET)
    assert bucket("simple/toy/index.html") == before
    assert "was gone back from" in publish(synced, target=BUCKET).out
    assert bucket("simple/toy/index.html") == before
    publish(synced, "--verify", "--deep", "--key", "public.pem", target=BUCKET)
    assert objects(storage, "publishing") is None


def test_old_generations_of_a_bucket_go(synced: User, index: Simulator, bucket: Callable[[str], bytes | None]) -> None:
    publish(synced, target=BUCKET)
    path = next(
        file["url"].removeprefix("../../")
        for file in json.loads(bucket("simple/toy/index.v1_json") or b"")["files"]
        if file["filename"].startswith("toy-1.0")
    )
    index.remove("toy-1.0-py3-none-any.whl")
    sync(synced)
    assert ", 1 file went" in publish(synced, "--keep", "1", target=BUCKET).out
    assert bucket(path) is None
    assert len(publish(synced, "--list", target=BUCKET).out.splitlines()) == 1
    publish(synced, "--verify", "--deep", target=BUCKET)


@pytest.mark.whole
def test_what_is_lost_in_a_bucket_is_mended(synced: User, bucket: Callable[[str], bytes | None], storage: str) -> None:
    publish(synced, target=BUCKET)
    page = json.loads(bucket("simple/toy/index.v1_json") or b"")
    path = page["files"][0]["url"].removeprefix("../../")
    obstore.put(store_of(storage), path, b"cut")
    assert "1 file that had been lost" in publish(synced, target=BUCKET).out
    obstore.delete(store_of(storage), ["simple/toy/index.html"])
    assert "pages that had been lost" in publish(synced, target=BUCKET).out
    publish(synced, "--verify", "--deep", target=BUCKET)


@pytest.mark.whole
def test_in_a_bucket_it_comes_after_what_is_there(
    synced: User, index: Simulator, bucket: Callable[[str], bytes | None], storage: str
) -> None:
    name = "28261127T140026-a9c1"
    publish(synced, target=BUCKET)
    content = bucket("manifest.json")
    assert content is not None
    generation = json.loads(content)["generation"].encode()
    for path in ("manifest.json", f"generations/{name}/manifest.json"):
        attributes = {"Content-Type": "application/json", "Cache-Control": "public, max-age=60"}
        obstore.put(store_of(storage), path, content.replace(generation, name.encode()), attributes=attributes)
    obstore.delete(store_of(storage), f"generations/{generation.decode()}/manifest.json")
    add(index, "2.1")
    sync(synced)
    publish(synced, target=BUCKET)
    listed = publish(synced, "--list", target=BUCKET).out.splitlines()
    assert [(line.startswith(name), line.endswith("shown")) for line in listed] == [(True, False), (False, True)]
    publish(synced, "--rollback", target=BUCKET)
    publish(synced, "--verify", target=BUCKET)


@pytest.mark.whole
def test_killed_while_it_fills_a_bucket(
    synced: User, index: Simulator, bucket: Callable[[str], bytes | None], storage: str
) -> None:
    publish(synced, target=BUCKET)
    for at in (4, 13, 21, 27):
        add(index, f"3.{at}")
        sync(synced)
        assert synced.run("publish", BUCKET, dies_at=("obstore.", at)).code == -signal.SIGKILL
        page = json.loads(bucket("simple/toy/index.v1_json") or b"")
        assert all(bucket(file["url"].removeprefix("../../")) for file in page["files"]), "each link leads somewhere"
        if objects(storage, "publishing") is not None:
            assert "since" in publish(synced, target=BUCKET, code=4).err
            obstore.put(store_of(storage), "publishing", b"2020-01-01T00:00:00+00:00")
        publish(synced, target=BUCKET)
        publish(synced, "--verify", "--deep", target=BUCKET)


def test_what_somebody_left_half_shown_is_mended(
    synced: User, bucket: Callable[[str], bytes | None], storage: str
) -> None:
    publish(synced, target=BUCKET)
    page = bucket("simple/toy/index.html")
    for path in ("simple/toy/index.html", "simple/absent/index.html", "switching"):
        obstore.put(store_of(storage), path, b"of another generation")
    assert "nothing new" not in publish(synced, target=BUCKET).out
    assert bucket("simple/toy/index.html") == page
    assert objects(storage, "simple/absent/index.html") is None
    assert objects(storage, "switching") is None
    publish(synced, "--verify", "--deep", target=BUCKET)
    assert "nothing new" in publish(synced, target=BUCKET).out


def test_a_bucket_that_is_not_there(synced: User, bucket: Callable[[str], bytes | None]) -> None:
    run = publish(synced, target="s3://nothing-here/a", code=4)
    assert "s3://nothing-here/a can't be used" in run.err
    assert "AWS_ACCESS_KEY_ID" in run.err


def test_nothing_of_others_in_a_bucket_is_touched(
    synced: User, bucket: Callable[[str], bytes | None], storage: str
) -> None:
    obstore.put(store_of(storage), "precious", b"x")
    assert "holds other things, such as precious" in publish(synced, target=BUCKET, code=2).err


def test_mistakes_are_one_sentence(user: User) -> None:
    assert "exclude one another" in publish(user, "--list", "--verify", code=2).err
    assert "go with --verify" in publish(user, "--deep", code=2).err
    assert "This store holds no replica." in publish(user, code=2).err
    assert "Nothing is published there." in publish(user, "--verify", code=2).err
    assert "There is no earlier generation." in publish(user, "--rollback", code=2).err


def test_a_file_that_rots_in_the_store_is_fetched_again_and_never_published(synced: User, index: Simulator) -> None:
    [blob] = [path for path in (synced.store / "blobs").glob("*/*") if b"toy-1.0.dist-info" in path.read_bytes()]
    status, content = blob.stat(), blob.read_bytes()
    blob.chmod(0o644)
    with blob.open("r+b") as stream:
        stream.write(b"XX")
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))
    publish(synced)
    [published] = (synced.folder / "tree/current/packages").glob("*/*/toy-1.0-*.whl")
    assert published.read_bytes() == blob.read_bytes() == content


def test_a_file_that_rots_and_cannot_be_fetched_is_left_out_and_told(synced: User, index: Simulator) -> None:
    [blob] = [path for path in (synced.store / "blobs").glob("*/*") if b"toy-1.0.dist-info" in path.read_bytes()]
    blob.chmod(0o644)
    with blob.open("r+b") as stream:
        stream.write(b"XX")
    index.fault("toy-1.0-py3-none-any.whl", Status(404))
    run = publish(synced, code=4)
    assert "toy-1.0" in run.out + run.err
    assert not list((synced.folder / "tree/current/packages").glob("*/*/toy-1.0-*.whl"))
