"""What an index shows of a wheel beside it: METADATA in a file of its own (PEP 658)."""

from hashlib import sha256
from typing import NamedTuple

from tests.corpus.case import RIGHT, Group
from tests.wheels import make_wheel, metadata_text

WHEEL, CONTENT = make_wheel("toy", "1.0", requires=["gear"])
OWN = metadata_text("toy", "1.0", requires=["gear"]).encode()


class Sidecar(NamedTuple):
    """What is answered where METADATA is asked for, and the hash that the page has of it."""

    body: bytes | None
    """None: there is none."""
    promised: str


def honest(body: bytes) -> Sidecar:
    """One with the page's own hash: the index itself is wrong."""
    return Sidecar(body, sha256(body).hexdigest())


UNUSED: Group[Sidecar] = Group(
    "the METADATA beside a wheel isn't there or isn't what the page promises",
    "the wheel itself is looked into",
    RIGHT,
    {
        "missing": Sidecar(None, sha256(OWN).hexdigest()),
        "another's": Sidecar(metadata_text("tay", "1.0").encode(), sha256(OWN).hexdigest()),
        "a requirement less": Sidecar(metadata_text("toy", "1.0").encode(), sha256(OWN).hexdigest()),
        "empty": Sidecar(b"", sha256(OWN).hexdigest()),
        "cut": Sidecar(OWN[:-5], sha256(OWN).hexdigest()),
        "HTML": Sidecar(b"<html>log in</html>", sha256(OWN).hexdigest()),
    },
)

WRONG: Group[Sidecar] = Group(
    "the METADATA beside a wheel names another project or version, though the page promises just that",
    "the version is left out of what is chosen from",
    "its METADATA",
    {
        "another project": honest(metadata_text("tay", "1.0").encode()),
        "another version": honest(metadata_text("toy", "1.1").encode()),
        "two names": honest(b"Name: tay\n" + OWN),
        "no name": honest(b"Version: 1.0\n"),
        "in the body": honest(b"\n" + OWN),
        "empty": honest(b""),
        "HTML": honest(b"<html>log in</html>"),
        "binary": honest(bytes(range(256))),
        "too large": honest(OWN + b"X: y\n" * 900_000),
    },
)

DIFFERENT: Group[Sidecar] = Group(
    "the METADATA beside a wheel differs from its own, though the page promises just that",
    "the wheel is refused once it is there, and its own METADATA counts from then on",
    "has other METADATA than its index shows of it",
    {
        "a requirement less": honest(metadata_text("toy", "1.0").encode()),
        "a requirement more": honest(metadata_text("toy", "1.0", requires=["gear", "evil"]).encode()),
        "another requirement": honest(metadata_text("toy", "1.0", requires=["gear<1"]).encode()),
        "another Python": honest(metadata_text("toy", "1.0", requires=["gear"], requires_python=">=3").encode()),
        "other line ends": honest(OWN.replace(b"\n", b"\r\n")),
    },
)

TAKEN: Group[Sidecar] = Group(
    "the METADATA beside a wheel is its own, whether or not the page has a hash of it",
    "it is used",
    RIGHT,
    {"with a hash": honest(OWN), "without a hash": Sidecar(OWN, "")},
)

GROUPS = [UNUSED, WRONG, DIFFERENT, TAKEN]
