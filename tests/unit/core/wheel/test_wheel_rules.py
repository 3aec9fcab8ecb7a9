"""Each way in which a wheel can be hostile or broken is refused with a sentence."""

import base64
import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib

import pytest

from tf_tester.core.wheel.wheel_rules import (
    MAX_FILES,
    MAX_METADATA,
    check_data_folder,
    check_folders,
    check_members,
    check_metadata,
    check_name,
    check_script,
    check_wheel_file,
    find_dist_info,
    import_names,
    read_entry_points,
    read_record,
    same_version,
)
from tf_tester.errors import BadWheel
from tf_tester.model.host.layer import EntryPoint

MEGABYTE = 1024**2


def member(name: str, **changes: int) -> zipfile.ZipInfo:
    """`mode` is that of Unix."""
    made = zipfile.ZipInfo(name)
    made.external_attr = changes.pop("mode", stat.S_IFREG | 0o644) << 16
    made.compress_type = zipfile.ZIP_DEFLATED
    made.header_offset = 0
    for attribute, value in changes.items():
        setattr(made, attribute, value)
    return made


def refused(*members: zipfile.ZipInfo, compressed: int = MEGABYTE) -> str:
    with pytest.raises(BadWheel) as caught:
        check_members(members, compressed)
    return str(caught.value)


# -- A. names


def test_ordinary_members_pass() -> None:
    names = ["toy/__init__.py", "toy/", "toy/data/ünï.txt", "toy-1.0.dist-info/RECORD", "toy/.hidden", "toy/..."]
    check_members([member(name) for name in names], MEGABYTE)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "toy/../../evil.py",
        "toy/..",
        "/etc/passwd",
        "//host/share",
        "toy//x.py",
        "./toy.py",
        "toy/./x.py",
        "",
        "/",
        "toy//",
    ],
)
def test_path_traversal_is_refused(name: str) -> None:
    assert "has an empty, '.' or '..' part" in refused(member(name))


@pytest.mark.parametrize("name", ["..\\evil.py", "toy\\evil.py", "C:\\evil.py"])
def test_a_backslash_is_refused(name: str) -> None:
    assert "forbidden character" in refused(member(name))


@pytest.mark.parametrize("name", ["C:evil.py", "toy.py:stream", "toy/a:b"])
def test_a_colon_is_refused(name: str) -> None:
    assert "forbidden character" in refused(member(name))


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x1b", "\x7f", "\x80", "\x9b", "\udc80"])
def test_control_characters_and_lone_surrogates_are_refused(character: str) -> None:
    with pytest.raises(BadWheel, match="forbidden character"):
        check_name(f"toy/a{character}b.py")


def test_a_nul_is_refused_though_zipfile_cuts_the_name_there() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("toy.py#.txt", b"")
    with zipfile.ZipFile(io.BytesIO(buffer.getvalue().replace(b"toy.py#.txt", b"toy.py\0.txt"))) as archive:
        assert archive.namelist() == ["toy.py"]
        assert "forbidden character or a second reading" in refused(*archive.infolist())


def test_a_name_with_a_second_reading_is_refused() -> None:
    # Info-ZIP's Unicode path field; whether Python's zipfile follows it depends on the version.
    name = b"evil.py"
    field = struct.pack("<BL", 1, zlib.crc32(b"good.py")) + name
    made = zipfile.ZipInfo("good.py")
    made.extra = struct.pack("<HH", 0x7075, len(field)) + field
    made.filename = "evil.py"
    assert "second reading" in refused(made)


def test_a_name_that_is_not_composed_is_refused() -> None:
    with pytest.raises(BadWheel, match="composed form"):
        check_name("toy/cafe\u0301.py")
    check_name("toy/caf\u00e9.py")


def test_long_names_are_refused() -> None:
    check_name("a" * 255)
    with pytest.raises(BadWheel, match="longer than 255"):
        check_name("ü" * 128)
    check_name("/".join(["a" * 127] * 8))
    with pytest.raises(BadWheel, match="longer than 1024"):
        check_name("/".join(["a" * 127] * 8) + "/a")


def test_duplicates_are_refused() -> None:
    assert "is in it twice" in refused(member("toy.py"), member("toy.py"))
    assert "is in it twice" in refused(member("toy/"), member("toy"))


def test_a_file_that_is_a_folder_too_is_refused() -> None:
    assert "'toy' is a file in it, and a folder with 'toy/a/b.py' in it" in refused(member("toy/a/b.py"), member("toy"))
    check_folders(["toy/a/b.py", "toy/a.py", "toy/ab"])


def test_a_member_before_the_beginning_is_refused() -> None:
    assert "begins before the file" in refused(member("toy.py", header_offset=-1))


