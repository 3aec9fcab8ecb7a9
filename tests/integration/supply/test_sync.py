"""`tf-tester sync` from the outside: an upstream that changes, goes wrong and comes back."""

import json
import random
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.integration.conftest import Run, User, finish
from tests.integration.host.test_serve import JSON, Served, serving
from tests.simulator import Cut, Lie, Silent, Simulator, Status
from tests.wheels import make_wheel

CONFIG = 'projects = ["toy"]\n'


@pytest.fixture
def config(user: User) -> Path:
    return user.write("team.toml", CONFIG)


def sync(user: User, *words: str, code: int = 0) -> Run:
    run = user.run("sync", "team.toml", *words)
    assert run.code == code, run.out + run.err
    return run


def shown(served: Served, project: str) -> list[str]:
    answer = served.get(f"/simple/{project}/", Accept=JSON)
    if answer.status == 404:
        return []
    assert answer.status == 200, answer.body
    return [file["filename"] for file in json.loads(answer.body)["files"]]


def holds(user: User) -> dict[str, list[str]]:
    """Files by project, as the replica is served with no upstream at all; each of them is there, whole."""
    with serving(user, "--synced", "team", "--offline") as served:
        names = [one["name"] for one in json.loads(served.get("/simple/", Accept=JSON).body)["projects"]]
        found = {name: shown(served, name) for name in names}
        for name, files in found.items():
            for file in files:
                assert served.get(served.file(name, file)).status == 200
        return found


def wheel(name: str, version: str = "1.0", requires: tuple[str, ...] = (), tag: str = "py3-none-any") -> str:
    return make_wheel(name, version, requires=requires, tag=tag)[0]


def add(index: Simulator, name: str, version: str = "1.0", requires: tuple[str, ...] = (), **more: str) -> str:
    tag = more.pop("tag", "py3-none-any")
    filename, content = make_wheel(name, version, requires=requires, tag=tag)
    index.add_wheel(filename, content, **more)  # type: ignore[arg-type]
    return filename


def test_it_brings_what_is_named_and_what_that_requires(user: User, index: Simulator, config: Path) -> None:
    run = sync(user)
    assert "team: 2 projects, 4 files" in run.out
    assert holds(user) == {
        "gear": ["gear-3.0-py3-none-any.whl"],
        "toy": [f"toy-{version}-py3-none-any.whl" for version in ("1.0", "1.1", "2.0")],
    }


