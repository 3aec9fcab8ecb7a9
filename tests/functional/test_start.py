"""Python that starts anew for a command: other tests fork one that has imported everything."""

import subprocess
import sys

from tf_tester.cli.main import COMMANDS

FIRST = """
import importlib, os, sys
import click, msgspec, packaging.metadata  # not ours, and most of the time
for module in sys.argv[1:]:
    if not (child := os.fork()):
        importlib.import_module(module)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0, module
"""


def test_any_command_may_be_the_first_that_is_imported() -> None:
    modules = [module for module, _ in COMMANDS.values()]
    subprocess.run([sys.executable, "-c", FIRST, *modules], check=True)


def test_the_package_runs() -> None:
    words = [sys.executable, "-m", "tf_tester", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout.startswith("tf-tester"), done.stderr) == (True, "")
