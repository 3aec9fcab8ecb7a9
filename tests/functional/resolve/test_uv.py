"""uv as we run it."""

import sys
from pathlib import Path

from tf_tester.resolve.uv import Uv


def asked(uv: Uv, folder: Path) -> None:
    """Let uv resolve nothing, for which it must know the interpreter."""
    words = ["pip", "compile", "--quiet", "--offline", "--python", sys.executable, "-"]
    assert uv.run(words, cwd=folder, index="http://127.0.0.1:9/simple").returncode == 0


def known(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.msgpack")}


def test_what_it_learns_of_an_interpreter_is_there_for_the_next_run(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first, second = Uv(tmp_path / "first"), Uv(tmp_path / "second")
    with first.remembering(kept):
        assert known(first.cache) == {}
        asked(first, tmp_path)
    learnt = known(kept)
    assert len(learnt) == 1
    with second.remembering(kept):
        assert known(second.cache) == learnt
        asked(second, tmp_path)
        assert known(second.cache) == learnt, "it was not asked again"
    assert known(kept) == learnt


def test_where_nothing_can_be_kept_it_is_asked_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("no folder")
    uv = Uv(tmp_path / "home")
    with uv.remembering(kept):
        asked(uv, tmp_path)
    assert kept.read_text() == "no folder"
