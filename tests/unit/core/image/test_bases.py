"""What can be built on."""

import pytest
from msgspec.structs import replace

from tf_tester.core.image.bases import check_library, check_platform, image_platform, python_of, pythons_in
from tf_tester.core.image.documents import BaseImage, ImageConfig, ImagePlatform, RootFiles
from tf_tester.errors import UsageError
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Pin

HERE = ImagePlatform("amd64", "linux")
DEBIAN = frozenset({"usr/bin/python3.11", "usr/bin/python3", "lib64/ld-linux-x86-64.so.2", "usr/lib/os-release"})


def base(paths: frozenset[str] = DEBIAN, *, architecture: str = "amd64", env: tuple[str, ...] = ()) -> BaseImage:
    config = ImageConfig(architecture, "linux", RootFiles(()), config={"Env": list(env)})
    return BaseImage("base", "", config, (), paths)


def pin(tag: str) -> Pin:
    return Pin("toy", "1.0", f"toy-1.0-cp311-cp311-{tag}.whl", "a" * 64, 1, "https://x/toy")


@pytest.mark.parametrize(
    ("tags", "architecture"),
    [
        (("manylinux_2_36_x86_64", "linux_x86_64"), "amd64"),
        (("musllinux_1_2_aarch64",), "arm64"),
        (("linux_armv7l",), "arm"),
        (("linux_i686",), "386"),
    ],
)
def test_a_machine_is_told_in_the_words_of_images(tags: tuple[str, ...], architecture: str) -> None:
    assert image_platform(Platform(tags=tags)).architecture == architecture


@pytest.mark.parametrize("tags", [("macosx_14_0_arm64",), ("win_amd64",), ()])
def test_images_are_made_on_linux_alone(tags: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="on Linux"):
        image_platform(Platform(tags=tags))


def test_pythons_are_those_that_a_program_finds_by_name_the_newest_first() -> None:
    paths = DEBIAN | {
        "usr/local/bin/python3.9",
        "opt/python3.12",
        "usr/local/bin/python3.13t",
        "usr/bin/python3.11-config",
    }
    assert [(one.label, one.path) for one in pythons_in(base(paths))] == [
        ("3.13t", "/usr/local/bin/python3.13t"),
        ("3.11", "/usr/bin/python3.11"),
        ("3.9", "/usr/local/bin/python3.9"),
    ]
    assert [one.label for one in pythons_in(base(paths, env=("PATH=/opt:/bin",)))] == ["3.12"]


def test_another_python_than_the_bases_is_refused_with_those_that_it_has() -> None:
    assert python_of(base(), "3.11").path == "/usr/bin/python3.11"
    with pytest.raises(UsageError, match=r"base has no Python 3\.8, but 3\.11"):
        python_of(base(), "3.8")


def test_a_base_for_another_machine_is_refused() -> None:
    check_platform(base(), HERE)
    with pytest.raises(UsageError, match="is for linux/arm64"):
        check_platform(base(architecture="arm64"), HERE)
    with pytest.raises(UsageError, match="is for linux/arm64"):
        check_platform(base(frozenset({"lib/ld-linux-aarch64.so.1"})), HERE)


def test_wheels_for_another_c_library_are_refused() -> None:
    alpine = base(frozenset({"lib/ld-musl-x86_64.so.1"}))
    check_library(alpine, HERE, [pin("musllinux_1_2_x86_64"), replace(pin("any"), filename="toy-1.0-py3-none-any.whl")])
    check_library(base(), HERE, [pin("manylinux_2_17_x86_64.manylinux2014_x86_64")])
    with pytest.raises(UsageError, match="has the C library musl"):
        check_library(alpine, HERE, [pin("manylinux2014_x86_64")])
    with pytest.raises(UsageError, match="has the C library glibc"):
        check_library(base(), HERE, [pin("musllinux_1_2_x86_64")])
