"""Which of the user's requirements a resolver's reasoning is about. Pure."""

import re

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from tf_tester.core.text.parsing import parse_requirement

_DEMANDS = r"\byou require ([A-Za-z0-9][\w.-]*)((?:\[[^\]]*\])?(?:[<>=!~]=?=?[^\s,]+(?:,[<>=!~]=?=?[^\s,]+)*)?)"


def is_demanded(text: str, reasoning: str) -> bool:
    """Tell whether uv's reasoning names a requirement as one of those that can't be had together.

    >>> why = "Because only numpy<=2.1 is available and you require numpy>=99, we can conclude that your"
    >>> [is_demanded(text, why) for text in ("numpy>=99", "NumPy >=99", "numpy<3", "six")]
    [True, True, False, False]
    """
    try:
        wanted = parse_requirement(text)
    except InvalidRequirement:
        return False
    words = " ".join(reasoning.split())
    words = re.sub(r" and (?=[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?[<>=!~])", " and you require ", words)
    for name, rest in re.findall(_DEMANDS, words):
        try:
            found = parse_requirement(f"{name}{rest.rstrip('.')}")
        except InvalidRequirement:
            continue
        if canonicalize_name(found.name) == canonicalize_name(wanted.name) and found.specifier == wanted.specifier:
            return True
    return False
