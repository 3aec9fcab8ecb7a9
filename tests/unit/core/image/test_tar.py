"""Members of tars, and layers on layers."""

import io
import tarfile

import pytest

from tf_tester.core.image.tar import END, TarEntry, TarKind, corrections, header_of, padding_of, stacked, with_folders


def read(*entries: TarEntry) -> list[tarfile.TarInfo]:
    content = b"".join(header_of(one) + one.content + padding_of(one.size) for one in entries) + END
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getmembers()


def test_a_member_says_nothing_of_whoever_made_it() -> None:
    [member] = read(TarEntry.text("a/b.py", b"x = 1\n"))
    assert (member.name, member.size, member.mode) == ("a/b.py", 6, 0o644)
    assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 1_577_836_800)


@pytest.mark.parametrize("path", ["a/" * 200 + "b.py", "ü/语言.py", "x" * 150, "a b\n.py", "\udcff.bin"])
def test_every_name_comes_out_as_it_went_in(path: str) -> None:
    [member] = read(TarEntry.text(path, b"1"))
    assert member.name == path


def test_links_devices_and_attributes_come_out_as_they_went_in() -> None:
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\xff"
    link, hard, device, able = read(
        TarEntry.symlink("python", "/usr/bin/python3"),
        TarEntry("b", TarKind.HARDLINK, target="a"),
        TarEntry("dev/null", TarKind.CHARACTERS, 0o666, device=(1, 3)),
        TarEntry("ping", mode=0o4755, owner=(0, 5), modified=7, attributes=(("security.capability", capability),)),
    )
    assert (link.issym(), link.linkname) == (True, "/usr/bin/python3")
    assert (hard.islnk(), hard.linkname) == (True, "a")
    assert (device.ischr(), device.devmajor, device.devminor) == (True, 1, 3)
    assert (able.mode, able.gid, able.mtime) == (0o4755, 5, 7)
    assert able.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == capability


def test_folders_stand_before_what_is_in_them() -> None:
    entries = [TarEntry("opt/env/b-c"), TarEntry("opt/env/b/c"), TarEntry("home/x")]
    assert [one.path for one in with_folders(entries, "opt/env")] == [
        "home/x",
        "opt/env",
        "opt/env/b",
        "opt/env/b/c",
        "opt/env/b-c",
    ]


def test_the_upper_layer_is_seen() -> None:
    low, high = TarEntry.text("a", b"low"), TarEntry.text("a", b"high")
    assert stacked([[low], [high]]) == {"a": high}
    assert stacked([[low], [TarEntry(".wh.a")]]) == {}
    assert set(stacked([[TarEntry("d/a"), TarEntry("d/b")], [TarEntry("d/.wh..wh..opq"), TarEntry("d/c")]])) == {"d/c"}


def test_a_file_hides_a_folder_and_the_reverse() -> None:
    folder, inside, file = TarEntry.folder("a"), TarEntry("a/b"), TarEntry("a")
    assert stacked([[folder, inside], [file]]) == {"a": file}
    assert stacked([[file], [folder, inside]]) == {"a": folder, "a/b": inside}
    assert stacked([[folder, inside], [file], [folder]]) == {"a": folder}


def test_nothing_is_corrected_where_all_is_seen_as_it_is_wanted() -> None:
    wanted = {"a": TarEntry.folder("a"), "a/b": TarEntry.text("a/b", b"1")}
    assert corrections(wanted, wanted) == []


def test_what_nobody_wants_is_hidden_at_its_top() -> None:
    seen = {one.path: one for one in [TarEntry.folder("d"), TarEntry("d/a"), TarEntry("d/b")]}
    assert [one.path for one in corrections(seen, {})] == [".wh.d"]
    assert [one.path for one in corrections(seen, {"d": seen["d"], "d/a": seen["d/a"]})] == ["d/.wh.b"]
