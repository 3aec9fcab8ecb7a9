"""`tf-tester blame`, and `--why`, from the outside."""

import json
import sys

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel

PARTS = [f"part{number:02}" for number in range(1, 13)]
YEARS = {"1.0": 2019, "1.5": 2020, "2.0": 2022, "2.5": 2023, "3.0": 2024}
PYTHON = ".".join(map(str, sys.version_info[:2]))
MAJORS = "import car, {}\nmajor = lambda part: int(part.__version__[0])\n".format(", ".join(PARTS))


def add(index: Simulator, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    month = int(name[-2:]) if name[-1].isdigit() else 6
    index.add_wheel(
        *make_wheel(name, version, requires=requires), upload_time=f"{YEARS[version]}-{month:02}-01T00:00:00Z"
    )


@pytest.fixture
def car(user: User, index: Simulator) -> User:
    """car 1.0 and 2.0 of 2021 and 2025, made of twelve parts of which there are newer ones."""
    for part in PARTS:
        for version in YEARS:
            add(index, part, version)
    for version, year in (("1.0", 2021), ("2.0", 2025)):
        source = f"__version__ = {version!r}\n" + ("horn = 1\n" if version == "1.0" else "")
        wheel = make_wheel("car", version, files={"car.py": source}, requires=[f"{part}>=1" for part in PARTS])
        index.add_wheel(*wheel, upload_time=f"{year}-01-01T00:00:00Z")
    user.env["TF_TESTER_PACKAGE"] = "car"
    return user


def blame(car: User, test: str, *words: str) -> tuple[list[str], str]:
    """What was answered, and what was told on the way."""
    car.write("check.py", MAJORS + test)
    run = car.run("blame", "check.py", "--versions", "1.0", *words)
    assert run.code == 0, run.err
    return run.out.splitlines(), run.err


def test_one_culprit_its_border_and_the_pin_that_repairs_it(car: User) -> None:
    said, told = blame(car, "assert major(part05) < 2, 'it rattles'\n")
    assert said[:4] == [
        f"car 1.0 on Python {PYTHON} with latest dependencies fails because of part05 1.5 → 2.0.",
        "  AssertionError: it rattles",
        "Pin 'part05<2': it passes then.",
        # Two ends; 4 to find it among 12; it alone; all but it; its border: an end and 2 between; the pin.
        "12 cells for 12 distributions that differ.",
    ]
    assert "12 distributions differ: finding one cause takes at most 7 cells," in told


@pytest.mark.whole
def test_several_culprits_each_enough_alone_are_all_found(car: User) -> None:
    test = "assert major(part02) < 3\nassert major(part11) < 2\nassert part07.__version__ < '2.5'\n"
    said, _ = blame(car, test, "--jobs", "2")
    assert said[0] == f"car 1.0 on Python {PYTHON} with latest dependencies fails for 3 reasons, each enough alone:"
    assert {line for line in said if line.startswith("- ")} == {
        "- part02 2.5 → 3.0",
        "- part07 2.0 → 2.5",
        "- part11 1.5 → 2.0",
    }
    (pins,) = [line for line in said if line.startswith("Pin ")]
    assert pins.endswith(": it passes then.")
    assert all(f"'{pin}'" in pins for pin in ("part02<3", "part07<2.5", "part11<2"))


@pytest.mark.whole
def test_changes_that_only_fail_together_are_one_cause(car: User) -> None:
    said, _ = blame(car, "assert major(part03) < 2 or major(part09) < 3, 'they clash'\n")
    assert "fails because of part03 1.5 → 2.0 together with part09 1.5 → 3.0." in said[0]
    assert "Pin 'part03<2': it passes then." in said


@pytest.mark.whole
def test_only_what_fits_together_is_tried(car: User, index: Simulator) -> None:
    """The new part04 needs the new part02: whoever has the one has the other, and yet only one is to blame."""
    index.add_wheel(*make_wheel("part04", "3.1", requires=["part02>=3"]), upload_time="2024-05-01T00:00:00Z")
    car.write("check.py", MAJORS + "assert major(part04) < 3\nassert not (major(part04) == 3 and major(part02) < 3)\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--json")
    assert run.code == 0, run.err
    explanation = json.loads(run.out)
    (cause,) = explanation["causes"]
    assert cause["changes"] == ["part04 1.5 → 3.1"]
    assert (cause["last_good"], cause["first_bad"], cause["pin"]) == ("2.5", "3.0", "part04<3")
    assert explanation["verified"]
    assert explanation["verdict"] == "dependency"


@pytest.mark.whole
def test_of_what_can_only_change_together_the_one_that_fails_by_itself_is_named(car: User, index: Simulator) -> None:
    for one, other in (("part02", "part04"), ("part04", "part02")):
        index.add_wheel(*make_wheel(one, "3.1", requires=[f"{other}>=3.1"]), upload_time="2024-05-01T00:00:00Z")
    said, _ = blame(car, "assert part04.__version__ < '3.1', 'it rattles'\n")
    assert "fails because of part04 3.0 → 3.1." in said[0]
    assert "Pin 'part04<3.1': it passes then." in said


@pytest.mark.whole
def test_what_is_new_is_kept_out_by_an_older_version_of_what_brings_it(car: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("radio", "1.0"), upload_time="2024-05-01T00:00:00Z")
    index.add_wheel(*make_wheel("part06", "3.1", requires=["radio"]), upload_time="2024-06-01T00:00:00Z")
    test = "import importlib.util\nassert importlib.util.find_spec('radio') is None, 'too loud'\n"
    said, _ = blame(car, test)
    assert "fails because of radio 1.0 (added)." in said[0]
    assert "Pin part06==1.5: it passes then." in said


@pytest.mark.whole
def test_what_is_gone_comes_back_as_a_requirement(car: User, index: Simulator) -> None:
    index.add_wheel(*make_wheel("choke", "1.0"), upload_time="2019-05-01T00:00:00Z")
    index.add_wheel(*make_wheel("part08", "1.6", requires=["choke"]), upload_time="2020-09-01T00:00:00Z")
    said, _ = blame(car, "import choke\n")
    assert "fails because of choke 1.0 (gone)." in said[0]
    assert "Pin choke==1.0: it passes then." in said


@pytest.mark.whole
def test_what_newer_ones_can_bear_together_is_no_cause(car: User) -> None:
    """A new part08 fails with the old part09 alone: not what breaks it with everything new."""
    test = "assert major(part08) < 3 or major(part09) == 3, 'half new'\nassert major(part10) < 2, 'that is it'\n"
    said, _ = blame(car, test)
    assert "fails because of part10 1.5 → 2.0." in said[0]
    assert "Pin 'part10<2': it passes then." in said
    assert any("part08" in line and "the newer ones go together" in line for line in said)


@pytest.mark.whole
def test_what_pip_froze_can_be_blamed(car: User) -> None:
    lines = [f"{part}=={'3.0' if part == 'part10' else '1.5'}" for part in PARTS]
    car.write("frozen.txt", "\n".join(["# mine", "car==1.0", *lines, "-e git+https://x/y#egg=z", ""]))
    said, _ = blame(car, "assert major(part10) < 2\n", "--bad", "frozen.txt")
    assert f"car 1.0 on Python {PYTHON} with those of frozen.txt fails because of part10" in said[0]
    # The other way round: what pip froze works, today's doesn't.
    lines = [f"{part}==1.5" for part in PARTS]
    car.write("frozen.txt", "\n".join(["car==1.0", *lines]))
    said, _ = blame(car, "assert major(part10) < 2\n", "--good", "frozen.txt")
    assert "fails because of part10 1.5 → 3.0." in said[0]
    assert "Pin 'part10<=1.5': it passes then." in said


def test_a_budget_is_kept_to_and_told(car: User) -> None:
    car.write("check.py", MAJORS + "assert major(part02) < 3\nassert major(part11) < 2\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--budget", "5")
    assert run.code == 3
    assert "no cause was found" in run.out
    assert "--budget 5 was spent" in run.out
    assert "5 cells for" in run.out


@pytest.mark.whole
def test_ends_that_are_not_what_they_are_said_to_be_are_an_error(car: User) -> None:
    car.write("check.py", MAJORS + "assert major(part05) < 2\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--good", "latest", "--bad", "era")
    assert run.code == 2
    assert "car 1.0 does not pass with latest dependencies: AssertionError" in run.err
    car.write("pass.py", "import car\n")
    run = car.run("blame", "pass.py", "--versions", "1.0")
    assert run.code == 2
    assert "car 1.0 does not fail with latest dependencies" in run.err
    for words in (("--good", "newest"), ("--bad", "no-such.txt"), ("--versions", "1.0,2.0"), ("--budget", "0")):
        run = car.run("blame", "check.py", "--versions", "1.0", *words)
        assert run.code == 2, (words, run.err)
    car.write("loose.txt", "car>=1\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--bad", "loose.txt")
    assert run.code == 2
    assert "doesn't say which version" in run.err
    car.write("other.txt", "car==2.0\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--bad", "other.txt")
    assert "other.txt has car 2.0, not 1.0" in run.err


# -- test --why


def test_why_names_the_dependency(car: User) -> None:
    car.write("check.py", MAJORS + "assert major(part05) < 2, 'it rattles'\n")
    run = car.run("test", "check.py", "--versions", "1.0,2.0", "--resolve", "latest", "--why")
    assert run.code == 1
    assert "verdict: dependency, part05 1.5 → 2.0" in run.out
    assert "Pin 'part05<2': it passes then." in run.out
    assert "seen with every version that ran" in run.out
    assert "2 failed" in run.out, "the cells that were run to find out are not of the matrix"


@pytest.mark.whole
def test_why_tries_an_era_that_ends_sooner(car: User, index: Simulator) -> None:
    """part05 1.9 came out a week after car 1.0, and breaks it; so does today's 3.0."""
    index.add_wheel(*make_wheel("part05", "1.9"), upload_time="2021-01-08T00:00:00Z")
    car.write("check.py", MAJORS + "assert part05.__version__ == '1.5', 'it rattles'\n")
    run = car.run("test", "check.py", "--versions", "1.0", "--why")
    assert run.code == 1
    assert "verdict: dependency, part05 1.5 → 1.9" in run.out
    assert "Pin 'part05<=1.5': it passes then." in run.out
    assert "passes with --grace 0d" in run.out
    assert "1 failed" in run.out


@pytest.mark.whole
def test_why_names_the_framework_and_not_what_drifted_with_it(car: User) -> None:
    car.write("check.py", MAJORS + "car.horn\n")
    run = car.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert run.code == 1
    assert "verdict: framework, car 1.0 → 2.0" in run.out
    assert "fails with latest dependencies, too" in run.out
    assert "seen from 2.0 on; not with 1.0" in run.out
    car.write("check.py", MAJORS + "assert car.__version__ < '2'\n")
    plain = car.run("test", "check.py", "--versions", "1.0,2.0")
    assert "verdict: unknown, those that pass differ in dependencies, too: --why tells" in plain.out
    assert "--why" in plain.out


def test_without_any_question_what_differs_in_one_thing_is_a_verdict(user: User) -> None:
    """toy 1.1 and 1.0 have the same gear here: it is toy that changed."""
    user.write("check.py", "import toy\nassert toy.__version__ == '1.0'\n")
    run = user.run("test", "check.py", "--versions", "1.0,1.1", "--with", "gear==2.0")
    assert "verdict: framework, 1.0 py" in run.out
    assert "passes and differs in nothing else" in run.out


def test_without_any_question_an_error_that_names_who_lacks_something_is_a_verdict(car: User, index: Simulator) -> None:
    """All twelve parts changed from the one car to the other, and the test asks one of them for what it lost."""
    wheel = make_wheel("part05", "1.6", files={"part05/__init__.py": "", "part05/horn.py": "loud = 1\n"})
    index.add_wheel(*wheel, upload_time="2020-07-01T00:00:00Z")
    car.write("check.py", "import car\nfrom part05 import horn\n")
    run = car.run("test", "check.py", "--versions", "1.0,2.0")
    assert "verdict: dependency, part05 1.6 → 3.0: the error says that part05 lacks it" in " ".join(run.out.split())
    assert "--why" not in run.out


def test_why_finds_what_is_flaky(car: User) -> None:
    flag = car.folder / "flag"
    car.write(
        "check.py",
        f"import pathlib, car\nflag = pathlib.Path({str(flag)!r})\nseen = flag.exists()\nflag.touch()\nassert seen\n",
    )
    run = car.run("test", "check.py", "--versions", "1.0", "--why", "--writable", str(car.folder))
    assert "verdict: flaky" in run.out
    assert run.outcomes()["1.0"] == "pass"  # the last look; the matrix keeps its own
    assert "1 failed" in run.out


@pytest.mark.whole
def test_why_says_so_where_nothing_passes(car: User) -> None:
    car.write("check.py", "import car\nassert False\n")
    run = car.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert run.code == 1
    assert "verdict: unknown" in run.out


def two_cars(user: User, index: Simulator, needs: dict[str, str], *, engine_2_needs: tuple[str, ...] = ()) -> User:
    """car 1.0 and 2.0, which need these engines, of 1.0, 1.5, 2.0 and 3.0; only the first one has a horn."""
    for version, year in (("1.0", 2021), ("2.0", 2025)):
        source = f"__version__ = {version!r}\n" + ("horn = 1\n" if version == "1.0" else "")
        wheel = make_wheel("car", version, files={"car.py": source}, requires=[needs[version], "part01"])
        index.add_wheel(*wheel, upload_time=f"{year}-01-01T00:00:00Z")
    for version, year in (("1.0", 2019), ("1.5", 2022), ("2.0", 2023), ("3.0", 2024)):
        requires = engine_2_needs if version >= "2" else ()
        index.add_wheel(*make_wheel("engine", version, requires=requires), upload_time=f"{year}-01-01T00:00:00Z")
    for version, year in (("1.0", 2019), ("2.0", 2024)):
        index.add_wheel(*make_wheel("part01", version), upload_time=f"{year}-01-01T00:00:00Z")
    user.env["TF_TESTER_PACKAGE"] = "car"
    return user


@pytest.mark.whole
def test_a_dependency_that_only_another_version_of_the_framework_allows_is_still_the_dependency(
    user: User, index: Simulator
) -> None:
    """The engine that passed isn't allowed beside car 2.0; 1.5, the nearest one that is, passes, too."""
    two_cars(user, index, {"1.0": "engine<1.5", "2.0": "engine>=1.5"})
    user.write("check.py", "import car, engine\nassert engine.__version__ < '2', 'too strong'\n")
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert "verdict: dependency, engine 1.5 → 2.0" in run.out, run.out
    assert "Pin 'engine<2': it passes then." in run.out


@pytest.mark.whole
def test_what_passes_with_the_same_engine_by_force_alone_is_not_the_framework(user: User, index: Simulator) -> None:
    """Neither goes without the other, and yet a cell of both that nobody could install tells them apart."""
    two_cars(user, index, {"1.0": "engine<1.5", "2.0": "engine>=2"}, engine_2_needs=("car>=2",))
    user.write("check.py", "import car, engine\nassert engine.__version__ == '1.0'\n")
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert "verdict: dependency, engine 1.0 → 3.0" in run.out, run.out
    assert "car 2.0 allows no version of it that passes" in run.out
    assert "Pin" not in run.out
    user.write("check.py", "import car\ncar.horn\n")
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert "verdict: framework, car 1.0 → 2.0\n" in run.out, run.out


@pytest.mark.whole
def test_what_each_fails_without_in_another_way_is_not_told_apart(user: User, index: Simulator) -> None:
    two_cars(user, index, {"1.0": "engine<1.5", "2.0": "engine>=2"}, engine_2_needs=("car>=2",))
    test = (
        "import car, engine\nassert (car.__version__ > '1.5') == (engine.__version__ > '1.5'), 'half'\n"
        "assert car.__version__ < '2'\n"
    )
    user.write("check.py", test)
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--why")
    assert "verdict: unknown, car 1.0 → 2.0 together with engine 1.0 → 3.0" in run.out, run.out
    assert "can't be told apart" in run.out


@pytest.mark.whole
def test_what_the_failure_points_into_is_told_apart_from_what_else_must_change(user: User, index: Simulator) -> None:
    two_cars(user, index, {"1.0": "engine<1.5", "2.0": "engine>=2"}, engine_2_needs=("car>=2", "belt>=2"))
    for version, year, body in (("1.0", 2019, "pass"), ("2.0", 2023, "raise TypeError('too tight')")):
        wheel = make_wheel("belt", version, files={"belt.py": f"def tighten():\n    {body}\n"})
        index.add_wheel(*wheel, upload_time=f"{year}-01-01T00:00:00Z")
    test = (
        "import belt, car, engine\nassert (car.__version__ > '1.5') == (engine.__version__ > '1.5'), 'half'\n"
        "belt.tighten()\n"
    )
    user.write("check.py", test)
    run = user.run("test", "check.py", "--versions", "1.0,2.0", "--with", "belt", "--why")
    assert "verdict: dependency, belt 1.0 → 2.0" in run.out, run.out


@pytest.mark.whole
def test_where_no_cell_passes_an_older_series_of_what_the_failure_points_into_is_tried(
    user: User, index: Simulator
) -> None:
    for version, day, spin in (
        ("1.9", "2020-01-01", "pass"),
        ("2.5", "2020-03-01", "1 / 0"),
        ("3.1", "2023-03-01", "1 / 0"),
    ):
        wheel = make_wheel("gear", version, files={"gear.py": f"MAJOR = 1\ndef spin():\n    {spin}\n"})
        index.add_wheel(*wheel, upload_time=f"{day}T00:00:00Z")
    # Nor can it be resolved with other dependencies: that ends no search.
    index.add_wheel(*make_wheel("clutch", "1.0"), upload_time="2023-01-01T00:00:00Z")
    user.write("check.py", "import toy, gear, clutch\ngear.spin()\n")
    words = ("--with", "clutch", "--resolve", "latest")
    run = user.run("test", "check.py", "--versions", "2.0", "--why", *words)
    assert "verdict: dependency, gear 1.9 → 2.0" in run.out, run.out
    assert "Pin 'gear<2': it passes then." in run.out


@pytest.mark.whole
def test_two_kinds_of_failure_beside_one_neighbour_are_told_apart(car: User, index: Simulator) -> None:
    """Cells that are run twice have folders of their own, and each test is explained for itself."""
    source = "__version__ = '3.0'\n"
    requires = [f"{part}>=1" for part in PARTS]
    index.add_wheel(
        *make_wheel("car", "3.0", files={"car.py": source}, requires=requires), upload_time="2025-06-01T00:00:00Z"
    )
    car.write("one.py", MAJORS + "assert car.__version__ < '2', 'too new'\n")
    car.write("two.py", MAJORS + "assert car.__version__ < '3', 'much too new'\n")
    words = ("--versions", "1.0,2.0,3.0", "--resolve", "latest", "--why", "--no-cache")
    run = car.run("test", "one.py", "two.py", *words)
    assert run.code == 1
    assert "File exists" not in run.out + run.err
    assert run.out.count("verdict: framework") == 2, run.out
    assert "flaky" not in run.out
    explained = [event["explanation"] for event in run.record() if event["event"] == "cell-explained"]
    cells = [one["cell"]["requirements"][0]["version"] for one in explained]
    assert list(zip(cells, [one["test"] for one in explained], strict=True)) == [("2.0", "one.py"), ("3.0", "two.py")]


@pytest.mark.whole
def test_a_test_is_explained_by_what_it_does_and_not_by_what_others_do(car: User) -> None:
    car.write("one.py", MAJORS + "assert major(part05) < 2, 'it rattles'\n")
    car.write("two.py", MAJORS + "car.horn\n")
    run = car.run("test", "one.py", "two.py", "--versions", "1.0,2.0", "--why")
    explained = {
        event["explanation"]["test"]: event["explanation"]
        for event in run.record()
        if event["event"] == "cell-explained"
    }
    assert explained["two.py"]["verdict"] == "framework"
    assert [cause["changes"] for cause in explained["two.py"]["causes"]] == [["car 1.0 → 2.0"]]
    assert [cause["project"] for cause in explained["one.py"]["causes"]] == ["part05"]


@pytest.mark.whole
def test_locks_are_compared_with_locks_alone(car: User, index: Simulator) -> None:
    car.write("check.py", MAJORS + "assert major(part05) < 2, 'it rattles'\n")
    assert car.run("lock", "--versions", "1.0").code == 0
    assert car.run("lock", "--versions", "1.0", "--resolve", "latest").code == 0
    run = car.run("test", "check.py", "--locked", "locks", "--why")
    assert "1 passed, 1 failed" in run.out
    assert "verdict: dependency, part05 1.5 → 3.0" in run.out
    assert "Pin 'part05<=1.5': it passes then." in run.out


@pytest.mark.whole
def test_a_dependency_with_pre_releases_alone_has_a_border_too(car: User, index: Simulator) -> None:
    for number, year in ((1, 2019), (2, 2022), (3, 2024)):
        wheel = make_wheel("beta", f"0.{number}b0")
        index.add_wheel(*wheel, upload_time=f"{year}-01-01T00:00:00Z")
    index.add_wheel(*make_wheel("part05", "3.1", requires=["beta>=0.1b0"]), upload_time="2019-02-01T00:00:00Z")
    said, _ = blame(car, "import beta\nassert beta.__version__ != '0.3b0'\n")
    assert "fails because of beta 0.2b0 → 0.3b0." in said[0]


def test_a_mistake_about_pythons_or_versions_is_one_sentence(car: User) -> None:
    car.write("check.py", MAJORS + "assert major(part05) < 2\n")
    run = car.run("blame", "check.py", "--versions", "1.0", "--python", "2.7")
    assert run.code == 2
    assert "Python 2.7 is not installed" in run.err
    run = car.run("bisect", "check.py", "--good", ">=1.0", "--bad", "2.0")
    assert run.code == 2
    assert "means 2 versions" in run.err


@pytest.mark.whole
@pytest.mark.usefixtures("with_pytest")
def test_each_test_is_judged_for_itself(car: User) -> None:
    car.write("test_car.py", MAJORS + "def test_a(): assert car.horn\ndef test_b(): assert False\n")
    words = ("test", "test_car.py", "--versions", "1.0,2.0", "--resolve", "latest")
    plain = car.run(*words)
    assert "verdict: framework, 1.0 py" in plain.out, plain.out
    why = car.run(*words, "--why")
    assert "verdict: framework, car 1.0 → 2.0" in why.out
    assert "verdict: unknown, it passes nowhere in this run, fails with era dependencies, too" in why.out.replace(
        "\n    ", ", "
    ), why.out
