"""The kernel holds a group to its limits."""

import signal
import subprocess
import sys

import pytest

from tf_tester.execute.groups import ControlGroups
from tf_tester.model.host.limits import Limit, Limits

GREEDY = """
import sys
for folder in sys.argv[2:]:
    with open(folder + "/cgroup.procs", "w") as stream:
        stream.write("0")
print("in the group", flush=True)
print(len(b"x" * int(sys.argv[1])))
"""
MIB = 1 << 20


@pytest.mark.parametrize(("wanted", "ends_well"), [(1 * MIB, True), (400 * MIB, False)])
def test_who_takes_more_memory_than_its_group_has_is_killed(wanted: int, ends_well: bool) -> None:
    group = ControlGroups().make(Limits(memory=100 * MIB, processes=50))
    try:
        if Limit.MEMORY not in group.held:
            pytest.skip("no control group can be made here")
        process = subprocess.run(
            [sys.executable, "-c", GREEDY, str(wanted), *map(str, group.folders)], capture_output=True, text=True
        )
        if not process.stdout:
            pytest.skip(f"no control group can be joined here: {process.stderr.splitlines()[-1]}")
        assert process.returncode == (0 if ends_well else -signal.SIGKILL), process.stderr
        assert group.ran_out() is not ends_well
    finally:
        group.remove()
    assert not any(folder.exists() for folder in group.folders)
