"""The same source is the same bytecode, whoever compiles it and whatever was compiled before."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.functional.store.test_store import COMPILER
from tests.pythons import edges
from tests.wheels import make_wheel
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.store.folder import StoreFolder
from tf_tester.store.layers import LayerStore

WORDS = ", ".join(f"'word{number}'" for number in range(20))
SOURCE = f"def is_word(text, *, shown='word1'):\n    return text in {{{WORDS}}} or text == shown\n"
WHEEL = make_wheel("words", "1.0", files={f"words/m{number}.py": SOURCE for number in range(60)})
OTHER = make_wheel("other", "1.0", files={"other.py": "def is_word(): return 'word1'\n"})


def bytecode(root: Path, python: Interpreter, *wheels: tuple[str, bytes]) -> dict[str, bytes]:
    """That of the last of some wheels, in a store of its own."""
    folder = StoreFolder(root)
    folder.open()
    with folder.workplace() as workplace:
        store = LayerStore(folder, workplace, cpus=2, compiler=COMPILER)
        for filename, content in wheels:
            (root / filename).write_bytes(content)
            layer = store.layer(filename, sha256(content).hexdigest(), root / filename, python)
        store.close()
    return {name: (layer.site / name).read_bytes() for name in layer.bytecode}


@pytest.mark.parametrize("python", edges(), ids=lambda one: one.label)
def test_bytecode_is_the_same_in_another_store(tmp_path: Path, python: Interpreter) -> None:
    """Before 3.11, Python writes a set among the constants in the order of its hashes, which chance decides."""
    once, again = bytecode(tmp_path / "1", python, WHEEL), bytecode(tmp_path / "2", python, OTHER, WHEEL)
    assert len(once) == 60
    assert once == again
