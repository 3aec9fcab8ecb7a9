"""`test -x`: the first cell that fails ends the run, and nothing is told of those that were not run."""

import threading
from pathlib import Path

from msgspec.structs import replace

from tests.fake_world import FakeWorld
from tf_tester.core.outcome.report import fold
from tf_tester.flow.run.test import test as run_matrix
from tf_tester.model.events import Event
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection, Trial
from tf_tester.report.words import how_it_ended


def test_what_has_not_begun_is_left_out(tmp_path: Path) -> None:
    told: list[Event] = []
    ran: list[str] = []
    stopped = threading.Event()

    def behaves(toy: str, gear: str) -> int:
        ran.append(toy)
        if len(ran) > 1:  # admitted before the end was seen: it goes on until everything is ended
            stopped.wait(20)
        return 1

    world = FakeWorld(tmp_path, behaves, told.append)
    services = world.services()
    services = replace(services, run=replace(services.run, stop=stopped.set))
    code = run_matrix(Selection("toy", "all"), Trial(command=("true",), jobs=1), services, ends_at_failure=True)
    report = fold(told)
    assert (code, report.exit_code, report.interrupted) == (1, 1, False)
    assert {report.result(cell).outcome for cell in report.cells} == {Outcome.FAIL}
    assert report.left_out == 3 - len(ran) >= 1
    assert how_it_ended(report).startswith("the first failure ended the run: ")


def test_as_long_as_nothing_fails_all_is_run(tmp_path: Path) -> None:
    told: list[Event] = []
    world = FakeWorld(tmp_path, lambda toy, gear: 0, told.append)
    code = run_matrix(Selection("toy", "all"), Trial(command=("true",), jobs=1), world.services(), ends_at_failure=True)
    report = fold(told)
    assert (code, len(report.cells), report.left_out, how_it_ended(report)) == (0, 3, 0, "")
