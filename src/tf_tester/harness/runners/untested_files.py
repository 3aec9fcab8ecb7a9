"""Files that were given as tests and in which pytest found none: they may be scripts."""

import ast
import os
import sys

from ..failures import without_harness
from ..rows import OpenRow
from .capture import Capture
from .script import exit_status, found_no_tests
from .script_parts import acts, main_blocks, tests_left_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..session import HarnessSession
    from .tests import Tests

LOADED = "pytest found no tests in it: unittest ran what its load_tests gives"
LEFT = "it left when pytest imported it, and its tests didn't run: "
RAN = "pytest found no tests in it: it ran as a script"


class LoadedFile:
    """One file, imported by pytest."""

    def __init__(self, row: OpenRow) -> None:
        self.row = row
        self.module = None  # type: ModuleType | None
        self.report = None  # type: Any
        self.leaving = None  # type: SystemExit | None


class UntestedFiles:
    """Runs what is left of such a file, its main block, and judges it as a script."""

    def __init__(self, session: "HarnessSession", tests: "Tests") -> None:
        self._session = session
        self._tests = tests
        self._targets = {os.path.realpath(target): target for target in session.or_scripts}
        self._files = {}  # type: dict[str, LoadedFile]

    def load(self, file: str) -> None:
        """Note that pytest begins to import a file."""
        target = self._targets.get(os.path.realpath(file))
        if target is not None:
            row = OpenRow(self._session, self._session.identify(target), self._session.shown_warnings)
            self._files[target] = LoadedFile(row)

    def loaded(self, file: str, module: "ModuleType | None", report: "Any") -> None:
        """Note that the import has ended well. What it printed is put on the report later, by pytest."""
        loaded = self._files.get(self._targets.get(os.path.realpath(file), ""))
        if loaded is not None:
            loaded.module, loaded.report = module, report

    def left(self, file: str, leaving: SystemExit) -> bool:
        """Note that the file's own code has left the process; return whether that is this object's to judge."""
        loaded = self._files.get(self._targets.get(os.path.realpath(file), ""))
        if loaded is not None:
            loaded.leaving = leaving
        return loaded is not None

    def conclude(self) -> bool:
        """Write a row for each of them that does something when it is run; return whether any has one."""
        found = False
        for target in self._session.or_scripts:
            loaded = self._files.get(target)
            if loaded is None or self._tests.knows(self._session.identify(target)):
                continue
            if loaded.leaving is not None:
                self._tests.loaded()
                self._judge_exit(loaded.row, loaded.leaving)
                self._judge_tests(loaded.row, target)
                self._finish(loaded, "", "")
                found = True
            elif loaded.module is not None:
                if callable(getattr(loaded.module, "load_tests", None)):
                    self._run_load_tests(loaded.module, target)
                    found = True
                if not self._tests.knows(self._session.identify(target)):
                    found = self._run(target, loaded) or found
        return found

    def _run_load_tests(self, module: "ModuleType", target: str) -> None:
        """Run what the module's ``load_tests`` gives to unittest, and pytest knows nothing of."""
        from .unittest_runner import LoadedTests, run_suite

        found = LoadedTests(self._session, self._tests)
        found.remark = LOADED
        run_suite(self._session, self._tests, found, lambda: found.of_module(module, target))

    def _run(self, target: str, loaded: LoadedFile) -> bool:
        with open(target, "rb") as source:
            tree = ast.parse(source.read(), target)
        blocks = main_blocks(tree)
        if blocks:
            tree.body = blocks  # type: ignore[assignment]
            capture = Capture(self._session.limit)
            loaded.row.start()
            capture.start()
            try:
                self._run_blocks(tree, target, loaded)
            finally:
                printed = capture.stop()
            self._finish(loaded, *printed)
        elif acts(tree):
            self._finish(loaded, "", "")
        return bool(blocks or acts(tree))

    def _run_blocks(self, tree: ast.Module, target: str, loaded: LoadedFile) -> None:
        """Run the main block in the module, as ``__main__``: what ran when it was imported doesn't run again."""
        module = loaded.module
        assert module is not None
        vars(module).update({"__name__": "__main__", "__spec__": None})
        sys.modules["__main__"] = module
        sys.argv[:] = [target]
        self._session.shown_warnings.watch()
        try:
            exec(compile(tree, target, "exec", dont_inherit=True), vars(module))
        except SystemExit as leaving:
            self._judge_exit(loaded.row, leaving)
        except BaseException as error:
            error = error.with_traceback(without_harness(error.__traceback__))
            loaded.row.blame("fail", error, error.__traceback__, whole=True)
            loaded.row.exit_code = 1

    def _judge_exit(self, row: OpenRow, leaving: SystemExit) -> None:
        row.exit_code = exit_status(leaving.code)
        if found_no_tests(leaving):
            row.judge("empty", "no tests were found")
        elif row.exit_code:
            row.blame("fail", leaving, without_harness(leaving.__traceback__))
            row.traceback = ""  # Python prints none

    def _judge_tests(self, row: OpenRow, target: str) -> None:
        """Judge a file that has left, and not as one that fails, by the tests that it has: for them it was given."""
        if row.status == "pass":
            with open(target, "rb") as source:
                tests = tests_left_out(ast.parse(source.read(), target))
            if tests:
                row.judge("error", LEFT + ", ".join(tests[:3]) + (", ..." if len(tests) > 3 else ""))

    def _finish(self, loaded: LoadedFile, stdout: str, stderr: str) -> None:
        row, report = loaded.row, loaded.report
        row.stdout = (report.capstdout if report else "") + stdout
        row.stderr = (report.capstderr if report else "") + stderr
        row.remarks.append(RAN)
        self._tests.finish(row)
