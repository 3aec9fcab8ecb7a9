"""One repository of a registry (OCI distribution specification 1.1), on the session that fetches pages and files.

A blob is sent whole in one request, so that what goes wrong is asked for anew from the start: a registry keeps nothing
half sent. What is in trouble for the moment is asked again, with the pauses of `core.image.talk`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from msgspec import Struct

from tf_tester.core.fetch.retries import TroubleKind
from tf_tester.core.image.documents import Blob, Descriptor, digest_of
from tf_tester.core.image.names import Repository
from tf_tester.core.image.talk import (
    Challenge,
    RegistryError,
    challenge_of,
    errors_of,
    pause_before,
    said,
    scope_of,
    token_in,
)
from tf_tester.core.index.links import display_url, origin, resolve_link
from tf_tester.core.text.sizes import size_text
from tf_tester.errors import RegistryFailed, RegistryForgot
from tf_tester.transfer.loop_thread import LoopThread
from tf_tester.transfer.registry_login import login_for
from tf_tester.transfer.settings import ClientSettings
from tf_tester.transfer.trouble import Trouble, status_trouble

if TYPE_CHECKING:
    from tf_tester.transfer.session import HttpSession, RequestBody

_T = TypeVar("_T")
_MOST = 4 << 20
"""Bytes of an answer."""
_PIECE = 1 << 18
_FORGOTTEN = frozenset({"BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"})
_HINT = "Repeat the command: what the registry has taken isn't sent again."


class _Answer(Struct, frozen=True):
    """What a registry has answered."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes
    url: str

    @property
    def errors(self) -> tuple[RegistryError, ...]:
        return errors_of(self.content)


