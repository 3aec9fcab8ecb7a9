"""What a mirror needs so that what it holds can be installed from it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from packaging.requirements import Requirement

from tf_tester.core.locks.closure import Closure, ReplicaRules, SdistChoice, demands_of, targets_of
from tf_tester.core.select.platforms import platform_named
from tf_tester.model.artifact import Artifact, ProjectPage

LINUX = platform_named("linux_x86_64")
WINDOWS = platform_named("win_amd64")


def wheel(project: str, version: str, tag: str = "py3-none-any", **more: object) -> Artifact:
    name = f"{project}-{version}-{tag}.whl"
    return replace(Artifact(name, project, version, f"https://x/{name}", "a" * 64), **more)


def sdist(project: str, version: str) -> Artifact:
    return Artifact(f"{project}-{version}.tar.gz", project, version, "https://x/s", "b" * 64)


def closed(
    artifacts: Iterable[Artifact],
    requires: Mapping[str, Iterable[str]],
    *roots: str,
    rules: ReplicaRules | None = None,
    newest: int | None = None,
    pythons: tuple[tuple[int, int], ...] = ((3, 10),),
    platforms: tuple[object, ...] = (LINUX,),
) -> tuple[set[str], Closure]:
    """The files without their tags' end, and the closure; `requires`: by `project version`."""
    pages: dict[str, list[Artifact]] = {}
    for one in artifacts:
        pages.setdefault(one.project, []).append(one)
    targets = targets_of(pythons, platforms)  # type: ignore[arg-type]
    demands = [one for root in roots for one in demands_of(Requirement(root), targets, newest=newest)]
    closure = Closure(rules or ReplicaRules(), demands)
    while True:
        projects, wheels = closure.pages_wanted(), closure.metadata_wanted()
        for project in projects:
            files = pages.get(project)
            closure.learn_page(project, ProjectPage(project, tuple(files)) if files else None)
        for one in wheels:
            lines = [f"Requires-Dist: {line}" for line in requires.get(f"{one.project} {one.version}", ())]
            closure.learn_metadata(one, "\n".join(["Metadata-Version: 2.1", "Name: x", *lines, ""]).encode())
        if not projects and not wheels and not closure.join():
            break
    return {name for files in closure.chosen.values() for name in files}, closure


def short(names: set[str]) -> list[str]:
    return sorted("-".join(name.removesuffix(".tar.gz").split("-")[:2]) for name in names)


def test_each_requirement_gets_the_newest_that_it_allows() -> None:
    files = [wheel("a", "1"), wheel("b", "1"), *(wheel("c", f"{n}.0") for n in range(1, 6))]
    found, _ = closed(files, {"a 1": ["c<3"], "b 1": ["c>=2,!=5.0"]}, "a", "b")
    assert short(found) == ["a-1", "b-1", "c-2.0", "c-4.0"]


def test_all_requirements_of_a_project_together_get_one_too() -> None:
    files = [wheel("a", "1"), wheel("b", "1"), *(wheel("c", f"1.{n}") for n in range(10))]
    found, _ = closed(files, {"a 1": ["c!=1.9"], "b 1": ["c<=1.8,!=1.8", "c>1.2"]}, "a", "b")
    assert "c-1.7" in short(found), "the newest that satisfies all"


def test_each_python_gets_what_it_can_use() -> None:
    files = [wheel("a", "1"), wheel("c", "2", requires_python=">=3.12"), wheel("c", "1")]
    for pythons, wanted in (((3, 12),), ["c-2"]), (((3, 10),), ["c-1"]), (((3, 10), (3, 12)), ["c-1", "c-2"]):
        found, _ = closed(files, {"a 1": ["c"]}, "a", pythons=pythons)
        assert short(found) == ["a-1", *wanted]
    found, _ = closed(files, {"a 1": ["c"]}, "a", pythons=())
    assert short(found) == ["a-1", "c-1", "c-2"], "without a word all of them"


def test_markers_and_extras_count() -> None:
    files = [wheel(name, "1") for name in "abcdef"]
    requires = {
        "a 1": ["b; python_version < '3.9'", "c; sys_platform == 'win32'", "d; extra == 'more'", "e[x]"],
        "e 1": ["f; extra == 'x'"],
    }
    assert short(closed(files, requires, "a")[0]) == ["a-1", "e-1", "f-1"]
    assert short(closed(files, requires, "a[more]")[0]) == ["a-1", "d-1", "e-1", "f-1"]
    assert short(closed(files, requires, "a", pythons=((3, 8),))[0]) == ["a-1", "b-1", "e-1", "f-1"]
    assert short(closed(files, requires, "a", platforms=(WINDOWS,))[0]) == ["a-1", "c-1", "e-1", "f-1"]
    assert short(closed(files, requires, "a", platforms=())[0]) == ["a-1", "c-1", "e-1", "f-1"]


def test_all_wheels_that_fit_are_taken_and_no_other_ones() -> None:
    tags = ["cp310-cp310-manylinux2014_x86_64", "cp310-cp310-manylinux_2_28_x86_64", "cp39-abi3-manylinux1_x86_64"]
    others = ["cp311-cp311-manylinux2014_x86_64", "cp310-cp310-win_amd64", "cp310-cp310-manylinux_2_35_x86_64"]
    found, _ = closed([wheel("a", "1", tag) for tag in (*tags, *others)], {}, "a")
    assert found == {f"a-1-{tag}.whl" for tag in tags}


