"""Tokens: who may read an index, and who may upload to it. Pure.

A token is `tft-ID-SECRET`. What is kept is the SHA-256 of the secret, which has 256 random bits: nobody guesses it, so
that a slow hash (as passwords need) would only cost time.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

_FORM = re.compile(r"tft-([0-9a-f]{8})-([0-9a-f]{64})")


class TokenScope(StrEnum):
    """What a token lets its holder do."""

    READ = "read"
    UPLOAD = "upload"
    METRICS = "metrics"
    """`/metrics` and `/status/`, which every token that reads sees, too."""


class Token(msgspec.Struct, frozen=True):
    """What is kept of one."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret, in lower-case hex."""
    scopes: tuple[TokenScope, ...]
    created: datetime
    """Aware, UTC."""
    projects: tuple[str, ...] = ()
    """Canonical names of projects that it may upload to, in which `*` stands for anything; empty: all."""
    expires: datetime | None = None
    reads: tuple[str, ...] | None = None
    """Likewise of private projects that it may read, besides those that it may upload to; None: all."""

    def allows(self, scope: TokenScope, now: datetime, project: str | None = None) -> bool:
        """Return whether it may be used so; `project`: the private one that it is about, where that is known."""
        if self.expires is not None and now >= self.expires:
            return False
        if scope is TokenScope.METRICS and TokenScope.READ in self.scopes:
            return True
        if scope not in self.scopes or project is None:
            return scope in self.scopes
        uploads = TokenScope.UPLOAD in self.scopes and (not self.projects or _covers(self.projects, project))
        if scope is TokenScope.UPLOAD or uploads:
            return uploads
        return self.reads is None or _covers(self.reads, project)


def _covers(patterns: tuple[str, ...], project: str) -> bool:
    return any(fnmatchcase(project, pattern) for pattern in patterns)


def token_text(id: str, secret: bytes) -> str:
    """Return what the user is given. `id`: eight hex digits; `secret`: 32 random bytes."""
    return f"tft-{id}-{secret.hex()}"


def digest_of(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def id_of(text: str) -> str | None:
    """Return the id under which a token is kept; None where it is none.

    >>> id_of(token_text("0123abcd", bytes(32)))
    '0123abcd'
    """
    found = _FORM.fullmatch(text)
    return found[1] if found else None


def matches_secret(text: str, token: Token) -> bool:
    """Return whether somebody has the secret, in a time that doesn't tell how near he came."""
    found = _FORM.fullmatch(text)
    return found is not None and hmac.compare_digest(digest_of(bytes.fromhex(found[2])), token.digest)


def token_presented(authorization: str) -> str:
    """Return the token in an `Authorization` header: `Bearer`, or the password of `Basic`, whatever the user is called.

    >>> token_presented("Basic X190b2tlbl9fOnRmdC14")
    'tft-x'
    """
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
