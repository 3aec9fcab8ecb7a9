"""Workflows and the composite action, run on this machine as GitHub's runner would, step by step.

`run` steps are run by bash as the runner calls it, `uses: ./` and `uses: OWNER/tf-tester` as the composite action of
this repository, and what comes from the marketplace by fakes of its documented behaviour: a cache is a folder for each
key, an artifact a folder, both kept between jobs. Every job has a machine of its own: an empty home, a fresh checkout,
an empty RUNNER_TEMP, each at the same path.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.expressions import Expressions, as_text

ROOT = Path(__file__).parents[1]
_PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40}")


@dataclass
class StepLog:
    """What became of one step."""

    name: str
    outcome: str
    """`success`, `failure` or `skipped`."""
    output: str = ""


@dataclass
class JobResult:
    """What a job came to."""

    result: str
    """`success` or `failure`."""
    steps: list[StepLog]
    outputs: dict[str, str]
    summary: str
    """What its steps wrote into their summaries."""
    workspace: Path

    @property
    def log(self) -> str:
        return "".join(step.output for step in self.steps)

    def outcome(self, name: str) -> str:
        [found] = [step.outcome for step in self.steps if step.name == name]
        return found


@dataclass
class Service:
    """What GitHub keeps between jobs, and what it says of the run."""

    home: Path
    event_name: str = "push"
    ref: str = "refs/heads/main"
    event: dict[str, Any] = field(default_factory=dict)
    run_id: int = 1
    api: str = "http://127.0.0.1:9"
    env: dict[str, str] = field(default_factory=dict)
    """Variables of the machine."""
    inputs: dict[str, str] = field(default_factory=dict)
    """What our action is given besides."""
    lost: frozenset[str] = frozenset()
    """Artifacts that never arrive: the machine died."""
    cancelled_at: str = ""
    """Text in the output of a step: when it is there, somebody cancels the run."""
    used: list[str] = field(default_factory=list)
    """Actions of the marketplace, in the order in which they were used."""

    def __post_init__(self) -> None:
        for name in ("caches", "artifacts", "machine"):
            (self.home / name).mkdir(parents=True, exist_ok=True)

    def next_run(self, event_name: str = "push", ref: str = "refs/heads/main", **event: Any) -> None:
        """Begin another run of the workflow: its artifacts are its own."""
        self.run_id += 1
        self.event_name, self.ref = event_name, ref
        self.event = {"repository": {"default_branch": "main"}, **event}
        shutil.rmtree(self.home / "artifacts")
        (self.home / "artifacts").mkdir()

    @property
    def scope(self) -> str:
        """The branch whose caches this run writes; it reads those of the default branch, too."""
        return self.ref.replace("/", "_")


def run_workflow(text: str, service: Service, checkout: Path) -> dict[str, list[JobResult]]:
    """Run a workflow's jobs, in the order in which they stand there, each of its matrix; return what they came to."""
    workflow = yaml.safe_load(text)
    needs: dict[str, Any] = {}
    done: dict[str, list[JobResult]] = {}
    for name, job in workflow["jobs"].items():
        wanted = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        known = {one: needs[one] for one in wanted}
        failed = any(one["result"] != "success" for one in known.values())
        contexts = {"github": {"event_name": service.event_name}, "needs": known}
        if not Expressions(contexts, failed=failed).holds(job.get("if", "")):
            needs[name], done[name] = {"result": "skipped", "outputs": {}}, []
            continue
        matrix = Expressions(contexts, failed=failed).filled(job.get("strategy", {}).get("matrix", {}))
        includes = matrix.get("include", []) if matrix else [{}]
        results = []
        for number, include in enumerate(includes):
            strategy = {"job-index": number, "job-total": len(includes)}
            results.append(
                _Job(service, workflow["name"], name, {"needs": known, "matrix": include, "strategy": strategy}).run(
                    job, checkout
                )
            )
        done[name] = results
        worst = "failure" if any(one.result == "failure" for one in results) else "success"
        needs[name] = {"result": worst, "outputs": results[-1].outputs if results else {}}
    return done


