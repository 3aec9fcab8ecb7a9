"""Decoders of JSON, each built once and by one thread.

msgspec learns what a struct looks like when it is first decoded, and runs Python code meanwhile: another thread that
decodes the same type finds it half learnt, and the process dies of a segmentation fault (msgspec 0.22, where several
cells read their locks at once). Types that several threads may be the first to decode are decoded with these.
"""

import threading
from typing import Any

import msgspec

_LOCK = threading.Lock()
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type, or of a union of types; callable from any thread."""
    known = _DECODERS.get(kind)
    if known is None:
        with _LOCK:
            known = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    return known
