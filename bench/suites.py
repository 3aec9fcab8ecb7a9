"""Real projects' own test suites, by plain pytest in a virtual environment and by tf-tester, compared test by test.

    python bench/suites.py [NAME ...] --folder FOLDER   # of suites.toml; what has a result isn't run again
    python bench/suites.py --folder FOLDER --table      # what there is so far, as the table of suites.md

Both run in the unpacked sdist's folder with the command that a user would type, on one Python, each in a tree of its
own: `uv pip install PACKAGE PROJECT[extras] --group …` and `pytest TARGETS`; `tf-tester test TARGETS --package PACKAGE
--versions latest --project .[extras] --group …`. The denominator is every test that one of the two knows. A side that
can't be set up, or takes longer than `--longest`, has no tests, and its reason stands in their place.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
"""Not pip, which takes ten times as long for the same environment."""
NO_TESTS = 5
CONTINUE = "--continue-on-collection-errors"
"""As tf-tester has it: else a module that can't be imported leaves out all others."""


def main() -> None:
    """Run what was asked for, and print a line for each suite."""
    words = argparse.ArgumentParser()
    words.add_argument("names", nargs="*")
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--python", default=shutil.which("python3.12"), metavar="PATH")
    words.add_argument("--longest", type=int, default=1800, metavar="SECONDS", help="How long one side may take.")
    words.add_argument("--table", action="store_true")
    words.add_argument("--only", choices=["plain", "ours"], help="Run only this side again.")
    asked = words.parse_args()
    suites = tomllib.loads((HERE / "suites.toml").read_text())["suite"]
    folder = asked.folder.resolve()
    (folder / "sdists").mkdir(parents=True, exist_ok=True)
    if asked.table:
        show(suites, folder)
        return
    for suite in suites:
        if not asked.names or suite["name"] in asked.names:
            run(suite, folder, asked)


def run(suite: dict[str, Any], folder: Path, asked: argparse.Namespace) -> None:
    """Run one suite in both ways, unless its result is there, or in the one that was asked for again."""
    done = folder / "results" / f"{suite['name']}.json"
    if done.exists() and not asked.only:
        return
    sdist = fetched(suite, folder / "sdists")
    work = folder / "work" / suite["name"]
    result = json.loads(done.read_text()) if done.exists() else {}
    for side, way in (("plain", by_pytest), ("ours", by_us)):
        if side in result and asked.only != side:
            continue
        result[side] = way(suite, unpacked(sdist, work / side), work, asked) | {"commit": commit(), "date": today()}
    done.parent.mkdir(exist_ok=True)
    done.write_text(json.dumps(result, indent=1))
    print(line(suite["name"], result), flush=True)


def commit() -> str:
    """Return the commit of tf-tester that is checked out, shortened."""
    return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, text=True).strip()


def today() -> str:
    """Return today's date, UTC."""
    return datetime.now(UTC).date().isoformat()


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


