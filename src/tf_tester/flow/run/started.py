"""The first event of a record: what was asked for, and how it was understood."""

import re
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from tf_tester.core.wheel.direct import without_secrets
from tf_tester.flow.prepare.services import Execution, Services
from tf_tester.flow.run.plan import RunPlan
from tf_tester.model.events import RunStarted
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.request import Selection, Trial

_SECRET = re.compile("token|secret|passw|key|credential|auth", re.IGNORECASE)


def run_started(plan: RunPlan, services: Services, remarks: tuple[str, ...] = ()) -> RunStarted:
    """Return the event that opens the record of a run. `remarks`: those on the files of the test."""
    request = {
        "command": plan.command,
        "isolation": services.execution.sandbox.name,
        "network": services.execution.network,
        "limits": asdict(services.execution.limits),
        **asked(plan.selection, plan.trial),
        **({"grid": msgspec.to_builtins(plan.grid, enc_hook=str)} if plan.grid is not None else {}),
        "locks": [file.absolute() for file in plan.locks],
    }
    return RunStarted(
        services.run.id,
        services.run.started,
        services.run.tool,
        _plain(request),
        tuple(planned.cell for planned in plan.cells),
        str(services.run.folder),
        (*plan.remarks, *plan.trial.remarks, *_about_isolation(services.execution), *remarks),
        services.provisioning.interpreters.platform().label,
    )


def asked(selection: Selection, trial: Trial) -> dict[str, Any]:
    """Return what was selected, and what runs, as the record has it: of built-in types, without secrets."""
    told = asdict(replace(trial, env=_without_secrets(trial.env), direct=(), places=()))
    told["direct"] = [replace(one, url=without_secrets(one.url)).text for one in trial.direct]
    told["listed"] = [text for text, _ in trial.places]
    return {"selection": _plain(asdict(selection)), "trial": _plain(told)}


def _about_isolation(execution: Execution) -> tuple[str, ...]:
    """Tell where a sandbox was wanted and none, or one with gaps, was to be had."""
    sandbox, refusal = execution.sandbox, execution.sandbox_refusal
    if sandbox.name is IsolationKind.NONE:
        return (f"tests ran with your rights and your network: {refusal}",) * bool(refusal)
    return (f"the sandbox was {sandbox.name}, in which a test is not kept from all: {'; '.join(sandbox.gaps)}",) * bool(
        sandbox.gaps
    )


def _without_secrets(env: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the user's variables as the record may have them: what sounds like a credential is left out."""
    return tuple((name, "(not recorded)" if _SECRET.search(name) else value) for name, value in env)


def _plain(value: Any) -> Any:
    """Return built-in types only, paths as text."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
