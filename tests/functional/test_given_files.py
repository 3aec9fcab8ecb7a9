"""Files that a user names."""

import os
import threading
from pathlib import Path

import pytest

from tf_tester.given_files import read_given


def test_a_file_is_read_whole_and_no_longer_than_allowed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert read_given(file) == b"x" * 3_000_000
    with pytest.raises(OSError, match="longer than 2 MB"):
        read_given(file, most=2 << 20)
    file.write_bytes(b"")
    assert read_given(file) == b""


def test_what_has_no_end_is_not_read_to_it() -> None:
    with pytest.raises(OSError, match="longer than 64 MB"):
        read_given(Path("/dev/zero"))
    assert read_given(Path(os.devnull)) == b""


def test_a_pipe_is_waited_for_as_long_as_somebody_writes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="nobody writes into this pipe"):
        read_given(pipe)
    holds = os.open(pipe, os.O_RDWR)  # a writer who says nothing yet
    said = threading.Event()

    def write() -> None:
        with pipe.open("wb") as stream:
            os.close(holds)
            said.wait(60)
            stream.write(b"x" * 300_000)

    writer = threading.Thread(target=write)
    writer.start()
    timer = threading.Timer(0.05, said.set)
    timer.start()
    assert read_given(pipe) == b"x" * 300_000
    writer.join()


def test_a_folder_and_what_is_not_there_are_told_as_the_system_tells_them(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_given(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_given(tmp_path / "none")