def test_a_folder_with_contents_is_refused() -> None:
    assert "has contents of its own" in refused(member("toy/", file_size=1))


# -- A. links, devices, encryption, bombs


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int) -> None:
    assert "neither a file nor a folder" in refused(member("toy.py", mode=kind | 0o777))


def test_a_member_without_a_mode_is_a_file() -> None:
    check_members([member("toy.py", mode=0)], MEGABYTE)


def test_encrypted_members_are_refused() -> None:
    assert "is encrypted" in refused(member("toy.py", flag_bits=0x1))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93, 99])
def test_only_stored_and_deflated_members_are_read(method: int) -> None:
    assert "unusual compression" in refused(member("toy.py", compress_type=method))
    check_members([member("toy.py", compress_type=zipfile.ZIP_STORED)], MEGABYTE)


def test_a_bomb_is_refused_by_what_it_says_of_itself() -> None:
    allowed = 50 * MEGABYTE + 64 * MEGABYTE
    check_members([member("a", file_size=allowed - 1), member("b", file_size=1)], MEGABYTE)
    assert "more than 50 times its size" in refused(member("a", file_size=allowed), member("b", file_size=1))


def test_too_many_entries_are_refused() -> None:
    assert "60001 entries" in refused(*[member("a")] * (MAX_FILES + 1))


# -- B. RECORD


def row(name: str, content: bytes, algorithm: str = "sha256") -> str:
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
    return f"{name},{algorithm}={digest},{len(content)}\n"


RECORD = "toy-1.0.dist-info/RECORD"
NAMES = ["toy.py", RECORD]


def record_refused(text: str | bytes, names: list[str] | None = None) -> str:
    with pytest.raises(BadWheel) as caught:
        read_record(text if isinstance(text, bytes) else text.encode(), RECORD, names or NAMES)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_record_gives_the_digest_of_every_file(algorithm: str) -> None:
    text = row("toy.py", b"x = 1", algorithm) + f"{RECORD},,\n"
    promised = read_record(text.encode(), RECORD, NAMES)
    assert promised == {"toy.py": f"{algorithm}:{hashlib.new(algorithm, b'x = 1').hexdigest()}"}


def test_a_record_may_use_quotes_windows_lines_and_leave_itself_out() -> None:
    text = row('"a,b.py"', b"x").replace("\n", "\r\n") + "\r\n"
    assert list(read_record(text.encode(), RECORD, ["a,b.py", RECORD])) == ["a,b.py"]


def test_a_file_that_record_does_not_list_is_refused() -> None:
    assert record_refused(f"{RECORD},,\n") == "'toy.py' is in it, but not in its RECORD"


def test_a_file_that_only_record_lists_is_refused() -> None:
    text = row("toy.py", b"") + row("../evil.py", b"")
    assert record_refused(text) == "'../evil.py' is in its RECORD, but not in it"


def test_a_file_that_record_lists_twice_is_refused() -> None:
    assert record_refused(row("toy.py", b"a") + row("toy.py", b"b")) == "RECORD lists 'toy.py' twice"