def test_dependencies_of_the_time_come_along(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", CONFIG + 'era = true\ngrace = "30d"\n')
    sync(user)
    assert holds(user)["gear"] == ["gear-2.0-py3-none-any.whl", "gear-3.0-py3-none-any.whl"]


def test_what_does_not_change_costs_a_question_a_project(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    sync(user)  # sees that there is no list, once a day
    index.forget_counts()
    run = sync(user)
    assert "team: nothing new; 2 projects, 4 files" in run.out
    assert dict(index.requests) == {"toy": 1, "gear": 1}
    assert all(request.headers.get("if-none-match") for request in index.log)
    assert not index.bytes_sent["toy"] and not index.bytes_sent["gear"], "304 has no body"


def test_a_list_with_serials_saves_the_questions(user: User, index: Simulator, config: Path) -> None:
    index.lists = True
    sync(user)
    assert index.requests["simple"] == 0, "there is nothing to compare it with"
    index.forget_counts()
    assert "nothing new" in sync(user).out
    assert [request.method for request in index.log] == ["HEAD", "GET"]
    assert dict(index.requests) == {"simple": 2}
    new = add(index, "toy", "2.1", ("gear>=1",))
    index.forget_counts()
    assert "toy: +1" in sync(user).out
    assert dict(index.requests) == {"simple": 2, "toy": 1, new: 1}
    index.forget_counts()
    assert "nothing new" in sync(user).out
    assert dict(index.requests) == {"simple": 1}


def test_a_list_that_is_too_long_is_left_alone(user: User, index: Simulator, config: Path) -> None:
    index.lists = True
    for number in range(600):
        index.add_wheel(*make_wheel(f"other{number}", "1.0"))
    sync(user)
    index.forget_counts()
    assert "nothing new" in sync(user).out
    assert dict(index.requests) == {"simple": 1, "toy": 1, "gear": 1}
    assert not index.bytes_sent["simple"], "its length was told"
    index.forget_counts()
    sync(user)
    assert dict(index.requests) == {"toy": 1, "gear": 1}


def test_what_is_new_comes_and_nothing_else(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    new = add(index, "toy", "2.1", ("gear>=1", "cog"))
    cog = add(index, "cog")
    index.forget_counts()
    run = sync(user, "--report", "sync.json")
    report = json.loads((user.folder / "sync.json").read_text())
    assert report["changes"] == [
        {"project": "cog", "added": [cog], "removed": []},
        {"project": "toy", "added": [new], "removed": []},
    ]
    assert (report["fetched"], report["exit_code"], report["missing"]) == (2, 0, [])
    assert "toy: +1" in run.out
    assert {name for name in index.requests if name.endswith(".whl")} == {new, cog}
    assert holds(user)["toy"][-1] == new


def test_the_status_page_knows_of_it(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    with serving(user) as served:
        [told] = json.loads(served.get("/status/now.json").body)["synced"]
        assert (told["name"], told["complete"]) == ("team", True)


def test_it_says_whom_it_mirrors(user: User, index: Simulator, config: Path) -> None:
    """PEP 708, so that installers may take it and its upstream together."""
    sync(user)
    with serving(user, "--synced", "team", "--offline") as served:
        page = json.loads(served.get("/simple/toy/", Accept=JSON).body)
        assert page["meta"]["tracks"] == [f"{index.simple_url}/toy/"]
        assert page["versions"] == ["1.0", "1.1", "2.0"]


def test_what_is_no_longer_required_goes(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    user.write("team.toml", CONFIG + "dependencies = false\nnewest = 1\n")
    run = sync(user)
    assert "gear: -1" in run.out
    assert holds(user) == {"toy": ["toy-2.0-py3-none-any.whl"]}


def test_one_bad_file_costs_no_other_one(user: User, index: Simulator, config: Path) -> None:
    # The requirements are told without the wheels.
    for version in ("1.0", "1.1", "2.0"):
        name, content = make_wheel("toy", version, requires=["gear>=1"])
        index.add_wheel(name, content, metadata=True)
    index.fault("toy-1.1-py3-none-any.whl", Lie(50))
    run = sync(user, "--report", "sync.json", code=4)
    assert "missing: toy-1.1-py3-none-any.whl" in run.err
    assert holds(user) == {
        "gear": ["gear-3.0-py3-none-any.whl"],
        "toy": ["toy-1.0-py3-none-any.whl", "toy-2.0-py3-none-any.whl"],
    }
    [missing] = json.loads((user.folder / "sync.json").read_text())["missing"]
    assert missing["what"] == "toy-1.1-py3-none-any.whl"
    index.heal()
    assert "toy: +1" in sync(user).out
    assert "toy-1.1-py3-none-any.whl" in holds(user)["toy"]


def test_nothing_goes_before_what_replaces_it_has_come(user: User, index: Simulator, config: Path) -> None:
    """Nor what the older version needs."""
    user.write("team.toml", CONFIG + "newest = 1\n")
    sync(user)
    before = holds(user)
    name, content = make_wheel("toy", "3.0", requires=["cog"])
    index.add_wheel(name, content, metadata=True)
    cog = add(index, "cog")
    index.fault(name, Lie(60))
    sync(user, code=4)
    assert holds(user) == {**before, "cog": [cog]}
    index.heal()
    sync(user)
    assert holds(user) == {"cog": [cog], "toy": [name]}


def test_an_upstream_that_is_gone_takes_nothing_along(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    before = holds(user)
    index.fault("gear", Silent())
    index.fault("toy", Status(503))
    run = sync(user, code=4)
    assert "missing: gear, toy: the upstream does not answer" in run.err
    assert holds(user) == before
    index.heal()
    assert "nothing new" in sync(user).out


def test_metadata_that_cannot_be_had_drops_nothing(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    new = add(index, "toy", "3.0")
    user.write("team.toml", CONFIG + "newest = 1\n")
    index.fault(new, Status(403))
    sync(user, code=4)
    assert holds(user) == {
        "gear": ["gear-3.0-py3-none-any.whl"],
        "toy": [f"toy-{version}-py3-none-any.whl" for version in ("1.0", "1.1", "2.0")],
    }
    index.heal()
    sync(user)
    assert holds(user) == {"toy": [new]}, "toy 3.0 requires no gear"


def test_the_brake_holds_what_the_upstream_has_no_more(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", CONFIG + "max-deletions = 1\n")
    sync(user)
    before = holds(user)
    index.remove("toy-1.0-py3-none-any.whl")
    run = sync(user)
    assert "toy: -1" in run.out
    index.remove("toy-1.1-py3-none-any.whl")
    index.remove("gear-3.0-py3-none-any.whl")
    run = sync(user, code=4)
    assert "--allow-deletions" in run.err
    after = {name: sorted(files) for name, files in holds(user).items()}
    assert after == {"toy": before["toy"][1:], "gear": ["gear-2.0-py3-none-any.whl", *before["gear"]]}
    sync(user, "--allow-deletions")
    assert holds(user) == {"gear": ["gear-2.0-py3-none-any.whl"], "toy": ["toy-2.0-py3-none-any.whl"]}


def test_a_named_project_that_is_emptied_upstream_stays(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    before = holds(user)
    for version in ("1.0", "1.1", "2.0"):
        index.remove(f"toy-{version}-py3-none-any.whl")
    run = sync(user, code=4)
    assert "toy-2.0-py3-none-any.whl" in run.err
    assert "--allow-deletions" in run.err
    assert holds(user) == before, "with what it requires"
    add(index, "toy", "3.0")
    sync(user)
    assert holds(user)["toy"] == ["toy-3.0-py3-none-any.whl"], "three of three may be right: something is there"


def test_each_reason_why_something_stays_is_the_right_one(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", 'projects = ["toy", "gear"]\n')
    sync(user)
    before = holds(user)
    index.fault("toy", Status(404))
    run = sync(user, "--report", "sync.json", code=4)
    files = [f"toy-{version}-py3-none-any.whl" for version in ("1.0", "1.1", "2.0")]
    assert (
        f"kept: 3 files that the upstream has no more, such as {', '.join(files)}: "
        "the upstream has no such project any more\n  If that is right, sync once with --allow-deletions.\n"
    ) in run.err
    assert "has no project named toy" in run.err and "take it out of the replica's file" in run.err
    report = json.loads((user.folder / "sync.json").read_text())
    told = [{"project": "toy", "files": files, "reason": "the upstream has no such project any more"}]
    assert (report["held_back"], report["kept"]) == (files, told)
    index.heal()
    for name in files:
        index.remove(name)
    index.add_project("toy")
    user.write("team.toml", 'projects = ["toy", "gear"]\nmax-deletions = 3\n')
    index.remove("gear-1.0-py3-none-any.whl")
    run = sync(user, code=4)
    assert (
        "such as toy-1.0-py3-none-any.whl, toy-1.1-py3-none-any.whl, toy-2.0-py3-none-any.whl: the upstream's "
        in run.err
    )
    assert "kept: 1 file that the upstream has no more, such as gear-1.0-py3-none-any.whl: 4 files would go" in run.err
    assert "missing: toy: the upstream's page has no files" in run.err
    assert {name: sorted(found) for name, found in holds(user).items()} == before
    index.add_project("toy", status="quarantined")
    run = sync(user, "--allow-deletions", code=4)
    assert "missing: toy: it is in quarantine at the upstream" in run.err


def test_most_of_many_files_of_a_named_project_do_not_go_at_once(user: User, index: Simulator, config: Path) -> None:
    for version in ("0.1", "0.2", "0.3", "0.4"):
        add(index, "toy", version)
    sync(user)
    before = holds(user)
    for version in ("0.1", "0.2", "0.3", "0.4"):
        index.remove(f"toy-{version}-py3-none-any.whl")
    assert "the upstream has 4 of its 7 files no more" in sync(user, code=4).err
    assert holds(user) == before
    assert "toy: -4" in sync(user, "--allow-deletions").out


def test_the_brake_holds_what_that_requires_too(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", CONFIG + "max-deletions = 1\n")
    sync(user)
    before = holds(user)
    for version in ("1.0", "1.1", "2.0"):
        index.remove(f"toy-{version}-py3-none-any.whl")
    sync(user, code=4)
    assert holds(user) == before


def test_a_page_of_yesterday_takes_nothing_along(user: User, index: Simulator, config: Path) -> None:
    """Not even when it is looked at again."""
    index.serial = 10
    sync(user)
    before = holds(user)
    index.remove("toy-2.0-py3-none-any.whl")
    index.serial = 9
    for _ in range(2):
        assert "an older state" in sync(user, code=4).err
        assert holds(user) == before


def test_a_project_that_comes_back_has_a_serial_of_its_own(user: User, index: Simulator, config: Path) -> None:
    def serial() -> int:
        with serving(user, "--synced", "team", "--offline") as served:
            return int(json.loads(served.get("/simple/gear/", Accept=JSON).body)["meta"]["_last-serial"])

    user.write("team.toml", 'projects = ["toy", "gear"]\n')
    sync(user)
    first = serial()
    user.write("team.toml", CONFIG + "dependencies = false\n")
    sync(user)
    user.write("team.toml", 'projects = ["toy", "gear>=3"]\n')
    sync(user)
    assert serial() > first, "whoever mirrors this one must see that it is another page"


def test_what_the_ledger_has_lost_is_made_anew(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    before = holds(user)
    with sqlite3.connect(user.store / "ledger.sqlite") as database:
        database.execute("UPDATE memo SET value = x'00' WHERE kind = 'replica-project' AND key = 'team/gear'")
    database.close()
    assert "gear" not in holds(user)
    sync(user)
    assert holds(user) == before


def test_a_file_that_the_store_has_lost_is_not_listed(user: User, index: Simulator, config: Path) -> None:
    """Nor when it can't be brought again."""
    sync(user)
    lost = "toy-1.1-py3-none-any.whl"
    [blob] = [path for path in (user.store / "blobs").glob("*/*") if b"toy-1.1.dist-info" in path.read_bytes()]
    blob.unlink()
    index.fault(lost, Status(404))
    sync(user, code=4)
    assert holds(user)["toy"] == ["toy-1.0-py3-none-any.whl", "toy-2.0-py3-none-any.whl"]
    index.heal()
    sync(user)
    assert lost in holds(user)["toy"]


def test_a_project_that_the_upstream_has_no_more(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    index.remove("gear-1.0-py3-none-any.whl")
    index.remove("gear-2.0-py3-none-any.whl")
    index.remove("gear-3.0-py3-none-any.whl")
    run = sync(user)
    assert "unmet: gear" in run.out
    assert "gear" not in holds(user)


def test_what_was_required_in_vain_comes_when_it_is_there(user: User, index: Simulator, config: Path) -> None:
    add(index, "toy", "2.1", ("cog>=2", "late"))
    add(index, "cog", "1.0")
    run = sync(user)
    assert "unmet: cog>=2" in run.out and "unmet: late" in run.out
    assert "nothing new" in sync(user).out
    late, cog = add(index, "late"), add(index, "cog", "2.0")
    sync(user)
    assert holds(user)["late"] == [late] and holds(user)["cog"] == [cog]


@pytest.mark.whole
def test_what_the_upstream_deleted_may_stay_with_what_it_requires(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", CONFIG + "keep-deleted = true\n")
    old = add(index, "toy", "0.1", ("needed", "gone"))
    needed = add(index, "needed")
    gone = add(index, "gone")
    sync(user)
    before = holds(user)
    assert old in before["toy"] and before["needed"] == [needed]
    for name in (old, gone):
        index.remove(name)
    assert "the upstream has deleted it: 2 files of gone, toy" in sync(user).out
    assert holds(user) == before
    for version in ("1.0", "1.1", "2.0"):
        index.remove(f"toy-{version}-py3-none-any.whl")
    sync(user)
    assert holds(user) == before, "nor is a project's end an error"
    assert "nothing new" in sync(user).out
    index.add_project("toy", status="quarantined")
    sync(user, code=4)
    assert "toy" not in holds(user)


def test_what_the_upstream_deleted_goes_when_somebody_says_so(user: User, index: Simulator, config: Path) -> None:
    user.write("team.toml", CONFIG + "keep-deleted = true\n")
    sync(user)
    index.remove("toy-1.0-py3-none-any.whl")
    sync(user, "--allow-deletions")
    assert "toy-1.0-py3-none-any.whl" not in holds(user)["toy"]


def test_what_is_in_quarantine_is_not_kept(user: User, index: Simulator, config: Path) -> None:
    """PEP 792: it may be malware."""
    sync(user)
    index.add_project("gear", status="quarantined")
    assert "gear is in quarantine" in sync(user).out
    assert "gear" not in holds(user)


def test_only_so_much_at_a_time(user: User, index: Simulator, config: Path) -> None:
    for version in ("4.0", "4.1", "4.2"):
        name, content = make_wheel("toy", version, files={"toy.bin": random.Random(version).randbytes(300_000)})
        index.add_wheel(name, content, metadata=True)
    user.write("team.toml", 'projects = ["toy>=4"]\nmost = "500kB"\n')
    assert "2 files" in sync(user).out
    assert len(holds(user)["toy"]) == 1
    for _ in range(2):
        sync(user)
    assert len(holds(user)["toy"]) == 3


def test_pythons_and_platforms(user: User, index: Simulator, config: Path) -> None:
    for tag in ("cp39-cp39-manylinux2014_x86_64", "cp310-cp310-manylinux2014_x86_64", "cp310-cp310-win_amd64"):
        add(index, "part", "1.0", ("winpart; sys_platform == 'win32'", "old; python_version < '3.9'"), tag=tag)
    for name in ("winpart", "old"):
        add(index, name)
    user.write("team.toml", 'projects = ["part"]\npythons = ["3.10"]\nplatforms = ["linux_x86_64"]\n')
    sync(user)
    assert holds(user) == {"part": [wheel("part", tag="cp310-cp310-manylinux2014_x86_64")]}
    user.write("team.toml", 'projects = ["part"]\npythons = ["3.10"]\n')
    sync(user)
    assert holds(user).keys() == {"part", "winpart"}
    assert len(holds(user)["part"]) == 2


def test_requirements_and_locks(user: User, index: Simulator, config: Path) -> None:
    digest = index.artifact("gear-2.0-py3-none-any.whl").sha256
    user.write("requirements.txt", "toy<2\n")
    user.write("gear.lock", f"gear==2.0 --hash=sha256:{digest}\n")
    user.write("team.toml", 'requirements = ["requirements.txt"]\nlocks = ["gear.lock"]\nnewest = 1\n')
    sync(user)
    assert holds(user) == {
        "gear": ["gear-2.0-py3-none-any.whl", "gear-3.0-py3-none-any.whl"],
        "toy": ["toy-1.1-py3-none-any.whl"],
    }


def test_the_replica_survives_the_cleaning_of_the_store(user: User, index: Simulator, config: Path) -> None:
    sync(user)
    assert user.run("cache", "gc", "--max-size", "0B").code == 0
    assert len(holds(user)["toy"]) == 3
    assert user.run("cache", "replicas").out.startswith("team ")
    assert user.run("cache", "mirrors").out == user.run("cache", "replicas").out  # its earlier name
    assert "  mirrors" not in user.run("cache", "--help").out
    forgotten = user.run("cache", "replicas", "--forget", "team")
    assert (forgotten.code, forgotten.out) == (0, "team is kept no longer; its files are deleted when they are due.\n")
    assert user.run("cache", "gc", "--max-size", "0B").code == 0
    run = user.run("serve", "--synced", "team")
    assert run.code == 2
    assert "no replica" in run.err


@pytest.mark.whole
def test_killed_at_any_moment_it_goes_on(user: User, index: Simulator, config: Path) -> None:
    for number in range(12):
        name, content = make_wheel("many", f"1.{number}", files={"many.bin": random.Random(number).randbytes(60_000)})
        index.add_wheel(name, content)
    sync(user)
    user.write("team.toml", 'projects = ["toy", "many"]\n')
    deaths = 0
    while user.run("sync", "team.toml", dies_at=("", 20 + 30 * deaths)).code == -signal.SIGKILL:
        deaths += 1
        with serving(user, "--synced", "team", "--offline") as served:
            for project in ("toy", "many", "gear"):
                for file in shown(served, project):
                    assert served.get(served.file(project, file)).status == 200, "listed, so it is there"
    assert deaths > 5
    assert len(holds(user)["many"]) == 12
    assert max(count for name, count in index.requests.items() if name.endswith(".whl")) <= deaths + 1


def test_two_at_a_time_do_not_quarrel(user: User, index: Simulator, config: Path) -> None:
    index.fault("gear-3.0-py3-none-any.whl", Cut(10), times=3)
    both = [user.start("sync", "team.toml") for _ in range(2)]
    runs = sorted((finish(process) for process in both), key=lambda run: run.code)
    assert runs[0].code == 0
    assert runs[1].code == 0 or "Another sync of team is running." in runs[1].err


def test_ctrl_c_ends_it_and_what_came_is_kept(user: User, index: Simulator, config: Path) -> None:
    process = user.start("sync", "team.toml", "--every", "1h")
    assert process.stdout is not None
    while "team:" not in (line := process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    run = finish(process)
    assert run.code == 130
    assert len(holds(user)["toy"]) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names nothing"),
        ("projects = [1]", "Expected `str`"),
        ('project = ["toy"]', "unknown field `project`"),
        ('projects = ["toy=="]', "is not a requirement"),
        ('projects = ["toy"]\npythons = ["three"]', "is no Python"),
        ('projects = ["toy"]\nplatforms = ["amiga"]', "is not a platform"),
        ('projects = ["toy"]\nmost = "much"', "most must be"),
        ('projects = ["toy"]\nlocks = ["absent"]', "can't be read"),
        ('projects = ["toy"]\nname = "Über"', "is not a name"),
    ],
)
def test_mistakes_are_one_sentence(user: User, text: str, told: str) -> None:
    user.write("team.toml", text)
    assert told in sync(user, code=2).err


def test_a_root_that_is_not_there_is_told(user: User, index: Simulator) -> None:
    user.write("team.toml", 'projects = ["toy>=9", "absent"]\n')
    run = sync(user, code=4)
    assert "missing: toy>=9: no version has a file for it" in run.err
    assert "missing: absent: " in run.err


def test_what_runs_it_on_a_schedule_is_printed(user: User, config: Path) -> None:
    unit = sync(user, "--print", "systemd", "--every", "30m", "--mirror", "tuna").out
    assert f"sync --mirror tuna {config}" in unit
    assert f"\nEnvironment=TF_TESTER_STORE={user.store}\n" in unit, "a service sees no variable of this shell"
    assert "OnUnitActiveSec=1800" in unit
    job = sync(user, "--print", "cronjob").out
    assert 'schedule: "17 * * * *"' in job
    assert str(config) in job
