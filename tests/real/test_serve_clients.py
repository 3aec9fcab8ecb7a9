"""Clients as people have them against `tf-tester serve`, each of today and in an environment of its own."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import trustme
import uv

from tests.integration.conftest import Run, User
from tests.integration.host.test_serve import JSON, serving
from tests.real.conftest import index_trouble
from tests.simulator import Simulator
from tests.wheels import make_sdist, make_wheel
from tf_tester.index.authority import authority_url, pip_index_url, uv_default_index

pytestmark = pytest.mark.real

TOY = "toy-2.0-py3-none-any.whl"
GEAR = "gear-1.0-py3-none-any.whl"
# With the dependencies that it was released with; newer ones have broken it.
NAMED = {"pdm": "pdm[locked]"}


@dataclass(frozen=True)
class Way:
    """How the server is spoken to."""

    options: tuple[str, ...] = ()
    """Of `serve`."""
    authority: str = ""
    """The file of whom to trust; empty over plain HTTP."""

    def trusted_by(self, variable: str) -> dict[str, str]:
        return {variable: self.authority} if self.authority else {}


@dataclass(frozen=True)
class Clients:
    """Programs that aren't ours, in a home where nothing is configured."""

    programs: Callable[[str], Path]
    home: Path

    def run(
        self, name: str, *words: str | Path, env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Run:
        told = {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PDM_CHECK_UPDATE": "0",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        done = subprocess.run(
            [self.programs(name), *words],
            cwd=folder or self.home,
            env=told | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        run = Run(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in run.out + run.err, run.out + run.err
        return run

    def do(
        self, name: str, *words: str | Path, env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> str:
        run = self.run(name, *words, env=env, folder=folder)
        assert run.code == 0, run.out + run.err
        return run.out

    def environment(self, folder: Path) -> Path:
        """The Python of an empty one."""
        self.do("uv", "venv", "-q", "--no-config", "--python", sys.executable, folder)
        return folder / "bin" / "python"


def installed(python: Path) -> dict[str, str]:
    """Versions of what is in an environment, by name."""
    lines = "from importlib.metadata import distributions as all\nfor one in all(): print(one.name, one.version)"
    shown = subprocess.run([python, "-I", "-c", lines], check=True, capture_output=True, text=True, timeout=60)
    found = dict(line.split() for line in shown.stdout.splitlines())
    return {name: version for name, version in found.items() if name not in ("pip", "setuptools", "wheel")}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a client is, by name; installed from the user's index when it is first wanted."""
    if index_trouble():
        pytest.skip(index_trouble())
    folder = tmp_path_factory.mktemp("clients")
    url = authority_url(os.environ, lambda: pip_index_url(os.environ) or uv_default_index(os.environ))

    @cache
    def program(name: str) -> Path:
        home = folder / name
        make = ["venv", "--clear", "--python", sys.executable, str(home)]
        fill = ["pip", "install", "--python", str(home), NAMED.get(name, name)]
        for words in (make, fill):
            done = subprocess.run(
                [uv.find_uv_bin(), "-q", *words],
                cwd=folder,
                env=os.environ | {"UV_DEFAULT_INDEX": url},
                capture_output=True,
                text=True,
                timeout=300,
            )
            if done.returncode:
                pytest.skip(f"{name} can't be installed from the index: {done.stderr.strip()}")
        return home / "bin" / name

    return program


@pytest.fixture
def clients(programs: Callable[[str], Path], tmp_path: Path) -> Clients:
    home = tmp_path / "client"
    home.mkdir()
    return Clients(programs, home)


@pytest.fixture
def index() -> Iterator[Simulator]:
    """toy 1.0 and 2.0, which need gear; each file tells its metadata, but for that of gear."""
    with Simulator() as simulator:
        for version in ("1.0", "2.0"):
            filename, content = make_wheel("toy", version, requires=["gear>=1"])
            simulator.add_wheel(filename, content, upload_time=f"202{version[0]}-01-01T00:00:00Z", metadata=True)
        simulator.add_wheel(*make_wheel("gear", "1.0"), upload_time="2019-01-01T00:00:00Z")
        yield simulator


@pytest.fixture
def user(tmp_path: Path, index: Simulator) -> User:
    return User(tmp_path, index)


@pytest.fixture(params=["http", "https"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return over_tls(tmp_path) if request.param == "https" else Way()


def over_tls(folder: Path) -> Way:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    trusted, certificate, key = (folder / name for name in ("authority.pem", "certificate.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(trusted))
    server.private_key_pem.write_to_path(str(key))
    certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    return Way(("--tls-cert", str(certificate), "--tls-key", str(key)), str(trusted))


# -- installers


def test_pip_and_uv_install_from_it(clients: Clients, user: User, index: Simulator, way: Way) -> None:
    python = clients.environment(clients.home / "environment")
    with serving(user, *way.options) as running:
        words = ["--index-url", f"{running.url}/simple/", "toy==1.0"]
        clients.do("pip", "--python", python, "install", *words, env=way.trusted_by("PIP_CERT"))
        assert installed(python) == {"toy": "1.0", "gear": "1.0"}
        words = ["--no-config", "--python", str(python), "--default-index", f"{running.url}/simple/"]
        env = way.trusted_by("SSL_CERT_FILE")
        clients.do("uv", "pip", "install", "--reinstall", *words, "toy", env=env)
        assert installed(python) == {"toy": "2.0", "gear": "1.0"}
    assert index.bytes_sent[GEAR] == index.artifact(GEAR).size, "both had it, and it was fetched once"


def test_clients_that_do_not_trust_it_install_nothing(clients: Clients, user: User, tmp_path: Path) -> None:
    python = clients.environment(clients.home / "environment")
    with serving(user, *over_tls(tmp_path).options) as running:
        words = ["--retries", "0", "--index-url", f"{running.url}/simple/"]
        run = clients.run("pip", "--python", python, "install", *words, "toy")
        assert (run.code, "certificate verify failed" in run.out + run.err) == (1, True), run.out + run.err
        words = ["--no-config", "--python", str(python), "--default-index", f"{running.url}/simple/"]
        run = clients.run("uv", "pip", "install", *words, "toy", env={"UV_HTTP_RETRIES": "0"})
        assert (run.code, "invalid peer certificate" in run.err) == (2, True), run.err
    assert installed(python) == {}


def test_poetry_locks_and_installs_from_it(clients: Clients, user: User, index: Simulator, way: Way) -> None:
    folder = clients.home / "project"
    folder.mkdir()
    with serving(user, *way.options) as running:
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["toy"]\n'
            "[tool.poetry]\npackage-mode = false\n"
            f'[[tool.poetry.source]]\nname = "served"\nurl = "{running.url}/simple/"\npriority = "primary"\n'
        )
        trust = f'[certificates.served]\ncert = "{way.authority}"\n' if way.authority else ""
        (folder / "poetry.toml").write_text(f"[virtualenvs]\nin-project = true\n{trust}")
        clients.do("poetry", "lock", "--no-interaction", folder=folder)
        locked = tomllib.loads((folder / "poetry.lock").read_text())["package"]
        assert {one["name"]: one["files"] for one in locked} == {
            name.split("-")[0]: [{"file": name, "hash": f"sha256:{index.artifact(name).sha256}"}]
            for name in (TOY, GEAR)
        }
        clients.do("poetry", "install", "--no-interaction", folder=folder)
    assert installed(folder / ".venv" / "bin" / "python") == {"toy": "2.0", "gear": "1.0"}


def test_pdm_locks_and_installs_from_it(clients: Clients, user: User, index: Simulator, way: Way) -> None:
    folder = clients.home / "project"
    folder.mkdir()
    python = clients.environment(folder / ".venv")
    env = way.trusted_by("REQUESTS_CA_BUNDLE")
    with serving(user, *way.options) as running:
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["toy"]\n'
            "[tool.pdm]\ndistribution = false\n"
            f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{running.url}/simple/"\n'
        )
        clients.do("pdm", "use", "--first", python, env=env, folder=folder)
        used = clients.do("pdm", "info", "--python", env=env, folder=folder).strip()
        assert used == str(python), "and nothing is put anywhere else"
        clients.do("pdm", "lock", env=env, folder=folder)
        locked = tomllib.loads((folder / "pdm.lock").read_text())["package"]
        assert {one["name"]: one["files"] for one in locked} == {
            name.split("-")[0]: [{"file": name, "hash": f"sha256:{index.artifact(name).sha256}"}]
            for name in (TOY, GEAR)
        }
        clients.do("pdm", "install", env=env, folder=folder)
    assert installed(python) == {"toy": "2.0", "gear": "1.0"}


# -- uploads


def token(user: User, *words: str) -> str:
    run = user.run("token", "create", *words, "--tokens", str(user.home / "tokens.json"))
    assert run.code == 0, run.err
    return run.out.strip()


def test_what_twine_uploads_is_installed_by_pip(clients: Clients, user: User, index: Simulator, way: Way) -> None:
    release, reader = token(user, "release", "--upload"), token(user, "reader")
    made = [make_wheel("mine", "1.0", requires=["gear"]), make_sdist("mine", "1.1")]
    for name, content in made:
        (clients.home / name).write_bytes(content)
    wheel, sdist = (name for name, _ in made)
    options = ("--private", "private", "--uploads", "--tokens", str(user.home / "tokens.json"))
    with serving(user, *options, *way.options) as running:

        def twine(password: str, *words: str) -> Run:
            place = ("--non-interactive", "--disable-progress-bar", "--repository-url", f"{running.url}/private/")
            env = way.trusted_by("TWINE_CERT") | {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": password}
            return clients.run("twine", "upload", *place, *words, env=env)

        for wrong, status in (("tft-00000000-" + "0" * 64, "401"), (reader, "403")):
            run = twine(wrong, wheel)
            assert (run.code, f"HTTPError: {status}" in run.out) == (1, True), run.out + run.err
        assert twine(release, wheel, sdist).code == 0
        assert twine(release, wheel, sdist).code == 0, "the same again"
        (clients.home / wheel).write_bytes(make_wheel("mine", "1.0")[1])
        run = twine(release, wheel)
        assert (run.code, "HTTPError: 409 Conflict" in run.out) == (1, True), run.out + run.err
        python = clients.environment(clients.home / "environment")
        for path, wanted, found in (
            ("simple", "mine==1.0", {"mine": "1.0", "gear": "1.0"}),
            ("private/simple", "mine==1.1", {"mine": "1.1", "gear": "1.0"}),
        ):
            closed = clients.run(
                "pip",
                "--no-input",
                "download",
                "--index-url",
                f"{running.url}/{path}/",
                wanted,
                env=way.trusted_by("PIP_CERT"),
            )
            assert closed.code != 0, "whoever names no token reads nothing, also on this machine"
            named = running.url.replace("://", f"://__token__:{reader}@")
            words = ["--index-url", f"{named}/{path}/", wanted]
            clients.do("pip", "--python", python, "install", *words, env=way.trusted_by("PIP_CERT"))
            assert installed(python) == found
    assert index.requests["mine"] == 0, "and nobody hears of it"


# -- whatever comes


def test_no_request_that_schemathesis_makes_up_is_a_server_error(
    clients: Clients, user: User, index: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "prod.txt").write_text(f"toy==2.0 --hash=sha256:{index.artifact(TOY).sha256}\n")
    options = ("--private", "private", "--uploads", "--tokens", str(user.home / "tokens.json"))
    release = token(user, "release", "--upload")
    schema = clients.home / "schema.json"
    schema.write_text(json.dumps(described(index)))
    with serving(user, *options, "--locks", str(tmp_path / "locks")) as running:
        words = ["--checks", "not_a_server_error,status_code_conformance,ignored_auth", "--max-examples", "200"]
        words += ["--no-shrink", "--suppress-health-check", "all", "--generation-database", "none", "--seed", "1"]
        words += ["--url", running.url, "--header", f"Authorization: Bearer {release}", "--no-color"]
        told = clients.do("schemathesis", "run", *words, schema)
        assert "9 selected / 9 total" in told
        assert running.get("/healthz").status == 200


def described(index: Simulator) -> dict[str, Any]:
    """Our addresses, and how each may answer while the upstream does, as OpenAPI has it."""

    def told(place: str, name: str, *examples: str) -> dict[str, Any]:
        """A parameter: one of these, or whatever comes."""
        schema = {"anyOf": [{"enum": list(examples)}, {"type": "string"}]}
        named = {str(number): {"value": example} for number, example in enumerate(examples)}
        return {"in": place, "name": name, "required": place == "path", "schema": schema, "examples": named}

    def answers(*statuses: int) -> dict[str, Any]:
        return {"responses": {str(status): {"description": HTTPStatus(status).phrase} for status in statuses}}

    def page(*parameters: dict[str, Any]) -> dict[str, Any]:
        return {"get": answers(200, 301, 304, 404, 406), "parameters": [*parameters, *wishes]}

    digest = index.artifact(TOY).sha256 or ""
    wishes = [
        told("query", "format", JSON, "text/html"),
        told("header", "Accept", JSON, "text/html;q=0.1, */*"),
        told("header", "Accept-Encoding", "gzip", "zstd;q=0.5, gzip;q=0.1"),
        told("header", "If-None-Match", "*", '"x"'),
    ]
    file = [
        told("path", "sha256", digest),
        told("path", "filename", TOY, f"{TOY}.metadata"),
        told("header", "Range", "bytes=0-9", "bytes=-9", "bytes=999999-"),
        told("header", "If-Range", f'"{digest}"'),
        told("header", "If-None-Match", f'"{digest}"'),
    ]
    project = told("path", "project", "toy", "TO_Y", "gear", "absent")
    form = {
        "type": "object",
        "required": [":action", "name", "content"],
        "properties": {
            ":action": {"enum": ["file_upload"]},
            "name": {"type": "string"},
            "sha256_digest": {"type": "string"},
            "content": {"type": "string", "format": "binary"},
        },
    }
    upload = {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "security": [{"token": []}],
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "tf-tester serve", "version": "1"},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/simple/": page(),
            "/simple/{project}/": page(project),
            "/as-of/{day}/simple/{project}/": page(told("path", "day", "2021-06-01", "2021-06-01T00:00:00Z"), project),
            "/only/{name}/simple/{project}/": page(told("path", "name", "prod.txt"), project),
            "/files/{project}/{sha256}/{filename}": {
                "get": answers(200, 206, 304, 404, 416),
                "parameters": [project, *file],
            },
            "/private/": {"post": upload | answers(200, 400, 401, 403, 409, 413)},
            "/status/now.json": {"get": answers(200)},
            "/healthz": {"get": answers(200)},
            "/metrics": {"get": answers(200)},
        },
    }