def test_sources_only_where_there_is_nothing_else() -> None:
    files = [wheel("a", "1"), sdist("a", "1"), sdist("b", "1"), wheel("c", "1", "cp39-cp39-win_amd64"), sdist("c", "1")]
    roots = ("a", "b", "c")
    found, closure = closed(files, {}, *roots)
    assert found == {"a-1-py3-none-any.whl", "b-1.tar.gz", "c-1.tar.gz"}
    assert closure.opaque == {"b 1", "c 1"}
    assert closed(files, {}, *roots, rules=ReplicaRules(sdists=SdistChoice.NEVER))[0] == {"a-1-py3-none-any.whl"}
    assert len(closed(files, {}, *roots, rules=ReplicaRules(sdists=SdistChoice.ALWAYS))[0]) == 4


def test_pre_releases_and_yanked_ones_as_pip_takes_them() -> None:
    files = [wheel("a", "1"), wheel("a", "2rc1"), wheel("a", "3", yanked="broken"), wheel("b", "1rc1")]
    assert short(closed(files, {}, "a", "b", newest=1)[0]) == ["a-1", "b-1rc1"]
    assert short(closed(files, {}, "a", newest=1, rules=ReplicaRules(pre=True))[0]) == ["a-2rc1"]
    assert short(closed(files, {}, "a>=2rc1", newest=1)[0]) == ["a-2rc1"]
    assert short(closed(files, {}, "a==3")[0]) == ["a-3"]


def test_dependencies_of_the_time() -> None:
    day = datetime(2020, 1, 1, tzinfo=UTC)
    files = [wheel("a", "1", upload_time=day), wheel("b", "1", upload_time=day - timedelta(days=90))]
    files += [
        wheel("b", "2", upload_time=day + timedelta(days=5)),
        wheel("b", "3", upload_time=day + timedelta(days=99)),
    ]
    assert short(closed(files, {"a 1": ["b"]}, "a")[0]) == ["a-1", "b-3"]
    era = ReplicaRules(grace=timedelta(days=14))
    # A new major release that came 5 days later is of the era only where nothing fits without it.
    assert short(closed(files, {"a 1": ["b"]}, "a", rules=era)[0]) == ["a-1", "b-1", "b-2", "b-3"]
    longer = ReplicaRules(grace=timedelta(days=15))
    assert short(closed(files, {"a 1": ["b"]}, "a", rules=longer)[0]) == ["a-1", "b-2", "b-3"]


def test_what_nothing_satisfies_is_told() -> None:
    files = [wheel("a", "1"), wheel("b", "1"), wheel("d", "1", requires_python=">=3.12")]
    _, closure = closed(files, {"a 1": ["b>2", "c", "d", "e @ https://x/e.whl"]}, "a", pythons=((3, 10), (3, 12)))
    assert closure.unmet == {"b": {">2"}}, "d is there for one of the two"
    assert {one.replace(" ", "") for one in closure.addresses} == {"e@https://x/e.whl"}
    assert "c" in closure.asked


def test_what_is_excluded_is_never_asked_for() -> None:
    files = [wheel("a", "1"), wheel("b", "1")]
    found, closure = closed(files, {"a 1": ["b"]}, "a", rules=ReplicaRules(exclude=frozenset({"b"})))
    assert (short(found), closure.asked) == (["a-1"], {"a"})


def test_an_extra_made_of_others_means_its_own_version() -> None:
    files = [wheel("a", "1"), wheel("a", "2"), *(wheel(name, n) for name in ("b", "c") for n in ("1", "2"))]
    requires = {
        "a 1": ["a[more]; extra == 'all'", "b==1; extra == 'more'"],
        "a 2": ["a[more]; extra == 'all'", "b==2; extra == 'more'"],
    }
    assert short(closed(files, requires, "a[all]==1")[0]) == ["a-1", "b-1"]


def test_what_all_ask_for_together_has_the_extras_of_each() -> None:
    files = [wheel("a", "1"), wheel("c", "1"), *(wheel("b", n) for n in ("1.9", "3")), *(wheel("x", n) for n in "13")]
    requires = {"a 1": ["b[x]>=1"], "c 1": ["b<2"], "b 1.9": ["x<2; extra == 'x'"], "b 3": ["x; extra == 'x'"]}
    assert short(closed(files, requires, "a", "c")[0]) == ["a-1", "b-1.9", "b-3", "c-1", "x-1", "x-3"]


def test_the_first_of_a_python_counts_as_the_last() -> None:
    files = [wheel("a", "1", requires_python=">=3.8,<=3.10"), wheel("b", "1")]
    assert short(closed(files, {"a 1": ["b; python_full_version < '3.10.3'"]}, "a")[0]) == ["a-1", "b-1"]


def test_odd_markers_end_nothing() -> None:
    files = [wheel("a", "1"), wheel("b", "1")]
    odd = ["b; os_name ~= 'x'", "b; python_version ~= 'abc'", "b; " + "(" * 3000 + "os_name == 'x'" + ")" * 3000]
    assert short(closed(files, {"a 1": odd}, "a")[0]) == ["a-1", "b-1"]
