"""What a registry says, and what follows: challenges, refusals, waiting. Pure (OCI distribution specification 1.1)."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tf_tester.core.fetch.retries import TroubleKind
from tf_tester.core.text.printable import printable

MOST_ATTEMPTS = 6
_LONGEST_WAIT = 60.0
_FIRST_WAIT = 1.0
_AGAIN = frozenset({TroubleKind.BUSY, TroubleKind.SERVER, TroubleKind.CUT, TroubleKind.STALLED, TroubleKind.CONNECT})
_CHALLENGE = re.compile(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""")
_SHOWN = 300
"""Characters of what a registry says that are repeated."""


class Challenge(Struct, frozen=True):
    """How a registry wants to be told who asks (RFC 9110, 11.6.1)."""

    scheme: str
    """Lower case: `basic`, `bearer`."""
    realm: str = ""
    """Of `bearer`: the address that gives tokens."""
    service: str = ""
    scope: str = ""


class RegistryError(Struct, frozen=True):
    """One entry of a registry's answer to what it doesn't do."""

    code: str
    message: str


def challenge_of(header: str) -> Challenge | None:
    """Return what a `WWW-Authenticate` asks for; None: nothing that is known here.

    >>> challenge_of('Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"').scope
    'repository:a/b:pull,push'
    """
    scheme, _, rest = header.strip().partition(" ")
    words = {name.lower(): quoted or plain for name, quoted, plain in _CHALLENGE.findall(rest)}
    match scheme.lower():
        case "basic":
            return Challenge("basic", words.get("realm", ""))
        case "bearer" if words.get("realm"):
            return Challenge("bearer", words["realm"], words.get("service", ""), words.get("scope", ""))
        case _:
            return None


def scope_of(name: str, source: str = "") -> str:
    """Return what a token must allow to push to a repository, and to take from another one."""
    also = f" repository:{source}:pull" if source else ""
    return f"repository:{name}:pull,push{also}"


def token_in(content: bytes) -> str:
    """Return the token of a token server's answer; empty where there is none."""
    try:
        found = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    token = (found.get("token") or found.get("access_token") or "") if isinstance(found, dict) else ""
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else ""


def errors_of(content: bytes) -> tuple[RegistryError, ...]:
    """Return a registry's own errors; none where its answer has no such form."""
    try:
        found = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    listed = found.get("errors") if isinstance(found, dict) else None
    return tuple(
        RegistryError(_shown(one.get("code")), _shown(one.get("message")))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    )


def said(errors: tuple[RegistryError, ...]) -> str:
    """Return a registry's own words, to go behind ours; empty where it has none.

    >>> said((RegistryError("DENIED", "requested access to the resource is denied"),))
    ' («requested access to the resource is denied»)'
    """
    words = "; ".join(one.message or one.code for one in errors if one.message or one.code)
    return f" («{words}»)" if words else ""


def pause_before(attempt: int, kind: TroubleKind, retry_after: float | None) -> float | None:
    """Return the seconds to wait before asking once more; None: it is of no use.

    `attempt`: how many there were. A registry that says how long it wants to be left alone is left alone so long, up to
    a minute.

    >>> pause_before(1, TroubleKind.BUSY, 7), pause_before(3, TroubleKind.SERVER, None)
    (7, 4.0)
    >>> pause_before(1, TroubleKind.REFUSED, None) is pause_before(MOST_ATTEMPTS, TroubleKind.BUSY, 1) is None
    True
    """
    if kind not in _AGAIN or attempt >= MOST_ATTEMPTS:
        return None
    if retry_after is not None:
        return min(retry_after, _LONGEST_WAIT)
    return float(min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT))


def account_of(config: Mapping[str, Any], host: str) -> str:
    """Return what `docker login` or `podman login` has kept for a registry; empty: nothing.

    It is base64 of user and password.
    """
    accounts = config.get("auths")
    for name, entry in (accounts if isinstance(accounts, dict) else {}).items():
        place = str(name).removeprefix("https://").removeprefix("http://").partition("/")[0]
        if place == host and isinstance(entry, dict) and isinstance(entry.get("auth"), str):
            return str(entry["auth"])
    return ""


def has_helper(config: Mapping[str, Any], host: str) -> bool:
    """Tell whether a program keeps the password, which isn't asked here."""
    helpers = config.get("credHelpers")
    return bool(config.get("credsStore")) or (isinstance(helpers, dict) and host in helpers)


def _shown(value: object) -> str:
    return printable(str(value or ""))[:_SHOWN]