class _Job:
    """One job on its machine."""

    def __init__(self, service: Service, workflow: str, name: str, contexts: Mapping[str, Any]) -> None:
        machine = service.home / "machine"
        shutil.rmtree(machine)
        self.service = service
        self.workspace, self.temp, home = machine / "work", machine / "temp", machine / "home"
        for folder in (self.temp, home):
            folder.mkdir(parents=True)
        event_file = machine / "event.json"
        event_file.write_text(json.dumps(service.event))
        branch = service.ref.removeprefix("refs/heads/").removeprefix("refs/pull/")
        self.contexts = {
            **contexts,
            "github": {
                "workflow": workflow,
                "job": name,
                "event_name": service.event_name,
                "event": service.event,
                "ref": service.ref,
                "ref_name": branch,
                "repository": "team/project",
                "run_id": service.run_id,
                "run_attempt": 1,
                "token": "token-of-the-job",
                "workspace": str(self.workspace),
            },
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.temp)},
        }
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "CI": "true",
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_JOB": name,
            "GITHUB_WORKFLOW": workflow,
            "GITHUB_REPOSITORY": "team/project",
            "GITHUB_RUN_ID": str(service.run_id),
            "GITHUB_SERVER_URL": "https://github.invalid",
            "GITHUB_API_URL": service.api,
            "GITHUB_EVENT_PATH": str(event_file),
            **service.env,
        }
        self.summary = ""
        self.was_cancelled = False
        self.log: list[StepLog] = []

    def run(self, job: Mapping[str, Any], checkout: Path) -> JobResult:
        shutil.copytree(checkout, self.workspace)
        filled = Expressions(self.contexts)
        self.env |= {key: as_text(value) for key, value in filled.filled(job.get("env", {})).items()}
        failed, steps = self.run_steps(job["steps"], self.contexts, self.workspace)
        outputs = Expressions(self.contexts | {"steps": steps}).filled(job.get("outputs", {}))
        told = {name: as_text(value) for name, value in outputs.items()}
        return JobResult("failure" if failed else "success", self.log, told, self.summary, self.workspace)

    def run_steps(
        self, steps: Iterable[Mapping[str, Any]], contexts: Mapping[str, Any], action: Path
    ) -> tuple[bool, dict[str, Any]]:
        """Run steps of a job or of a composite action; return whether one failed, and the context `steps`."""
        known: dict[str, Any] = {}
        failed = False
        for step in steps:
            now = {**contexts, "steps": known, "env": self.env}
            expressions = Expressions(now, failed=failed, was_cancelled=self.was_cancelled)
            name = as_text(expressions.filled(step.get("name", step.get("uses", "run"))))
            if not expressions.holds(step.get("if", "")):
                self.log.append(StepLog(name, "skipped"))
                continue
            try:
                outputs = self._one(step, expressions, action, name)
                failing = False
            except _Failure as failure:
                outputs, failing = failure.outputs, True
            if "id" in step:
                known[step["id"]] = {"outputs": outputs, "outcome": "failure" if failing else "success"}
            failed = failed or (failing and not step.get("continue-on-error", False))
        return failed, known

    def _one(self, step: Mapping[str, Any], expressions: Expressions, action: Path, name: str) -> dict[str, str]:
        """Run a step, and return its outputs. Raises `_Failure`."""
        env = {key: as_text(value) for key, value in expressions.filled(step.get("env", {})).items()}
        if "run" in step:
            assert "${{" not in step["run"], f"text of others would be run in {name}"
            folder = self.workspace / as_text(expressions.filled(step.get("working-directory", ".")))
            return self._script(step["run"], env, folder, action, name)
        given = {key: as_text(value) for key, value in expressions.filled(step.get("with", {})).items()}
        uses = step["uses"]
        if uses == "./" or uses.startswith("OWNER/tf-tester@"):
            return self._composite(ROOT, given | self.service.inputs, name)
        self.service.used.append(uses)
        if action != self.workspace:
            assert _PINNED.fullmatch(uses), f"{uses} may become something else"
        outputs = MARKETPLACE[uses.partition("@")[0]](self, given)
        if outputs is None:
            self.log.append(StepLog(name, "failure"))
            raise _Failure({})
        self.log.append(StepLog(name, "success"))
        return outputs

    def _composite(self, folder: Path, given: Mapping[str, str], name: str) -> dict[str, str]:
        action = yaml.safe_load((folder / "action.yml").read_text())
        assert set(given) <= set(action["inputs"]), f"{set(given) - set(action['inputs'])} are no inputs"
        expressions = Expressions(self.contexts)
        defaults = {key: as_text(expressions.filled(value.get("default"))) for key, value in action["inputs"].items()}
        contexts = {**self.contexts, "inputs": {**defaults, **given}}
        del contexts["needs"]  # an action knows nothing of other jobs
        failed, steps = self.run_steps(action["runs"]["steps"], contexts, folder)
        outputs = {
            key: as_text(Expressions({**contexts, "steps": steps}).filled(value["value"]))
            for key, value in action["outputs"].items()
        }
        self.log.append(StepLog(name, "failure" if failed else "success"))
        if failed:
            raise _Failure(outputs)
        return outputs

    def _script(self, script: str, env: Mapping[str, str], folder: Path, action: Path, name: str) -> dict[str, str]:
        files = {
            key: self.temp / key.lower()
            for key in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.write_text("")
        written = self.temp / "script.sh"
        written.write_text(script)
        told = {**env, **{key: str(file) for key, file in files.items()}, "GITHUB_ACTION_PATH": str(action)}
        code, output = self._bash(written, {**self.env, **told}, folder)
        assert "Traceback" not in output, output
        self.log.append(StepLog(name, "success" if code == 0 else "failure", output))
        self.env |= _entries(files["GITHUB_ENV"].read_text())
        for line in files["GITHUB_PATH"].read_text().splitlines():
            self.env["PATH"] = f"{line}:{self.env['PATH']}"
        summary = files["GITHUB_STEP_SUMMARY"].read_text()
        assert len(summary.encode()) <= 1 << 20, "GitHub refuses it"
        self.summary += summary
        outputs = _entries(files["GITHUB_OUTPUT"].read_text())
        if code:
            raise _Failure(outputs)
        return outputs

    def _bash(self, script: Path, env: Mapping[str, str], folder: Path) -> tuple[int, str]:
        """Run a script as the runner does, and return its exit code and its output.

        Who cancels has the runner interrupt the shell, and nothing that it has started.
        """
        lines = []
        with subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if self.service.cancelled_at and self.service.cancelled_at in line and not self.was_cancelled:
                    self.was_cancelled = True
                    process.send_signal(signal.SIGINT)
        return process.returncode, "".join(lines)


class _Failure(Exception):
    """A step has failed, after it had told some outputs."""

    def __init__(self, outputs: dict[str, str]) -> None:
        super().__init__()
        self.outputs = outputs


def _entries(text: str) -> dict[str, str]:
    """Return the entries of a file of `NAME=VALUE` lines."""
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


# -- fakes of the marketplace: each returns its outputs, or None where it fails


def _paths(given: Mapping[str, str]) -> list[Path]:
    return [Path(line.strip()) for line in given["path"].splitlines() if line.strip()]


def _version(given: Mapping[str, str]) -> str:
    """Of a cache: its paths, which must be the same where it is restored."""
    return "|".join(map(str, _paths(given))).replace("/", "_")


def _save(job: _Job, given: Mapping[str, str]) -> dict[str, str]:
    assert "," not in given["key"] and len(given["key"]) <= 512
    folder = job.service.home / "caches" / job.service.scope / _version(given) / given["key"]
    present = [path for path in _paths(given) if path.exists()]
    if folder.exists() or not present:
        return {}  # it warns
    for path in present:
        target = folder / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, target)
    return {}


