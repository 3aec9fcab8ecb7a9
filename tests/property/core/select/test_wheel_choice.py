"""The short cut through wheel names says what `packaging` says in full."""

import random
import sys
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from packaging import tags as packaging_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tf_tester.core.select.tags import best_wheel, compatible_tags
from tf_tester.env.host import this_platform
from tf_tester.model.artifact import Artifact
from tf_tester.model.host.interpreter import Interpreter

OURS = [str(tag) for tag in packaging_tags.sys_tags()]
HERE = this_platform()
OTHERS = [
    "cp27-cp27mu-manylinux1_x86_64",
    "cp36-cp36m-win_amd64",
    "cp399-cp399-any",
    "pp39-pypy39_pp73-any",
    "py2-none-any",
]

components = st.sampled_from(OURS + OTHERS).map(lambda tag: tag.split("-"))


def running() -> Interpreter:
    first = next(packaging_tags.sys_tags())
    return Interpreter(
        path=Path(sys.executable),
        version=".".join(map(str, sys.version_info[:3])),
        implementation=sys.implementation.name,
        abi=first.abi,
        bits=sys.maxsize.bit_length() + 1,
        cache_tag=str(sys.implementation.cache_tag),
        platform=HERE,
    )


@st.composite
def wheel_names(draw: st.DrawFn) -> str:
    tags = draw(st.lists(components, min_size=1, max_size=3))
    compressed = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    build = draw(st.sampled_from(["", "", "-1", "-2", "-10", "-2b", "-local", "-0", "-²"]))
    mangled = draw(st.sampled_from([compressed, compressed, compressed.upper(), compressed.replace("-", "--", 1)]))
    return f"thing-1.0{build}-{mangled}.whl"


def slow_best(names: list[str]) -> tuple[int, tuple[int, str]] | None:
    """Rank and build tag of what pip would take."""
    order = {tag: place for place, tag in enumerate(packaging_tags.sys_tags())}
    fitting = []
    for name in names:
        try:
            _, _, build, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue
        places = [order[tag] for tag in tags if tag in order]
        if places:
            fitting.append((-min(places), build or (-1, "")))
    return max(fitting, default=None)


@given(st.lists(wheel_names(), max_size=12))
@example(["thing-1.0-cp399-cp399-any.whl"])
def test_the_best_wheel_is_the_one_packaging_would_rank_first(names: list[str]) -> None:
    chosen = best_wheel([Artifact(name, "thing", "1.0", f"https://host/{name}") for name in names], running())
    assert slow_best([chosen.filename] if chosen else []) == slow_best(names)


@given(st.lists(wheel_names(), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_page_is_no_matter(names: list[str], dice: random.Random) -> None:
    artifacts = [Artifact(name, "thing", "1.0", "") for name in names]
    shuffled = dice.sample(artifacts, len(artifacts))
    assert best_wheel(artifacts, running()) == best_wheel(shuffled, running())


@given(st.text(max_size=40), st.sampled_from(["", ".whl"]))
@example("a-1-a.b-c-d", ".whl")
@example("-".join(["a-1", *[".".join(["x"] * 500)] * 3]), ".whl")
def test_any_text_is_a_wheel_that_fits_or_nothing(name: str, ending: str) -> None:
    assert best_wheel([Artifact(name + ending, "a", "1", "")], running()) is None


def test_our_own_tags_are_those_of_packaging_in_its_order() -> None:
    assert list(compatible_tags(running())) == list(dict.fromkeys(OURS))
