"""What may not be served so."""

from pathlib import Path
from typing import Any

import pytest

from tf_tester.errors import UsageError
from tf_tester.wiring.serving import ServeOptions, check


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"everybody_reads": False, "tokens": None}, "Whoever can reach 10.0.0.1"),
        ({"everybody_reads": False}, r"tokens\.json has no token: nobody could read"),
        ({"locks": Path("/no/such/folder")}, "There is no folder"),
        ({"region_header": "X-Country"}, "goes with --redirect"),
        ({"private_tokens": True}, "goes with --private"),
        ({"uploads": True}, "Uploads need a place"),
    ],
)
def test_wishes_that_contradict_one_another_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=said):
        check(ServeOptions(**{"tokens": tmp_path / "tokens.json"} | wishes), "10.0.0.1")


def test_what_goes_together_is_accepted(tmp_path: Path) -> None:
    check(
        ServeOptions(locks=tmp_path, redirect=True, region_header="X-Country", uploads=True, private=tmp_path),
        "10.0.0.1",
    )