def _restore(job: _Job, given: Mapping[str, str]) -> dict[str, str]:
    keys = [given["key"], *(line.strip() for line in given.get("restore-keys", "").splitlines() if line.strip())]
    for scope in dict.fromkeys((job.service.scope, "refs_heads_main")):
        folder = job.service.home / "caches" / scope / _version(given)
        known = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns) if folder.is_dir() else []
        for key in keys:
            found = [path for path in known if path.name.startswith(key)]
            if found:
                _unpack(found[-1])
                return {"cache-hit": str(found[-1].name == keys[0]).lower(), "cache-matched-key": found[-1].name}
    return {"cache-hit": ""}


def _unpack(folder: Path) -> None:
    for file in (path for path in folder.rglob("*") if path.is_file()):
        target = Path("/") / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def _upload(job: _Job, given: Mapping[str, str]) -> dict[str, str] | None:
    assert not re.search(r'[":<>|*?\r\n\\/]', given["name"]), given["name"]
    target = job.service.home / "artifacts" / given["name"]
    [path] = _paths(given)
    if given["name"] in job.service.lost:
        return {}
    if target.exists():
        if given.get("overwrite") != "true":
            return None
        shutil.rmtree(target)
    if path.is_dir() and any(path.iterdir()):
        shutil.copytree(path, target, ignore=shutil.ignore_patterns(".*"))
    return {}


def _download(job: _Job, given: Mapping[str, str]) -> dict[str, str]:
    found = sorted((job.service.home / "artifacts").glob(given["pattern"]))
    for folder in found:
        shutil.copytree(folder, Path(given["path"]) / folder.name, dirs_exist_ok=True)
    return {"download-path": given["path"]}


def _upload_sarif(job: _Job, given: Mapping[str, str]) -> dict[str, str] | None:
    content = json.loads(Path(given["sarif_file"]).read_text())
    assert content["version"] == "2.1.0" and given["category"]
    return None if "head" in job.service.event.get("pull_request", {}) else {}


MARKETPLACE: Mapping[str, Callable[[_Job, Mapping[str, str]], dict[str, str] | None]] = {
    "actions/checkout": lambda _job, _given: {},  # it is there
    "actions/setup-python": lambda _job, _given: {},
    "actions/cache/restore": _restore,
    "actions/cache/save": _save,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
    "github/codeql-action/upload-sarif": _upload_sarif,
}
