"""Who we are at a registry: what `docker login` and `podman login` have kept in files; no other program is asked."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from tf_tester.core.image.talk import account_of, has_helper
from tf_tester.given_files import read_given


class RegistryLogin(Struct, frozen=True):
    """What is known for one registry."""

    basic: str = ""
    """What goes behind `Basic` in a header; empty: nothing is known."""
    helped: bool = False
    """A program is said to know it."""


def login_for(host: str, environ: Mapping[str, str]) -> RegistryLogin:
    """Return the first account that a file has for a registry (`containers-auth.json(5)` has their order)."""
    helped = False
    for file in _files(environ):
        try:
            found = json.loads(read_given(file))
        except (OSError, ValueError, RecursionError):
            continue  # not there, or of no use
        if not isinstance(found, dict):
            continue
        account = account_of(found, host)
        if account and _is_account(account):
            return RegistryLogin(account)
        helped = helped or has_helper(found, host)
    return RegistryLogin(helped=helped)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    if file := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(file)
    if folder := environ.get("DOCKER_CONFIG"):
        yield Path(folder, "config.json")
    if folder := environ.get("XDG_RUNTIME_DIR"):
        yield Path(folder, "containers", "auth.json")
    if home := environ.get("HOME"):
        yield Path(home, ".docker", "config.json")


def _is_account(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
