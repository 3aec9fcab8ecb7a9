"""Real projects' own test suites, by plain pytest in a virtual environment and by tf-tester, compared test by test.

    python bench/suites.py [NAME ...] --folder FOLDER   # of suites.toml; what has a result isn't run again
    python bench/suites.py --folder FOLDER --table      # what there is so far, as a table

Both run in the unpacked sdist's folder with the command that a user would type, on one Python, each in a tree of its
own: `pip install PACKAGE PROJECT[extras] --group …` and `pytest TARGETS`; `tf-tester test TARGETS --package PACKAGE
--versions latest --project .[extras] --group …`. The denominator is every test that one of the two knows.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PIP = (sys.executable, "-m", "pip", "--python")
LONGEST = 1800
NO_TESTS = 5
CONTINUE = "--continue-on-collection-errors"
"""As tf-tester has it: else a module that can't be imported leaves out all others."""


def main() -> None:
    """Run what was asked for, and print a line for each suite."""
    words = argparse.ArgumentParser()
    words.add_argument("names", nargs="*")
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--python", default=shutil.which("python3.12"), metavar="PATH")
    words.add_argument("--table", action="store_true")
    words.add_argument("--only", choices=["ours"], help="Run only tf-tester again.")
    asked = words.parse_args()
    suites = tomllib.loads((HERE / "suites.toml").read_text())["suite"]
    folder = asked.folder.resolve()
    (folder / "sdists").mkdir(parents=True, exist_ok=True)
    if not asked.table:
        for suite in suites:
            if not asked.names or suite["name"] in asked.names:
                run(suite, folder, asked.python, again=asked.only == "ours")
    show(suites, folder)


def run(suite: dict[str, Any], folder: Path, python: str, *, again: bool) -> None:
    """Run one suite in both ways, unless its result is there."""
    done = folder / "results" / f"{suite['name']}.json"
    if done.exists() and not again:
        return
    sdist = fetched(suite, folder / "sdists")
    work = folder / "work" / suite["name"]
    plain = json.loads(done.read_text())["plain"] if done.exists() else None
    if plain is None:
        plain = by_pytest(suite, unpacked(sdist, work / "plain"), work, python)
    ours, command, why = by_us(suite, unpacked(sdist, work / "ours"), work, python)
    done.parent.mkdir(exist_ok=True)
    done.write_text(json.dumps({"plain": plain, "ours": ours, "command": command, "why": why}, indent=1))
    print(line(suite["name"], plain, ours, why), flush=True)


def fetched(suite: dict[str, Any], folder: Path) -> Path:
    """Return the suite's sdist, from the index that tf-tester is set to, verified by its hash."""
    name = f"{suite['name']}-{suite['version']}".replace("-", "_")
    known = [path for path in folder.iterdir() if path.name.replace("-", "_").startswith(name)]
    if known:
        return known[0]
    from tf_tester.cli.common.options import settings_from
    from tf_tester.wiring import services

    with services(settings_from({}).settings, lambda _folder: lambda _event: None, environ=os.environ) as world:
        page = world.packages.index.page(suite["name"])
        [sdist] = [one for one in page.artifacts if one.is_sdist and one.version == suite["version"]]
        return Path(shutil.copyfile(world.packages.fetcher.fetch(sdist), folder / sdist.filename))


