"""What is known of failures is so: the examples fail as they say, and pass with what was there before."""

from pathlib import Path

import pytest

from tests.real.conftest import Tool, need
from tf_tester.model.framework import KnownFailure
from tf_tester.wiring.frameworks import known_failures

pytestmark = pytest.mark.real

KNOWN = {f"{one.project} {one.versions or 'any'} {number}": one for number, one in enumerate(known_failures())}


def words(tried: dict[str, str]) -> list[str]:
    """Return the options for these versions; what is installed besides is as new as they allow."""
    versions = dict(tried)
    python = versions.pop("python")
    need(python)
    (package, version), *others = versions.items()
    said = ["--package", package, "--versions", version, "--python", python, "--resolve", "latest"]
    return [*said, *(word for name, other in others for word in ("--with", f"{name}=={other}"))]


@pytest.mark.parametrize("name", KNOWN)
def test_an_example_fails_as_it_is_told(tool: Tool, tmp_path: Path, name: str) -> None:
    known: KnownFailure = KNOWN[name]
    (tmp_path / "check.py").write_text(known.example)
    run = tool.test(tmp_path, "check.py", *words(known.tried))
    (result,) = run.results.values()
    assert result["outcome"] != "pass", run.out
    assert f"known: {known.says} ({known.source})" in result["remarks"], run.out


@pytest.mark.parametrize("name", [name for name, known in KNOWN.items() if known.before is not None])
def test_it_passes_with_what_was_there_before(tool: Tool, tmp_path: Path, name: str) -> None:
    known: KnownFailure = KNOWN[name]
    assert known.before is not None
    (tmp_path / "check.py").write_text(known.example)
    run = tool.test(tmp_path, "check.py", *words(known.before))
    assert set(run.outcomes.values()) == {"pass"}, run.out
