"""What a distribution requires, of its METADATA."""

from packaging.requirements import InvalidRequirement, Requirement

from tf_tester.core.text.parsing import parse_requirement


def requirements_of(metadata: bytes) -> tuple[Requirement, ...]:
    """Return its `Requires-Dist`, as far as they can be read: a resolver has to make do without the rest, too."""
    from packaging.metadata import parse_email  # 15 ms, and most runs have their locks

    raw, _ = parse_email(metadata)
    found = []
    for text in raw.get("requires_dist", []):
        try:
            found.append(parse_requirement(text))
        except InvalidRequirement:
            continue
    return tuple(found)
