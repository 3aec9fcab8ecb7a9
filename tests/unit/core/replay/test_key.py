"""The key of a result: what changes it, what doesn't, and that it is the same everywhere."""

from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from tf_tester.core.replay.key import (
    FileKind,
    KeyedCell,
    KeyedFile,
    KeyedJob,
    KeyedPin,
    KeyedTrial,
    MachineClass,
    cpu_class,
    key_of,
    tree_digest,
)
from tf_tester.model.host.limits import Limits

FILES = (
    KeyedFile("test.py", FileKind.FILE, "aa"),
    KeyedFile("data/run.sh", FileKind.PROGRAM, "bb"),
    KeyedFile("latest", FileKind.LINK, "data"),
    KeyedFile("empty", FileKind.FOLDER, ""),
    KeyedFile("../lib/mine.py", FileKind.FILE, "cc"),
)
TRIAL = KeyedTrial(
    tool="tf-tester 1.0",
    machine=MachineClass("linux", "x86_64", "x86-64-v3", "glibc 2.36", "debian 12"),
    sandbox="namespace",
    harness="dd",
    files=tree_digest(FILES),
    jobs=(KeyedJob("pytest", ("test.py",)),),
    command=(),
    arguments=("-k", "one"),
    variables=(("LANG", "C.UTF-8"),),
    pythonpath=("../lib",),
    limits=Limits(processes=4096),
    timeout=900.0,
    scratch="disk",
)
CELL = KeyedCell(
    trial=TRIAL,
    tested=("toy==1.0",),
    besides=(),
    python="ee",
    pins=(KeyedPin("gear", "2.0", "ff"), KeyedPin("toy", "1.0", "00")),
)


def with_machine(**changes: str) -> KeyedTrial:
    return replace(TRIAL, machine=replace(TRIAL.machine, **changes))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CELL, tested=("toy==1.1",)),
        replace(CELL, besides=("gear<3",)),
        replace(CELL, tested=(), besides=CELL.tested),
        replace(CELL, python="ef"),
        replace(CELL, pins=CELL.pins[:1]),
        replace(CELL, pins=CELL.pins[::-1]),
        *(
            replace(CELL, pins=(CELL.pins[0], replace(CELL.pins[1], **change)))
            for change in ({"name": "toys"}, {"version": "1.1"}, {"sha256": "01"})
        ),
        *(
            replace(CELL, trial=trial)
            for trial in (
                with_machine(system="darwin"),
                with_machine(architecture="aarch64"),
                with_machine(cpu="x86-64-v4"),
                with_machine(libc="glibc 2.39"),
                with_machine(distribution="ubuntu 24.04"),
            )
        ),
    ],
)
def test_any_other_cell_has_another_key(changed: KeyedCell) -> None:
    assert key_of(changed) != key_of(CELL)


CHANGES: dict[str, Any] = {
    "tool": "tf-tester 1.1",
    "machine": replace(TRIAL.machine, cpu="x86-64-v2"),
    "sandbox": "landlock 6",
    "harness": "de",
    "files": tree_digest(FILES[1:]),
    "jobs": (KeyedJob("pytest", ("test.py", "more.py")),),
    "command": ("python", "train.py"),
    "arguments": ("-k", "two"),
    "variables": (("LANG", "C.UTF-8"), ("TZ", "UTC")),
    "pythonpath": (),
    "limits": Limits(processes=4095),
    "timeout": 901.0,
    "scratch": "memory",
}