def unpacked(sdist: Path, folder: Path) -> Path:
    """Return a fresh tree of an sdist."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    return tree


def by_pytest(suite: dict[str, Any], tree: Path, work: Path, python: str) -> dict[str, str]:
    """Return outcomes by plain pytest in a plain virtual environment."""
    env, rows = work / "env", work / "plain.jsonl"
    shutil.rmtree(env, ignore_errors=True)
    rows.unlink(missing_ok=True)
    subprocess.run([python, "-m", "venv", "--without-pip", env], check=True)
    groups = [word for group in suite.get("groups", ()) for word in ("--group", f"pyproject.toml:{group}")]
    words = [*PIP, str(env), "install", "-q", suite["package"], project(suite), "pytest", *suite.get("with", ())]
    subprocess.run([*words, *groups], cwd=tree, check=True, timeout=LONGEST)
    variables = {"PATH": f"{env / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(work), "LANG": "C.UTF-8"}
    variables["SUITE_ROWS"] = str(rows)
    shutil.copyfile(HERE / "suite_rows.py", next((env / "lib").iterdir()) / "site-packages" / "suite_rows.py")
    with (work / "plain.out").open("wb") as out:
        done = subprocess.run(
            [env / "bin/pytest", "-q", "-p", "suite_rows", "-p", "no:cacheprovider", CONTINUE, *targets(suite)],
            cwd=tree,
            env=variables,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
    found = dict(json.loads(text) for text in rows.read_text().splitlines()) if rows.exists() else {}
    return found or dict.fromkeys(targets(suite) or ["."], "empty" if done.returncode == NO_TESTS else "error")


def by_us(suite: dict[str, Any], tree: Path, work: Path, python: str) -> tuple[dict[str, str], list[str], str]:
    """Return outcomes by tf-tester, the command, and why there are none."""
    record = work / "ours.jsonl"
    record.unlink(missing_ok=True)
    words = ["test", *targets(suite), "--package", suite["package"], "--versions", "latest", "--python", python]
    words += ["--project", project(suite)]
    words += [word for group in suite.get("groups", ()) for word in ("--group", group)]
    words += [word for one in suite.get("with", ()) for word in ("--with", one)]
    done = subprocess.run(
        [Path(sys.executable).with_name("tf-tester"), *words, "--json", str(record)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    (work / "ours.out").write_text(done.stdout + done.stderr)
    if not record.exists():
        return {}, words, (done.stderr.strip().splitlines() or [""])[0]
    events = [json.loads(text) for text in record.read_text().splitlines()]
    [cell] = [event["result"] for event in events if event["event"] == "cell-finished"]
    rows = {row["id"]: row["outcome"] for row in cell.get("tests", ())}
    return rows, words, cell.get("summary", "")


def project(suite: dict[str, Any]) -> str:
    """Return how pip and tf-tester are told of the project."""
    return f".[{','.join(suite['extras'])}]" if "extras" in suite else "."


def targets(suite: dict[str, Any]) -> Sequence[str]:
    """Return what pytest gets; nothing where the project's settings say it."""
    return suite.get("targets", ())


def show(suites: Sequence[dict[str, Any]], folder: Path) -> None:
    """Print the table and its sum."""
    total: Counter[str] = Counter()
    for suite in suites:
        file = folder / "results" / f"{suite['name']}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text())
        plain, ours = found["plain"], found["ours"]
        names = plain.keys() | ours.keys()
        alike = sum(plain.get(name) == ours.get(name) for name in names)
        total.update({"suites": 1, "whole": alike == len(names) > 0, "tests": len(names), "alike": alike})
        print(line(suite["name"], plain, ours, found["why"]))
    share = 100 * total["alike"] / total["tests"] if total["tests"] else 0.0
    whole = f"{total['whole']} of {total['suites']} wholly the same"
    print(f"{whole}; {total['alike']} of {total['tests']} tests, {share:.2f} %")


def line(name: str, plain: dict[str, str], ours: dict[str, str], why: str) -> str:
    """Return the row of one suite: how many tests, how many alike, and the kinds of differences."""
    names = plain.keys() | ours.keys()
    differ = Counter(f"{plain.get(one)}->{ours.get(one)}" for one in names if plain.get(one) != ours.get(one))
    kinds = ", ".join(f"{count} x {kind}" for kind, count in differ.most_common())
    return f"{name:20} {len(names):6} {len(names) - differ.total():6}  {kinds} {why[:100] if differ else ''}".rstrip()


if __name__ == "__main__":
    main()
