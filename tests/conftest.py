"""For all tests."""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.record_schema import check_record, records_below

# A busy machine is not a mistake: no test depends on a clock.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("whole", deadline=None, max_examples=400)
settings.load_profile("quick")

# What is collected lives to the end: looking for garbage in it is a third of the time that collecting takes.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove the folders of the tests once all have passed.

    Not each after its test: for some minutes ext4 gives no file the place of one that was removed, and goes through all
    of these for each new one, which took a tenth of the time of all tests. Nobody waits for it.
    """
    config = session.config
    if not exitstatus and not hasattr(config, "workerinput") and config.getoption("basetemp") is None:
        factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]
        os.posix_spawnp("rm", ["rm", "-rf", str(factory.getbasetemp())], os.environ)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Hold every record that a test's commands wrote against the schema."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    try:
        for record in records_below(folder) if folder is not None else ():
            check_record(record)
    finally:
        yield