def test_each_field_of_a_trial_is_tried() -> None:
    assert list(CHANGES) == list(KeyedTrial.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_any_other_trial_has_another_key(field: str) -> None:
    changed = replace(CELL, trial=replace(TRIAL, **{field: CHANGES[field]}))
    assert key_of(changed) != key_of(CELL)


@pytest.mark.parametrize("field", Limits.__struct_fields__)
def test_every_limit_counts(field: str) -> None:
    changed = replace(CELL, trial=replace(TRIAL, limits=replace(TRIAL.limits, **{field: 77})))
    assert key_of(changed) != key_of(CELL)


@pytest.mark.parametrize(
    "changed",
    [
        (*FILES, KeyedFile("new.py", FileKind.FILE, "aa")),
        FILES[1:],
        (replace(FILES[0], path="test_.py"), *FILES[1:]),
        (replace(FILES[0], content="ab"), *FILES[1:]),
        (replace(FILES[0], kind=FileKind.PROGRAM), *FILES[1:]),
        (*FILES[:2], replace(FILES[2], content="elsewhere"), *FILES[3:]),
        (*FILES[:3], replace(FILES[3], path="empty/too"), *FILES[4:]),
    ],
)
def test_any_other_files_have_another_digest(changed: tuple[KeyedFile, ...]) -> None:
    assert tree_digest(changed) != tree_digest(FILES)


def test_the_order_of_files_does_not_count() -> None:
    assert tree_digest(reversed(FILES)) == tree_digest(FILES)


def test_a_name_that_is_no_text_has_a_digest() -> None:
    odd = KeyedFile(b"caf\xe9".decode("utf-8", "surrogateescape"), FileKind.FILE, "aa")
    assert tree_digest([odd]) != tree_digest([replace(odd, path="caf\u00e9")])


def test_the_key_is_what_the_reference_says() -> None:
    """Another encoding, or another field, is another version: raise it, and tell it in docs/reference/key.md."""
    files = (
        '["tf-tester tree",3,[["../lib/mine.py","file","cc"],["data/run.sh","program","bb"],["empty","folder",""],'
        '["latest","link","data"],["test.py","file","aa"]]]'
    )
    assert tree_digest(FILES) == sha256(files.encode()).hexdigest()
    cell = (
        '["tf-tester cell",3,{"besides":[],"pins":[{"name":"gear","sha256":"ff","version":"2.0"},'
        '{"name":"toy","sha256":"00","version":"1.0"}],"python":"ee","tested":["toy==1.0"],'
        '"trial":{"arguments":["-k","one"],"command":[],"files":"FILES","harness":"dd",'
        '"jobs":[{"or_scripts":[],"runner":"pytest","targets":["test.py"]}],"limits":{"file_size":null,"memory":null,'
        '"open_files":null,"output":null,"processes":4096,"scratch":null},"machine":{'
        '"architecture":"x86_64","cpu":"x86-64-v3","distribution":"debian 12","libc":"glibc 2.36",'
        '"system":"linux"},'
        '"pythonpath":["../lib"],"sandbox":"namespace","scratch":"disk","timeout":900.0,'
        '"tool":"tf-tester 1.0","variables":[["LANG","C.UTF-8"]]}}]'
    ).replace("FILES", TRIAL.files)
    assert key_of(CELL) == f"3-{sha256(cell.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("features", "level"),
    [
        ("", "x86-64-v1"),
        ("cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3", "x86-64-v2"),
        ("cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 avx512f avx512bw", "x86-64-v2"),
        ("cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 abm avx avx2 bmi1 bmi2 f16c fma movbe xsave", "x86-64-v3"),
        (
            "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 abm avx avx2 bmi1 bmi2 f16c fma movbe xsave "
            "avx512bw avx512cd avx512dq avx512f avx512vl amx_tile",
            "x86-64-v4",
        ),
        # Without a step between, a higher one isn't reached.
        ("abm avx avx2 bmi1 bmi2 f16c fma movbe xsave", "x86-64-v1"),
    ],
)
def test_levels_of_x86(features: str, level: str) -> None:
    assert cpu_class("x86_64", frozenset(features.split())) == level


@pytest.mark.parametrize(
    ("features", "level"),
    [
        # Raspberry Pi 4; Neoverse N1 (Graviton 2), V1 (Graviton 3), V2 (Graviton 4), as Linux lists them.
        ("fp asimd evtstrm crc32 cpuid", "arm-v8.0"),
        (
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs",
            "arm-v8.2",
        ),
        (
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop "
            "sha3 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs dcpodp svei8mm svebf16 i8mm bf16 dgh rng",
            "arm-v8.4+sve",
        ),
        (
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop "
            "sha3 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb dcpodp sve2 flagm2 frint svei8mm svebf16 i8mm "
            "bf16",
            "arm-v9.0",
        ),
    ],
)
def test_versions_of_arm(features: str, level: str) -> None:
    assert cpu_class("aarch64", frozenset(features.split())) == level


def test_a_machine_without_levels_is_its_name() -> None:
    assert cpu_class("riscv64", frozenset()) == "riscv64"
