"""The layers of an image, one on the other, are the environment that others would make of the same wheels."""

import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.functional.env.test_environment import COMPILER, TOY, Wheel
from tests.pythons import running
from tests.wheels import make_wheel
from tf_tester.core.image.tar import TarEntry, TarKind, corrections, stacked
from tf_tester.env.packed import packed
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import layout_of
from tf_tester.store.folder import StoreFolder
from tf_tester.store.layers import LayerStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="images are made on Linux")

GEAR = make_wheel("gear", "2.0", files={"gear/__init__.py": "", "gear/teeth.py": "N = 7\n", "broken.py": "def (\n"})
FIRST = make_wheel("first", "1.0", files={"both.py": "WHOSE = 'first'\n", "name/x.py": "", "not_python.py": "1"})
SECOND = make_wheel("second", "1.0", files={"both.py": "WHOSE = 'second'\n", "name/y.py": ""})
BROKEN = make_wheel("aaa", "1.0", files={"both.py": "def (\n"})
FILE = make_wheel("file", "1.0", files={"thing.py": "", "place": "a file"})
FOLDER = make_wheel("folder", "1.0", files={"place/inside.py": "x = 1\n"})


class Store:
    """A fresh store."""

    def __init__(self, root: Path) -> None:
        self._root = root
        StoreFolder(root).open()
        (root / "work").mkdir()
        self._layers = LayerStore(StoreFolder(root), root / "work", cpus=2, compiler=COMPILER)

    def layer(self, wheel: Wheel) -> Layer:
        path = self._root / wheel[0]
        path.write_bytes(wheel[1])
        return self._layers.layer(wheel[0], sha256(wheel[1]).hexdigest(), path, running())


def contents(entries: Sequence[TarEntry]) -> dict[str, tuple[int, bytes]]:
    return {
        one.path: (one.mode, Path(one.source).read_bytes() if one.source else one.content)
        for one in entries
        if one.kind is TarKind.FILE
    }


def stack(store: Store, *wheels: Wheel) -> dict[str, tuple[int, bytes]]:
    """What is seen of an image with a layer for each wheel, as `flow.images.build` stacks them."""
    layers = [store.layer(wheel) for wheel in wheels]
    alone = [list(packed([layer], running(), ()).files.values()) for layer in reversed(layers)]
    whole = packed(layers, running(), ())
    top = corrections(stacked(alone), whole.files)
    seen = stacked([*alone, top])
    assert contents(list(seen.values())) == contents(list(whole.files.values()))
    return contents(list(seen.values()))


def installed(tmp_path: Path, *wheels: Wheel) -> dict[str, bytes]:
    """What pip makes of them, the last one first: where two bring one file, the later one's stays."""
    for filename, content in wheels:
        (tmp_path / filename).write_bytes(content)
    prefix = tmp_path / "by-pip"
    for filename, _ in reversed(wheels):
        options = "--quiet --no-index --no-deps --no-warn-script-location --ignore-installed --no-compile --prefix"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options.split(), str(prefix), filename],
            cwd=tmp_path,
            check=True,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull},
        )
    return {path.relative_to(prefix).as_posix(): path.read_bytes() for path in prefix.rglob("*") if path.is_file()}


def test_the_layers_make_what_pip_makes(tmp_path: Path) -> None:
    found = {
        path.removeprefix("opt/env/"): content
        for path, (_, content) in stack(Store(tmp_path / "store"), FIRST, GEAR, SECOND, TOY).items()
        if not path.endswith(".pyc")
    }
    by_pip = installed(tmp_path, FIRST, GEAR, SECOND, TOY)
    ours_alone, pips_alone = set(found) - set(by_pip), set(by_pip) - set(found)
    assert not ours_alone - {name for name in ours_alone if name.startswith("include/")}
    assert all(
        name.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json")) or "include/" in name for name in pips_alone
    )
    for name in set(found) & set(by_pip):
        if name.startswith("bin/"):  # programs, each with its own way to name the Python
            assert found[name].partition(b"\n")[0] in (b"#!/opt/env/bin/python", b"#!/bin/sh")
        elif not name.endswith("/RECORD"):
            assert found[name] == by_pip[name], name


def test_each_source_that_compiles_has_its_own_bytecode(tmp_path: Path) -> None:
    seen = stack(Store(tmp_path / "store"), BROKEN, FIRST, GEAR, SECOND)
    site = f"opt/env/{layout_of(running()).site}"
    tag = running().cache_tag
    assert f"{site}/gear/__pycache__/teeth.{tag}.pyc" in seen
    assert seen[f"{site}/both.py"][1] == b"def (\n"
    assert f"{site}/__pycache__/both.{tag}.pyc" not in seen, "it would be that of another source, and not be checked"


@pytest.mark.parametrize("wheels", [(FILE, FOLDER), (FOLDER, FILE)])
def test_a_file_where_another_wheel_has_a_folder(tmp_path: Path, wheels: tuple[Wheel, Wheel]) -> None:
    seen = stack(Store(tmp_path / "store"), *wheels)
    site = f"opt/env/{layout_of(running()).site}"
    assert (f"{site}/place" in seen) == (wheels[0] is FILE)


def test_a_wheels_layer_is_the_same_from_another_store_beside_other_wheels(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    other.layer(FIRST)
    first, second = (packed([store.layer(TOY)], running(), ()).files for store in (one, other))
    assert contents(list(first.values())) == contents(list(second.values()))


def test_programs_are_programs_and_all_else_is_not(tmp_path: Path) -> None:
    seen = stack(Store(tmp_path / "store"), TOY)
    assert {path for path, (mode, _) in seen.items() if mode == 0o755} == {
        f"opt/env/bin/{name}" for name in ("toy", "toy-script", "toy-shell", "toy-window")
    }
