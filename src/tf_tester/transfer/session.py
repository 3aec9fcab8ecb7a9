"""One HTTP session: who may see credentials, which proxy, which certificates, which redirects.

Promise: credentials go to the scheme, host and port they belong to and nowhere else; no redirect leads from
https to http or to a file. Imported only when something is really fetched: aiohttp costs 200 ms.
"""

import asyncio
import base64
import shutil
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from yarl import URL

from tf_tester.core.fetch.retries import TroubleKind
from tf_tester.core.index.links import Origin, credentials, origin, resolve_link, without_credentials
from tf_tester.core.text.sizes import size_text
from tf_tester.errors import ConfigError
from tf_tester.transfer.settings import MAX_REDIRECTS, MIB, ClientSettings
from tf_tester.transfer.trouble import Trouble, translate

# Two contexts are made while aiohttp is imported, and the machine's certificates read for both: 90 ms for what is
# never used here. Both are left without any, so that nobody is believed by mistake.
ssl.SSLContext.set_default_verify_paths = lambda _: None  # type: ignore[method-assign, assignment]
try:
    import aiohttp
finally:
    del ssl.SSLContext.set_default_verify_paths  # the inherited one again

Credentials = tuple[str, str]
RequestBody = Callable[[], bytes | AsyncIterator[bytes]]

_REDIRECTS = {301, 302, 303, 307, 308}
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class HttpSession:
    """What all requests share; made and used inside the event loop."""

    def __init__(self, settings: ClientSettings, identities: dict[Origin, Credentials]) -> None:
        """Open it. `identities`: user names and passwords; some may be added later."""
        self.timeouts = timeouts = settings.timeouts
        self._may_ask = settings.may_ask
        self.places = asyncio.Semaphore(settings.connections)
        """For files; pages are small and don't queue behind them."""
        self._environ = environ = settings.environ
        self._identities = identities
        self._netrc = _netrc_hosts(environ)
        self._passwords: dict[tuple[Origin, str], str] = {}
        """From the user's keyring."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=timeouts.connect, sock_read=timeouts.stall, ceil_threshold=60
            ),
            headers={"User-Agent": settings.user_agent},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=MIB // 4,
        )

    async def close(self) -> None:
        await self._client.close()
        await asyncio.sleep(0)  # a turn of the loop for the transports to close

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return certificates(self._environ)  # 30 ms, which plain http doesn't need

    @asynccontextmanager
    async def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        authorization: str = "",
        body: RequestBody | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer, redirects followed; the address it came from is `str(response.url)`.

        `authorization`: goes where credentials would, in their place. `body`: gives what is sent, anew for each hop.
        Raises `Trouble` for whatever goes wrong until the block is left.
        """
        asked = origin(url)
        secret = credentials(url) or self._identities.get(asked) or self._netrc.get(asked.host)
        if not authorization and secret:
            if secret[0] and not secret[1]:
                secret = await self._from_keyring(asked, secret[0])
            authorization = _basic(secret)
        target = without_credentials(url)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                host = origin(target).host
                if self._may_ask is not None and not self._may_ask(host):
                    raise Trouble(
                        TroubleKind.FORBIDDEN, f"leads to {host}, which may not be asked (--allow-host {host})"
                    )
                own = {"Authorization": authorization} if authorization and origin(target) == asked else {}
                response = await self._ask(method, target, {**headers, **own}, body)
                try:
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or location is None:
                        yield response
                        return
                finally:
                    response.close() if not response.content.at_eof() else response.release()
                following = resolve_link(target, location)
                if following is None:
                    raise Trouble(TroubleKind.CONTENT, "redirects to an address that may not be followed")
                target = following
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translate(error) from error
        raise Trouble(TroubleKind.CONTENT, f"redirects more than {MAX_REDIRECTS} times")

    async def _from_keyring(self, place: Origin, user: str) -> Credentials:
        """Return the password of a user whose name stands in the address, as `keyring` has it; asked for once.

        By its command, as pip and uv can be told to: it asks the user where it must, and has its own environment.
        """
        known = self._passwords.get((place, user))
        if known is None:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(None, password_of, place, user, self._environ)
            self._passwords[place, user] = known
        return user, known

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: RequestBody | None
    ) -> aiohttp.ClientResponse:
        proxy, for_proxy = proxy_for(url, self._environ), {}
        proxy_secret = credentials(proxy) if proxy else None
        if proxy_secret:
            for_proxy = {"Proxy-Authorization": _basic(proxy_secret)}
            if url.startswith("http:"):
                # Without a tunnel the proxy reads the request itself.
                headers = {**headers, **for_proxy}
        plain = url.startswith("http:") and not (proxy or "").startswith("https:")
        return await self._client.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body() if body is not None else None,
            allow_redirects=False,
            proxy=without_credentials(proxy) if proxy else None,
            proxy_headers=for_proxy or None,
            ssl=True if plain else self._certificates,
        )


