"""GitLab pipelines, run on this machine as a runner would: a job's lines as one script of bash, in a fresh checkout.

Of the syntax there is what our templates use: `include` with inputs, `extends`, `needs`, `parallel`, `variables`,
`cache`, `artifacts`, `when`. Anything else is refused, so that no test passes by what is ignored here.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_JOB_KEYS = {"stage", "image", "variables", "cache", "before_script", "script", "artifacts", "extends", "needs"}
_JOB_KEYS |= {"parallel", "when"}
_INPUT = re.compile(r"\$\[\[ inputs\.([\w-]+) \]\]")


@dataclass(frozen=True)
class PipelineJob:
    """What one job came to."""

    name: str
    code: int
    """What its script ended with; -1: it was skipped."""
    log: str
    reports: Mapping[str, str]
    """The content of its reports, by their kind."""


@dataclass
class Runner:
    """A machine with a project, and what GitLab keeps between jobs."""

    home: Path
    checkout: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, jobs: Mapping[str, Any]) -> list[PipelineJob]:
        """Run the jobs of a pipeline, in the order in which they stand there."""
        shutil.rmtree(self.home / "artifacts", ignore_errors=True)
        done: list[PipelineJob] = []
        for name in (name for name in jobs if not name.startswith(".")):
            whole = _extended(jobs, name)
            assert set(whole) <= _JOB_KEYS, set(whole) - _JOB_KEYS
            matrix = whole.get("parallel", 1)
            instances = matrix["matrix"] if isinstance(matrix, dict) else [{}] * matrix
            for number, variables in enumerate(instances, 1):
                own = {} if "parallel" not in whole else {"CI_NODE_INDEX": number, "CI_NODE_TOTAL": len(instances)}
                done.append(self._one(name, whole, {**own, **variables}, done))
        return done

    def _one(self, name: str, job: Mapping[str, Any], own: Mapping[str, Any], done: list[PipelineJob]) -> PipelineJob:
        needs = job.get("needs", [])
        if any(other.code for other in done if other.name in needs) and job.get("when") != "always":
            return PipelineJob(name, -1, "", {})
        folder = self.home / "builds"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.checkout, folder)
        for needed in needs:
            for kept in sorted((self.home / "artifacts").glob(f"{needed} *")):
                shutil.copytree(kept, folder, dirs_exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "CI_PROJECT_DIR": str(folder),
            "CI_JOB_NAME": name,
            **self.env,
            **{key: str(value) for key, value in own.items()},
        }
        for key, value in job.get("variables", {}).items():
            env.setdefault(key, _expanded(str(value), env))
        cache = job.get("cache", {})
        place = self.home / "caches" / _expanded(str(cache.get("key", "")), env)
        if cache.get("policy", "pull-push") != "push" and place.exists():
            shutil.copytree(place, folder, dirs_exist_ok=True)
        done_script = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join([*job.get("before_script", []), *job["script"]])],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert "Traceback" not in done_script.stdout, done_script.stdout
        code = done_script.returncode
        if cache.get("policy", "pull-push") != "pull" and _is_kept(cache, code):
            _keep(folder, cache.get("paths", []), place)
        artifacts = job.get("artifacts", {})
        if _is_kept(artifacts, code):
            index = own.get("CI_NODE_INDEX", "all")
            _keep(folder, artifacts.get("paths", []), self.home / "artifacts" / f"{name} {index}")
        reports = {
            kind: (folder / path).read_text()
            for kind, path in artifacts.get("reports", {}).items()
            if (folder / path).exists()
        }
        return PipelineJob(name, code, done_script.stdout, reports)


def included(template: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the jobs of a template with `spec: inputs`, whose inputs are replaced as text."""
    head, _, body = template.read_text().partition("\n---\n")
    known = yaml.safe_load(head)["spec"]["inputs"]
    assert set(given) <= set(known), f"{set(given) - set(known)} are no inputs"
    values = {name: one["default"] for name, one in known.items()} | dict(given)
    used = set(_INPUT.findall(body))
    assert used == set(known), f"{used ^ set(known)} are declared or used alone"
    text = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    jobs: dict[str, Any] = yaml.safe_load(_INPUT.sub(lambda found: text[found[1]], body))
    return jobs


def _extended(jobs: Mapping[str, Any], name: str) -> dict[str, Any]:
    job = dict(jobs[name])
    if "extends" in job:
        job = _merged(_extended(jobs, job.pop("extends")), job)
    return job


def _merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `extends` makes of two: tables are merged, all else is replaced."""
    found = dict(base)
    for key, value in other.items():
        before = found.get(key)
        found[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def _expanded(text: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: env.get(found[1], ""), text)


def _is_kept(what: Mapping[str, Any], code: int) -> bool:
    return bool(what) and (code == 0 or what.get("when") == "always")


def _keep(folder: Path, patterns: list[str], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for path in (path for pattern in patterns for path in folder.glob(pattern.rstrip("/"))):
        own = target / path.relative_to(folder)
        own.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, own)
