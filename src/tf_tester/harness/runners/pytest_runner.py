"""Run pytest with the user's own configuration and write one row for each test id.

pytest's own output goes where it always goes.
"""

import os
import sys

from .script import NOTHING_COLLECTED
from .tests import Tests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..session import HarnessSession

USAGE_ERROR = 4
INTERNAL_ERROR = 3
OPTIONS = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
"""A broken module must not hide the others, and the cache would be written into the user's folder."""


def run(session: "HarnessSession") -> int:
    """Run the targets and return pytest's exit code."""
    tests = Tests(session)
    try:
        import pytest
    except BaseException as error:  # broken installations raise anything
        tests.refuse(error, error.__traceback__, "pytest cannot be imported in this environment")
        session.exit_code = USAGE_ERROR
        return USAGE_ERROR
    from .pytest_plugin import Plugin
    from .untested_files import UntestedFiles

    untested = UntestedFiles(session, tests)
    session.user_folders.spare_from_pytest()
    session.put_on_path(os.getcwd())
    top = ["--rootdir", session.top] if session.top else []
    arguments = OPTIONS + top + session.args + ([] if session.as_set else session.targets)
    sys.argv[:] = ["pytest", *arguments]
    try:
        session.exit_code = int(pytest.main(arguments, plugins=[Plugin(session, tests, untested)])) & 0xFF
    except BaseException as error:  # a conftest.py that calls sys.exit, or a plugin that fails
        tests.stop(error, error.__traceback__)
        session.exit_code = INTERNAL_ERROR
    if session.exit_code != USAGE_ERROR and untested.conclude() and session.exit_code in (0, NOTHING_COLLECTED):
        session.exit_code = tests.exit_status()
    tests.conclude(could_not_begin=session.exit_code == USAGE_ERROR)
    return session.exit_code
