"""Are the verdicts right? Failing cells whose cause was established by experiment first, in `verdicts/*.toml`.

python bench/verdicts.py experiment [NAME …]   # the two cells that show each cause: one passes, the other fails
python bench/verdicts.py [NAME …]              # the verdict of each without --why, else with it

Real packages, of whatever index pip is set to. A verdict is right where it is one of those that the case allows and,
where the case names a distribution, names it, too. What says `unknown` is neither right nor wrong.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "verdicts"
TOOL = [sys.executable, "-m", "tf_tester"]
_FAILED = frozenset({"fail", "error", "crash", "timeout", "oom"})


def cases(names: list[str]) -> list[dict[str, Any]]:
    found = [case for file in sorted(HERE.glob("*.toml")) for case in tomllib.loads(file.read_text())["case"]]
    return [case for case in found if not names or any(name in case["name"] for name in names)]


def run(case: dict[str, Any], *words: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the report and the record of one run of a case."""
    with tempfile.TemporaryDirectory() as folder:
        test, record = Path(folder, "check.py"), Path(folder, "run.jsonl")
        test.write_text(case["test"])
        for name in case.get("beside", ()):
            shutil.copy(HERE / name, folder)
        command = [*TOOL, "test", "check.py", *_joined(case["run"], words), "--json", str(record), "--no-cache"]
        environ = os.environ | {"COLUMNS": "400"}
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        events = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return done.stdout or done.stderr, events


def _joined(usual: list[str], words: tuple[str, ...]) -> list[str]:
    """Return the options of a case, with those of an experiment in their place; what can be repeated is added."""
    given = {word for word in words if word.startswith("--")} - {"--with", "--why"}
    kept = [one for pair in zip(usual[::2], usual[1::2], strict=True) if pair[0] not in given for one in pair]
    return [*kept, *words]


def experiment(case: dict[str, Any]) -> str:
    """Return `shown` where the first cell passes, the second fails, and they differ in what is said alone."""
    if "experiment" not in case:
        return f"by reason: {case['because']}"
    outcomes, locks = [], []
    for words in case["experiment"]:
        report, events = run(case, *words)
        results = [event["result"]["outcome"] for event in events if event["event"] == "cell-finished"]
        pins = [event["lock"]["pins"] for event in events if event["event"] == "cell-locked"]
        if len(results) != 1 or len(pins) != 1:
            return f"NOT ONE CELL: {words}\n{report}"
        outcomes.append(results[0])
        locks.append({pin["name"]: pin["version"] for pin in pins[0]})
    names = {name for name in locks[0].keys() | locks[1].keys() if locks[0].get(name) != locks[1].get(name)}
    told = f"{outcomes[0]}, then {outcomes[1]}, differing in {', '.join(sorted(names)) or 'nothing'}"
    is_shown = outcomes[0] == "pass" and outcomes[1] in _FAILED and names == set(case["differs"])
    return f"{'shown' if is_shown else 'NOT SHOWN'}: {told}"


def judge(case: dict[str, Any], report: str) -> tuple[str, str]:
    """Return `right`, `unknown` or `wrong`, and the verdict."""
    told = re.findall(r"^ *verdict: ((\w+).*(?:\n {6,}.*)*)", report, re.MULTILINE)
    if not told:
        return "unknown", f"no verdict: {report[-300:]}"
    text = " ".join(told[0][0].split())
    if told[0][1] == "unknown":
        return "unknown", text
    is_right = told[0][1] in case["verdict"] and case.get("project", "") in text
    return ("right" if is_right else "wrong"), text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="`experiment`, and parts of names of cases")
    words = parser.parse_args().words
    experiments = words[:1] == ["experiment"]
    totals: Counter[str] = Counter()
    for case in cases(words[experiments:]):
        began = time.monotonic()
        if experiments:
            print(f"{case['name']}: {experiment(case)}", flush=True)
            continue
        how, (mark, text) = "alone", judge(case, run(case)[0])
        if mark == "unknown":
            print(f"{case['name']}: without --why: {text}", flush=True)
            how, (mark, text) = "--why", judge(case, run(case, "--why")[0])
        totals[mark] += 1
        totals[f"{mark}, {how}"] += 1
        print(f"{case['name']}: {mark} ({how}, {time.monotonic() - began:.0f} s): {text}", flush=True)
    print(dict(totals))


if __name__ == "__main__":
    main()