@pytest.mark.parametrize("digest", ["", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk", "x"])
def test_a_record_without_a_strong_digest_is_refused(digest: str) -> None:
    assert record_refused(f"toy.py,{digest},0\n") == "RECORD gives no SHA-256 for 'toy.py'"


def test_a_record_row_without_columns_is_refused() -> None:
    assert record_refused("toy.py\n") == "RECORD gives no SHA-256 for 'toy.py'"


def test_a_digest_that_is_no_base64_is_refused() -> None:
    assert record_refused("toy.py,sha256=a,0\n") == "RECORD's digest of 'toy.py' can't be read"
    assert record_refused("toy.py,sha256=ä,0\n") == "RECORD's digest of 'toy.py' can't be read"


@pytest.mark.parametrize("text", [b"\xff\xfe", b'"' + b"x" * 200_000])
def test_a_record_that_is_no_csv_is_refused(text: bytes) -> None:
    assert record_refused(text).startswith("its RECORD can't be read")


def test_a_size_that_record_gets_wrong_is_refused() -> None:
    text = row("toy.py", b"x = 1").encode()
    read_record(text, RECORD, NAMES, {"toy.py": 5, RECORD: 70})
    read_record(text.replace(b",5\n", b",\n"), RECORD, NAMES, {"toy.py": 5, RECORD: 70})
    with pytest.raises(BadWheel, match=r"RECORD says that 'toy\.py' has 5 bytes, it has 6"):
        read_record(text, RECORD, NAMES, {"toy.py": 6, RECORD: 70})


def test_all_that_is_wrong_with_a_record_is_told_at_once() -> None:
    text = (
        row("twice.py", b"a") + row("twice.py", b"a") + "weak.py,md5=x,1\n" + row("long.py", b"abc") + row("gone", b"")
    )
    names = ["twice.py", "weak.py", "long.py", "new.py", RECORD]
    with pytest.raises(BadWheel) as caught:
        read_record(text.encode(), RECORD, names, dict.fromkeys(names, 1))
    assert str(caught.value).split("; ") == [
        "RECORD lists 'twice.py' twice",
        "RECORD gives no SHA-256 for 'weak.py'",
        "RECORD says that 'long.py' has 3 bytes, it has 1",
        "'new.py' is in it, but not in its RECORD",
        "'gone' is in its RECORD, but not in it",
    ]


def test_of_many_faults_ten_are_told_and_how_many_more_there_are() -> None:
    names = [f"{number:02}.py" for number in range(25)]
    said = record_refused(f"{RECORD},,\n", [*names, RECORD])
    assert said.startswith("'00.py' is in it, but not in its RECORD; '01.py'")
    assert said.endswith("'09.py' is in it, but not in its RECORD; and 15 more")
    assert record_refused(f"{RECORD},,\n", [*names[:10], RECORD]).endswith("'09.py' is in it, but not in its RECORD")


def test_a_name_is_told_in_short() -> None:
    said = record_refused(row("x" * 100_000, b"") + f"toy.py,{'y' * 100_000},\n")
    assert len(said) < 1000


def test_only_the_records_own_signatures_need_no_row() -> None:
    rows = row("toy.py", b"").encode()
    read_record(rows, RECORD, [*NAMES, f"{RECORD}.jws", f"{RECORD}.p7s"])
    for name in (f"{RECORD}-evil.jws", f"{RECORD}/evil.p7s", "toy/evil.jws"):
        with pytest.raises(BadWheel, match="but not in its RECORD"):
            read_record(rows, RECORD, [*NAMES, name])


# -- B. metadata


def test_the_dist_info_folder_is_that_of_the_file_name_in_any_spelling() -> None:
    assert find_dist_info(["toy/x.py", "Toy_Box-1.0.dist-info/RECORD"], "toy-box", "1.0.0") == "Toy_Box-1.0.dist-info"
    assert find_dist_info(["toy-box-1.0.dist-info/RECORD"], "toy-box", "1.0") == "toy-box-1.0.dist-info"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["toy.py"], "0 .dist-info folders"),
        (["toy-1.0.dist-info"], "0 .dist-info folders"),
        (["toy-1.0.dist-info/RECORD", "pip-9.dist-info/RECORD"], "2 .dist-info folders"),
        (["toy-1.0.dist-info/RECORD", "toy-1.0.0.dist-info/METADATA"], "2 .dist-info folders"),
        (["pip-1.0.dist-info/RECORD"], "is not that of toy 1.0"),
        (["toy-1.1.dist-info/RECORD"], "is not that of toy 1.0"),
        (["toy.dist-info/RECORD"], "is not that of toy 1.0"),
    ],
)
def test_two_or_other_dist_info_folders_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(BadWheel, match=said):
        find_dist_info(names, "toy", "1.0")


METADATA = "Metadata-Version: 2.1\nName: Toy.Box\nVersion: 1.0\nSummary: é\n\nName: other\nVersion: 2\n"


def test_metadata_agrees_with_the_file_name() -> None:
    check_metadata(METADATA.encode(), "toy-box", "1.0.0")
    check_metadata(METADATA.replace("\n", "\r\n").encode(), "toy-box", "1.0.0")
    check_metadata(METADATA.replace("é", "\x0cName: x\x85Name: y\u2028").encode(), "toy-box", "1.0.0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (METADATA.replace("Toy.Box", "numpy"), "says Name: numpy, not toy-box"),
        (METADATA.replace("1.0", "1.1"), "says Version: 1.1, not 1.0"),
        ("Name: evil\n" + METADATA, "says Name: evil, Toy.Box, not toy-box"),
        ("version: 9\n" + METADATA, "says Version: 9, 1.0, not 1.0"),
        ("\n" + METADATA, "says Name: nothing"),
        ("Name: toy-box\n\nVersion: 1.0", "says Version: nothing"),
        ("", "says Name: nothing"),
    ],
)
def test_metadata_of_something_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadWheel, match=said):
        check_metadata(text.encode(), "toy-box", "1.0")


def test_metadata_without_end_is_refused() -> None:
    with pytest.raises(BadWheel, match="METADATA has"):
        check_metadata(METADATA.encode() + b"x" * MAX_METADATA, "toy-box", "1.0")