class _Question(Struct, frozen=True):
    """What it is asked."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    file: Path | None = None
    """What is sent, instead of `content`."""


class RegistryClient:
    """`ports.images.ImageRegistry`; callable from many threads."""

    def __init__(
        self,
        repository: Repository,
        settings: ClientSettings,
        *,
        plain: bool,
        pause: Callable[[float], None] | None = None,
        also: str = "",
    ) -> None:
        """Take a repository. `plain`: without TLS. `also`: another one of the registry, from which blobs are taken."""

        def make_session() -> "HttpSession":
            from tf_tester.transfer.session import HttpSession

            return HttpSession(settings, {})

        self._repository = repository
        self._also = also
        self._settings = settings
        self._thread = LoopThread(make_session)
        self._pause = pause or self._thread.pause
        self._root = f"{'http' if plain else 'https'}://{repository.host}/v2/"
        self._base = f"{self._root}{repository.name}"
        self._authorization = ""

    def close(self) -> None:
        self._thread.close()

    def has(self, descriptor: Descriptor) -> bool:
        answer = self._asked(_Question("HEAD", f"{self._base}/blobs/{descriptor.digest}"))
        if answer.status not in (200, 404):
            self._refuse(answer, "look for a layer")
        return answer.status == 200

    def mount(self, descriptor: Descriptor, source: str) -> bool:
        query = urlencode({"mount": descriptor.digest, "from": source})
        answer = self._asked(_Question("POST", f"{self._base}/blobs/uploads/?{query}", {"Content-Length": "0"}))
        return answer.status == 201  # everything else is no: it is sent then

    def upload(self, descriptor: Descriptor, file: Path) -> None:
        def send() -> _Answer:
            begun = self._once(_Question("POST", f"{self._base}/blobs/uploads/", {"Content-Length": "0"}))
            if begun.status != 202:
                self._refuse(begun, "send a layer")
            place = resolve_link(begun.url, begun.headers.get("location", ""))
            if place is None:
                raise RegistryFailed(
                    f"{self._repository.host} names no address for a layer, or one without TLS.",
                    hint="That is for its administrator to mend (a proxy in front that doesn't tell it of TLS?).",
                )
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
            address = f"{place}{'&' if urlsplit(place).query else '?'}digest={quote(descriptor.digest, safe='')}"
            sent = self._once(_Question("PUT", address, headers, file=file))
            if sent.status == 404:
                raise Trouble(TroubleKind.CUT, "has forgotten what it was being sent")
            return sent

        answer = self._again(send)
        if answer.status == 413:
            raise RegistryFailed(
                f"{self._repository.host} doesn't take a layer of {size_text(descriptor.size)}{said(answer.errors)}.",
                hint="Its administrator has to allow larger ones (nginx: client_max_body_size 0).",
            )
        if answer.status != 201:
            self._refuse(answer, "send a layer")
        self._check_digest(answer, descriptor.digest)

    def put(self, manifest: Blob, tag: str) -> None:
        headers = {"Content-Type": manifest.descriptor.media_type}
        question = _Question("PUT", f"{self._base}/manifests/{tag}", headers, manifest.content)
        answer = self._asked(question)
        if answer.status in (400, 404) and any(one.code in _FORGOTTEN for one in answer.errors):
            raise RegistryForgot(
                f"{self._repository.host} lacks layers of {tag} that it said it had{said(answer.errors)}.", hint=_HINT
            )
        if answer.status != 201:
            self._refuse(answer, f"give the image the tag {tag}")
        self._check_digest(answer, manifest.descriptor.digest)

    def tagged(self, tag: str) -> str:
        kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*;q=0.1"
        answer = self._asked(_Question("GET", f"{self._base}/manifests/{tag}", {"Accept": kinds}))
        if answer.status == 404:
            return ""
        if answer.status != 200:
            self._refuse(answer, f"look for the tag {tag}")
        return digest_of(answer.content)

    def _check_digest(self, answer: _Answer, digest: str) -> None:
        kept = answer.headers.get("docker-content-digest", digest)
        if kept != digest:
            raise RegistryFailed(
                f"{self._repository.host} has kept {kept[:80]} in the place of {digest}.",
                hint="Something on the way changes what is sent, or the registry is damaged.",
            )

    def _asked(self, question: _Question) -> _Answer:
        return self._again(lambda: self._once(question))

    def _again(self, action: Callable[[], _T]) -> _T:
        """Do it, and again where the trouble may be over by then. Raises `RegistryFailed`."""
        attempt = 1
        while True:
            try:
                return action()
            except Trouble as trouble:
                wait = pause_before(attempt, trouble.kind, trouble.retry_after)
                if wait is None:
                    tried = f" {attempt} times" if attempt > 1 else ""
                    raise RegistryFailed(f"{self._repository.host} {trouble.reason}{tried}.", hint=_HINT) from trouble
            self._pause(wait)
            attempt += 1

    def _once(self, question: _Question) -> _Answer:
        """Return the answer to one question, after having said who asks where that is wanted. Raises `Trouble`."""
        # Uploads may go to another host: it isn't told who asks.
        is_own = origin(question.url) == origin(self._root)
        answer = self._answer(question, self._authorization if is_own else "")
        if answer.status == 401 and is_own:
            self._log_in(answer)
            answer = self._answer(question, self._authorization)
        if answer.status == 429 or answer.status >= 500:
            trouble = status_trouble(answer.status, "", answer.headers.get("retry-after"))
            raise Trouble(trouble.kind, f"{trouble.reason}{said(answer.errors)}", retry_after=trouble.retry_after)
        return answer

    def _log_in(self, answer: _Answer) -> None:
        challenge = challenge_of(answer.headers.get("www-authenticate", ""))
        login = login_for(self._repository.host, self._settings.environ)
        if challenge is None or (challenge.scheme == "basic" and not login.basic):
            self._refuse(answer, "push")
        if challenge.scheme == "basic":
            self._authorization = f"Basic {login.basic}"
        else:
            self._authorization = f"Bearer {self._token(challenge, login.basic)}"

    def _token(self, challenge: Challenge, basic: str) -> str:
        if not challenge.realm.startswith("https://") and not self._root.startswith("http://"):
            raise RegistryFailed(
                f"{self._repository.host} wants the password to go to {display_url(challenge.realm)}, without TLS.",
                hint="That is for its administrator to mend.",
            )
        query = {"scope": scope_of(self._repository.name, self._also)}
        query |= {"service": challenge.service} if challenge.service else {}
        # A space in a scope parts two, which some servers don't see in a plus sign.
        asked = f"{challenge.realm}{'&' if urlsplit(challenge.realm).query else '?'}{urlencode(query, quote_via=quote)}"
        answer = self._answer(_Question("GET", asked), f"Basic {basic}" if basic else "")
        if answer.status >= 500 or answer.status == 429:
            raise status_trouble(answer.status, "", answer.headers.get("retry-after"))
        token = token_in(answer.content) if answer.status == 200 else ""
        if not token:
            self._refuse(answer, "push")
        return token

    def _answer(self, question: _Question, authorization: str) -> _Answer:
        stall = self._settings.timeouts.stall

        async def ask(session: "HttpSession") -> _Answer:
            from tf_tester.transfer.session import read_body

            try:
                async with asyncio.timeout(stall) as limit:
                    body = _body(question, lambda: _put_off(limit, stall))
                    async with session.open(
                        question.url,
                        {"Accept-Encoding": "identity", **question.headers},
                        method=question.method,
                        authorization=authorization,
                        body=body,
                    ) as response:
                        headers = {name.lower(): value for name, value in response.headers.items()}
                        content = b"" if question.method == "HEAD" else await read_body(response, _MOST)
                        return _Answer(response.status, headers, content, str(response.url))
            except TimeoutError as error:
                raise Trouble(TroubleKind.STALLED, f"did nothing for {stall:g} s") from error

        return self._thread.run(ask)

    def _refuse(self, answer: _Answer, what: str) -> NoReturn:
        """Raise what a refusal is to a person."""
        host, name, words = self._repository.host, self._repository.name, said(answer.errors)
        if answer.status in (401, 403):
            helped = login_for(host, self._settings.environ).helped
            raise RegistryFailed(
                f"{host} doesn't let you {what} in {name}{words}.",
                hint="A program keeps the password (credsStore), which isn't asked: use `podman login`, or netrc."
                if helped
                else f"Log in with `docker login {host}` or `podman login {host}`; netrc is read, too.",
            )
        if answer.status == 404:
            raise RegistryFailed(
                f"{host} has no place {name} to {what}{words}.",
                hint="Check the name; some registries want it made first.",
            )
        trouble = status_trouble(answer.status, "")
        raise RegistryFailed(
            f"{host} {trouble.reason} when asked to {what} in {name}{words}.",
            hint="Look whether that is a registry, and whether it is to be written to.",
        )


def _body(question: _Question, moved: Callable[[], None]) -> "RequestBody | None":
    """Return what gives the bytes to be sent. `moved`: called whenever some have gone."""
    file, content = question.file, question.content
    if file is not None:
        return lambda: _pieces(file, moved)
    return None if content is None else lambda: content


async def _pieces(file: Path, moved: Callable[[], None]) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    with file.open("rb") as stream:
        while piece := await loop.run_in_executor(None, stream.read, _PIECE):
            yield piece
            moved()


def _put_off(limit: asyncio.Timeout, seconds: float) -> None:
    with suppress(RuntimeError):  # it is over, and that is told already
        limit.reschedule(asyncio.get_running_loop().time() + seconds)
