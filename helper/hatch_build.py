"""Take the one file from where it is: beside the harness in the repository, here in a source distribution."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "tf_tester_helper.py"


class OneFile(BuildHookInterface[Any]):
    """Adds the module to a wheel and to a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the file and its place in what is built."""
        here = Path(self.root)
        source = here / NAME
        if not source.exists():
            source = here.parent / "src" / "tf_tester" / "harness" / "provided" / NAME
        build_data["force_include"][str(source)] = NAME