def by_pytest(suite: dict[str, Any], tree: Path, work: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Return outcomes by plain pytest in a plain virtual environment, or why there are none."""
    env, rows = work / "env", work / "plain.jsonl"
    shutil.rmtree(env, ignore_errors=True)
    rows.unlink(missing_ok=True)
    subprocess.run([UV, "venv", "--quiet", "--no-project", "--python", asked.python, env], check=True)
    groups = [word for group in suite.get("groups", ()) for word in ("--group", f"pyproject.toml:{group}")]
    wanted = [suite["package"], project(suite), "pytest", *suite.get("with", ())]
    install = [UV, "pip", "install", "--quiet", "--link-mode", "copy", "--python", env, *wanted]
    if status := ended([*install, *groups], tree, work / "plain-install.out", asked.longest):
        return {"tests": {}, "why": f"can't be installed: {last(work / 'plain-install.out')} ({status})"}
    variables = {"PATH": f"{env / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(work), "LANG": "C.UTF-8"}
    variables["SUITE_ROWS"] = str(rows)
    shutil.copyfile(HERE / "suite_rows.py", next((env / "lib").iterdir()) / "site-packages" / "suite_rows.py")
    command = [env / "bin/pytest", "-q", "-p", "suite_rows", "-p", "no:cacheprovider", CONTINUE, *targets(suite)]
    status = ended(command, tree, work / "plain.out", asked.longest, variables)
    found = dict(json.loads(text) for text in rows.read_text().splitlines()) if rows.exists() else {}
    if not found and status is not None:
        found = dict.fromkeys(targets(suite) or ["."], "empty" if status == NO_TESTS else "error")
    return {"tests": without_place(found, tree), "why": "" if found else f"no end in {asked.longest} s"}


def by_us(suite: dict[str, Any], tree: Path, work: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Return outcomes by tf-tester, the command, and why there are none."""
    record = work / "ours.jsonl"
    record.unlink(missing_ok=True)
    words = ["test", *targets(suite), "--package", suite["package"], "--versions", "latest", "--python", asked.python]
    words += ["--project", project(suite)]
    words += [word for group in suite.get("groups", ()) for word in ("--group", group)]
    words += [word for one in suite.get("with", ()) for word in ("--with", one)]
    program = Path(sys.executable).with_name("tf-tester")
    status = ended([program, *words, "--json", str(record)], tree, work / "ours.out", asked.longest)
    if status is None or not record.exists():
        why = f"no end in {asked.longest} s" if status is None else last(work / "ours.out")
        return {"tests": {}, "command": words, "why": why}
    events = [json.loads(text) for text in record.read_text().splitlines()]
    [cell] = [event["result"] for event in events if event["event"] == "cell-finished"]
    rows = {row["id"]: row["outcome"] for row in cell.get("tests", ())}
    return {"tests": without_place(rows, tree), "command": words, "why": cell.get("summary", "")}


def without_place(tests: Mapping[str, str], tree: Path) -> dict[str, str]:
    """Return tests without the place of their tree, which is another one on each side, in their names."""
    return {name.replace(str(tree), "."): outcome for name, outcome in tests.items()}


def ended(
    command: Sequence[str | Path], tree: Path, out: Path, longest: int, env: Mapping[str, str] | None = None
) -> int | None:
    """Return a command's exit status, its output in a file; `None` where it took too long and its group was killed."""
    with out.open("wb") as to:
        process = subprocess.Popen(
            command, cwd=tree, env=env, stdout=to, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, process_group=0
        )
        try:
            return process.wait(longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None


def last(out: Path) -> str:
    """Return the last line that a command wrote."""
    return (out.read_text(errors="replace").strip().splitlines() or [""])[-1]


def project(suite: dict[str, Any]) -> str:
    """Return how pip and tf-tester are told of the project."""
    return f".[{','.join(suite['extras'])}]" if "extras" in suite else "."


def targets(suite: dict[str, Any]) -> Sequence[str]:
    """Return what pytest gets; nothing where the project's settings say it."""
    return suite.get("targets", ())


def show(suites: Sequence[dict[str, Any]], folder: Path) -> None:
    """Print the table and its sum."""
    total: Counter[str] = Counter()
    print("| suite | tests | the same | pass | differs | run |\n|---|---|---|---|---|---|")
    for suite in suites:
        file = folder / "results" / f"{suite['name']}.json"
        if not file.exists():
            print(f"| {suite['name']} | | | | | not run |")
            continue
        result = json.loads(file.read_text())
        plain, ours = result["plain"]["tests"], result["ours"]["tests"]
        names, alike = plain.keys() | ours.keys(), same(result)
        whole = alike == len(names) > 0
        total.update({"suites": 1, "whole": whole, "tests": len(names), "alike": alike})
        passed = sum(outcome == "pass" for outcome in plain.values())
        ran = f"{result['ours']['date']}, {result['ours']['commit']}"
        print(f"| {suite['name']} | {len(names)} | {alike} | {passed} | {differences(result)} | {ran} |")
    share = 100 * total["alike"] / total["tests"] if total["tests"] else 0.0
    whole = f"{total['whole']} of {total['suites']} wholly the same"
    print(f"\n{whole}; {total['alike']} of {total['tests']} tests, {share:.2f} %")


def line(name: str, result: dict[str, Any]) -> str:
    """Return the row of one suite: how many tests, how many alike, and the kinds of differences."""
    names = result["plain"]["tests"].keys() | result["ours"]["tests"].keys()
    return f"{name:20} {len(names):6} {same(result):6}  {differences(result)}".rstrip()


def same(result: dict[str, Any]) -> int:
    """Return how many tests came to the same on both sides."""
    plain, ours = result["plain"]["tests"], result["ours"]["tests"]
    return sum(ours.get(name) == outcome for name, outcome in plain.items())


def differences(result: dict[str, Any]) -> str:
    """Return the kinds of differences, the most frequent first, and why a side has no tests."""
    plain, ours = result["plain"]["tests"], result["ours"]["tests"]
    names = plain.keys() | ours.keys()
    differ = Counter(f"{plain.get(one)} → {ours.get(one)}" for one in names if plain.get(one) != ours.get(one))
    kinds = [f"{count} × {kind}" for kind, count in differ.most_common()]
    kinds += [f"{side}: {result[side]['why'][:100]}" for side in ("plain", "ours") if not result[side]["tests"]]
    return ", ".join(kinds)


if __name__ == "__main__":
    main()
