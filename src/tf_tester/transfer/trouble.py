"""Why a source failed, in words that go behind its name; aiohttp's errors are translated here alone."""

import errno
from http import HTTPStatus

from tf_tester.core.fetch.retries import TroubleKind


class Trouble(Exception):
    """One attempt at one source failed."""

    def __init__(self, kind: TroubleKind, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        """What the source did: `answered 404 Not Found`."""
        self.retry_after = retry_after
        """Seconds it wants us to wait."""


def status_trouble(status: int, reason: str | None, retry_after: str | None = None) -> Trouble:
    """Return the trouble that a status is.

    >>> status_trouble(503, None).reason
    'answered 503 Service Unavailable'
    """
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = (reason or "")[:60]
    said = f"answered {status} {phrase}".rstrip()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Trouble(TroubleKind.BUSY, said, retry_after=_seconds(retry_after))
    if status >= 500:
        return Trouble(TroubleKind.SERVER, said)
    return Trouble(TroubleKind.REFUSED, said)


def _seconds(retry_after: str | None) -> float | None:
    """Return the header's number; a date (which would need a clock that agrees with the server's) counts as none."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def translate(error: Exception) -> Trouble:
    """Translate aiohttp's and the system's errors while talking to a source into our words."""
    import ssl

    import aiohttp

    match error:
        case Trouble():
            return error
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return Trouble(TroubleKind.CONNECT, f"can't be trusted: {_tls_reason(error)}")
        case aiohttp.ClientConnectorDNSError():
            return Trouble(TroubleKind.CONNECT, f"can't be found: no address for {error.host}")
        case aiohttp.ClientProxyConnectionError():
            return Trouble(TroubleKind.CONNECT, f"is behind a proxy that can't be reached: {_os_reason(error)}")
        case aiohttp.ClientHttpProxyError():
            return Trouble(TroubleKind.CONNECT, f"is behind a proxy that answered {error.status}")
        case aiohttp.ClientConnectorError():
            if error.os_error.errno == errno.ECONNREFUSED:
                return Trouble(TroubleKind.CONNECT, "can't be reached: connection refused")
            return Trouble(TroubleKind.CONNECT, f"can't be reached: {_os_reason(error)}")
        case aiohttp.ConnectionTimeoutError():
            return Trouble(TroubleKind.CONNECT, "did not take the connection in time")
        case aiohttp.InvalidURL():
            return Trouble(TroubleKind.CONTENT, "has an address that can't be asked")
        case TimeoutError():  # aiohttp's SocketTimeoutError among them
            return Trouble(TroubleKind.STALLED, "sent nothing for too long")
        case aiohttp.ServerDisconnectedError():
            return Trouble(TroubleKind.CUT, "closed the connection without an answer")
        case ConnectionResetError() | aiohttp.ClientPayloadError():
            return Trouble(TroubleKind.CUT, "cut the connection")
        case aiohttp.ClientResponseError():
            return Trouble(TroubleKind.CONTENT, "answered with something that isn't HTTP")
        case OSError():
            return Trouble(TroubleKind.CUT, f"lost the connection: {_os_reason(error)}")
    return Trouble(TroubleKind.CUT, f"failed: {type(error).__name__}")


def _tls_reason(error: Exception) -> str:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or "TLS failed").lower()


def _os_reason(error: OSError) -> str:
    inner = getattr(error, "os_error", error)
    return str(inner.strerror or inner)
