"""For all tests."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.record_schema import check_record, records_below

# A busy machine is not a mistake: no test depends on a clock.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

# What is collected lives to the end: looking for garbage in it is a third of the time that collecting takes.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Hold every record that a test's commands wrote against the schema, before the test's folder may be gone."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    try:
        for record in records_below(folder) if folder is not None else ():
            check_record(record)
    finally:
        yield
