"""`python -m tf_tester`."""

from tf_tester.cli.main import run

run()
