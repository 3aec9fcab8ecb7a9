"""What a page lists and nobody can use, in words."""

from collections.abc import Sequence

from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage

_LONGEST = 100
"""Characters of a name or a reason that are repeated."""
_REASONS = 3
"""That are told."""


def unusable(page: ProjectPage) -> tuple[LeftOutFile, ...]:
    """Return the project's files on a page that can't be used: malformed ones, and those that nothing can verify."""
    unverified = (LeftOutFile(one.filename, without_hash(one)) for one in page.artifacts if one.sha256 is None)
    return (*(one for one in page.left_out if not one.is_foreign), *unverified)


def without_hash(artifact: Artifact) -> str:
    """Return why a file without SHA-256 can't be verified, as a clause.

    >>> without_hash(Artifact("a.whl", "a", "1", "https://host/a.whl", weak_hash="md5"))
    'the index promises MD5 alone for it, which proves nothing'
    """
    if artifact.weak_hash:
        return f"the index promises {artifact.weak_hash.upper()} alone for it, which proves nothing"
    return "the index promises no SHA-256 for it"


def told_left_out(files: Sequence[LeftOutFile]) -> str:
    """Return which files of a page don't count, and why: one for each of three reasons, and how many there are.

    >>> told_left_out([LeftOutFile("a.whl", "its name is bad"), LeftOutFile("b.whl", "its name is bad")])
    'a.whl is left out (its name is bad; 1 more like it)'
    """
    reasons: dict[str, list[str]] = {}
    for one in files:
        reasons.setdefault(one.reason[:_LONGEST], []).append(one.filename[:_LONGEST] or "a file without a name")
    told = [
        f"{names[0]} is left out ({reason}{f'; {len(names) - 1} more like it' if names[1:] else ''})"
        for reason, names in list(reasons.items())[:_REASONS]
    ]
    return ", ".join(told)
