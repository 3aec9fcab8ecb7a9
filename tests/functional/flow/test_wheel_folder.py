"""Files that a user names are whole or absent, and what killed commands have left beside them goes."""

import os
from pathlib import Path

from tf_tester.flow.prepare.wheel_folder import write_file


def test_what_a_killed_command_has_left_beside_a_file_goes_with_the_next(tmp_path: Path) -> None:
    of_dead, of_living, of_others = (
        tmp_path / name for name in (".a[1].json.999999999.part", ".a[1].json.1.part", ".b.json.999999999.part")
    )
    for file in (of_dead, of_living, of_others):
        file.touch()
        os.utime(file, (0, 0))
    write_file(tmp_path / "a[1].json", "{}")
    assert sorted(file.name for file in tmp_path.iterdir()) == [of_living.name, of_others.name, "a[1].json"]