def password_of(place: Origin, user: str, environ: Mapping[str, str]) -> str:
    """Return what the command `keyring` knows; empty where it isn't there or knows nothing.

    First by address, then by host, as pip does (its user guide, "Authentication").
    """
    program = shutil.which("keyring", path=environ.get("PATH"))
    if program is None:
        return ""
    usual = {"https": 443, "http": 80}.get(place.scheme)
    host = place.host if place.port == usual else f"{place.host}:{place.port}"
    for service in (f"{place.scheme}://{host}", host):
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [program, "get", service, user],
                env={**environ, "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
            )
            if done.returncode == 0 and (password := done.stdout.decode("utf-8", "replace").strip("\r\n")):
                return password
    return ""


def check_length(response: aiohttp.ClientResponse, cap: int) -> None:
    """Raise `Trouble` where an answer says itself that it has more than `cap` bytes."""
    if (response.content_length or 0) > cap:
        raise Trouble(TroubleKind.CONTENT, f"answered with more than {size_text(cap)}")


async def read_body(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """Return the decoded body, `cap` bytes at most however small it was packed. Raises `Trouble`."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Trouble(TroubleKind.CONTENT, f"answered in an encoding nobody asked for ({coding[:20]})")
    check_length(response, cap)
    decoder = None if coding in ("identity", "") else zlib.decompressobj(wbits=47)
    body = bytearray()
    while chunk := await response.content.readany():
        try:
            body += decoder.decompress(chunk, cap + 1 - len(body)) if decoder else chunk
        except zlib.error as error:
            raise Trouble(TroubleKind.CONTENT, "answered with damaged compression") from error
        if len(body) > cap:
            raise Trouble(TroubleKind.CONTENT, f"answered with more than {size_text(cap)}")
    if decoder and not decoder.eof:
        raise Trouble(TroubleKind.CUT, "cut the connection")
    return bytes(body)


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for an address (`https_proxy`, `all_proxy`, `no_proxy` …), if any.

    Lower case wins, as for curl and Python; `HTTP_PROXY` doesn't count inside a CGI server.
    """
    named = {key.lower(): value for key, value in environ.items() if key.lower().endswith("_proxy") and value}
    named |= {key: environ[key] for key in named if environ.get(key)}
    if "REQUEST_METHOD" in environ and "http_proxy" not in environ:
        named.pop("http_proxy", None)
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if proxy_bypass_environment(host, {"no": named.get("no_proxy", "")}):
        return None
    proxy = named.get(f"{parts.scheme}_proxy") or named.get("all_proxy")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def certificates(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return whom to trust, and who we are: the bundle that pip's or the system's variables name, else the system's
    own; and the certificate, with its key, of `PIP_CLIENT_CERT`.
    """
    context = _trusted(environ)
    if own := environ.get("PIP_CLIENT_CERT"):
        try:
            context.load_cert_chain(own, password=lambda: "")  # nobody is asked for one
        except OSError as error:
            raise ConfigError(
                f"PIP_CLIENT_CERT (pip's client-cert) names no certificate with its key: {own}",
                hint="Name one file (PEM) that holds both.",
            ) from error
    return context


def _trusted(environ: Mapping[str, str]) -> ssl.SSLContext:
    for variable in _CERTIFICATES:
        bundle = environ.get(variable)
        if not bundle:
            continue
        try:
            if Path(bundle).is_dir():
                return ssl.create_default_context(capath=bundle)
            return ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise ConfigError(
                f"{variable} names no bundle of certificates: {bundle}",
                hint=f"Correct {variable}, or unset it to use the system's certificates.",
            ) from error
    return ssl.create_default_context()


def _netrc_hosts(environ: Mapping[str, str]) -> dict[str, Credentials]:
    """Return named hosts only: a `default` entry would hand a password to whomever a page links to."""
    file = environ.get("NETRC") or Path(environ.get("HOME") or "~").expanduser() / ".netrc"
    try:
        hosts = netrc(str(file)).hosts
    except (OSError, NetrcParseError, UnicodeDecodeError):
        return {}
    return {host: (login or "", password or "") for host, (login, _, password) in hosts.items() if host != "default"}


def _basic(secret: Credentials) -> str:
    return "Basic " + base64.b64encode(":".join(secret).encode()).decode("ascii")