@pytest.mark.parametrize("text", ["Wheel-Version: 1.0\n", "Generator: x\r\nwheel-version:1.9\r\nTag: y\r\n\r\nTag"])
def test_version_1_of_the_wheel_format_is_ours(text: str) -> None:
    check_wheel_file(text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing"),
        ("Generator: x\n\nWheel-Version: 1.0\n", "nothing"),
        ("Wheel-Version: 2.0\n", "2.0"),
        ("Wheel-Version: 10\n", "10"),
        ("Wheel-Version: one\n", "one"),
        ("Wheel-Version: 1.0\nWheel-Version: 2.0\n", "1.0 and 2.0"),
    ],
)
def test_another_version_of_it_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadWheel, match=re.escape(f"Wheel-Version: {said}, and we know version 1")):
        check_wheel_file(text.encode())


def test_only_the_wheels_own_data_folder_is_spread() -> None:
    check_data_folder("Toy_Box-1.0.0.data", "toy-box", "1.0")
    for folder in ("numpy-1.0.data", "toy_box-1.1.data", "toy_box.data", ".data"):
        with pytest.raises(BadWheel, match="is not that of toy-box"):
            check_data_folder(folder, "toy-box", "1.0")


def test_versions_are_compared_as_versions() -> None:
    assert same_version("2.4", "2.4.0")
    assert not same_version("2.4", "2.4.1")
    assert same_version("2004d-final", "2004d-final")


# -- A. scripts


def test_entry_points_are_read() -> None:
    text = """
        [console_scripts]
        toy = toy.main:run
        Toy-2.x = toy : Main.run [extra, other]

        [gui_scripts]
        toyw = toy:gui

        [toy.plugins]
        odd name: with = anything at all
    """
    assert read_entry_points("\n".join(line.strip() for line in text.splitlines())) == (
        EntryPoint("toy", "toy.main", "run"),
        EntryPoint("Toy-2.x", "toy", "Main.run"),
        EntryPoint("toyw", "toy", "gui", gui=True),
    )


def scripts_refused(line: str) -> str:
    with pytest.raises(BadWheel) as caught:
        read_entry_points(f"[console_scripts]\n{line}\n")
    return str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", "a b", "ü", "a" * 129, ".", "..", "...", "%PATH%", "a;b"])
def test_entry_point_names_outside_the_grammar_are_refused(name: str) -> None:
    assert scripts_refused(f"{name} = toy:main") == f"a script may not be named {name!r}"


@pytest.mark.parametrize(
    "name",
    ["python", "python3", "PYTHON3.11", "python.exe", "pythonw", "pip", "pip3", "Pip3.12", "activate", "activate.csh"],
)
def test_scripts_that_replace_the_environments_own_are_refused(name: str) -> None:
    assert scripts_refused(f"{name} = toy:main") == f"a script may not be named {name!r}"
    with pytest.raises(BadWheel):
        check_script(name, "toy")


@pytest.mark.parametrize(
    "name", ["pip-compile", "pipx", "python-argcomplete-check", "pypy", "activate-all", "f2py3.11"]
)
def test_scripts_that_only_begin_like_them_are_not(name: str) -> None:
    assert read_entry_points(f"[console_scripts]\n{name} = toy:main") == (EntryPoint(name, "toy", "main"),)
    check_script(name, "toy")


def test_pip_itself_brings_pip() -> None:
    assert [found.name for found in read_entry_points("[console_scripts]\npip3 = pip._internal.cli.main:main")] == [
        "pip3"
    ]
    check_script("pip3.11", "pip")
    with pytest.raises(BadWheel):
        check_script("python", "pip")


@pytest.mark.parametrize(
    "reference",
    [
        "toy",
        "toy:",
        ":main",
        "toy.main",
        "toy:main()",
        "toy;import os:x",
        "toy:a\n b",
        "1toy:main",
        "toy..x:y",
        "to y:x",
    ],
)
def test_entry_point_references_outside_the_grammar_are_refused(reference: str) -> None:
    assert "which is not module:attribute" in scripts_refused(f"toy = {reference}")


def test_a_default_section_makes_no_scripts() -> None:
    assert read_entry_points("[DEFAULT]\nevil = os:abort\n[console_scripts]\ntoy = toy:main") == (
        EntryPoint("toy", "toy", "main"),
    )


@pytest.mark.parametrize("text", ["toy = toy:main", "[console_scripts]\nno equals sign", "[broken\n"])
def test_entry_points_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(BadWheel, match=r"entry_points\.txt can't be read"):
        read_entry_points(text)


# -- what a wheel lets one import


def test_import_names_are_the_top_level_modules_and_packages() -> None:
    files = [
        "toy/__init__.py",
        "toy/sub/x.py",
        "fast.cpython-38-x86_64-linux-gnu.so",
        "google/protobuf/x.py",
        "single.py",
        "toy.libs/libz.so",
        "toy-1.0.dist-info/x.py",
        "README.md",
        "docs/index.md",
    ]
    assert import_names(files) == ("fast", "google", "single", "toy")
