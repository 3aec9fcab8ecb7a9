"""Requirements files, as pip reads them."""

from pathlib import Path

import pytest

from tf_tester.core.select.requirements_file import RequestedPackages, read_requirements
from tf_tester.errors import UsageError

ZERO, ONE = "0" * 64, "1" * 64


def asked(text: str | bytes, *, environ: dict[str, str] | None = None, **others: str) -> RequestedPackages:
    """Return what `r.txt` asks for; other files by their name without `.txt`."""
    files = {Path(f"/p/{name}.txt"): content.encode() for name, content in others.items()}
    files[Path("/p/r.txt")] = text.encode() if isinstance(text, str) else text

    def read(file: Path) -> bytes:
        if file not in files:
            raise UsageError(f"no {file}")
        return files[file]

    return read_requirements((Path("/p/r.txt"),), "toy", read, environ or {}, cwd=Path("/here"))


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("six\nnumpy>=1.20,<2\n", ("six", "numpy>=1.20,<2")),
        ("# all\n\nsix  # why\n  numpy\n", ("six", "numpy")),
        ("six\nsix\n", ("six",)),
        ("six \\\n  >=1\n", ("six   >=1",)),
        ("gear[fast]>1; python_version < '3.9'\n", ("gear[fast]>1; python_version < '3.9'",)),
        ("toy==2.0\nToy\nsix\n", ("six",)),
        ("--only-binary :all:\n--trusted-host x\n--prefer-binary\nsix", ("six",)),
        ("six==${SIX}\nnone-${OTHER}", None),
    ],
)
def test_lines_are_requirements(text: str, requirements: tuple[str, ...] | None) -> None:
    if requirements is None:
        assert asked("six==${SIX}", environ={"SIX": "1.16"}).requirements == ("six==1.16",)
        with pytest.raises(UsageError, match="OTHER"):
            asked(text, environ={"SIX": "1.16"})
    else:
        assert asked(text).requirements == requirements


def test_a_version_of_the_package_under_test_is_told_with_its_place() -> None:
    found = asked("six\ntoy\ntoy>=2\n-r more.txt", more="toy @ https://u:p@host/toy-1.0.tar.gz")
    assert found.versions == (("/p/r.txt:3", "toy>=2"), ("/p/more.txt:1", "toy @ https://host/toy-1.0.tar.gz"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_whatever_powershell_writes_is_read(encoding: str) -> None:
    assert asked("six==1.0\r\nnumpy\r\n".encode(encoding)).requirements == ("six==1.0", "numpy")


def test_a_coding_line_counts() -> None:
    assert asked("# -*- coding: latin-1 -*-\nsix  # é\n".encode("latin-1")).requirements == ("six",)


@pytest.mark.parametrize("content", [b"six\xff", b"# coding: no-such\nsix", b"\xff\xfes"])
def test_what_is_no_text_is_told(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"r\.txt can't be read as text"):
        asked(content)


@pytest.mark.parametrize("form", ["-r base.txt", "-rbase.txt", "--requirement base.txt", "--requirement=base.txt"])
def test_a_file_within_a_file_is_read_beside_it(form: str) -> None:
    assert asked(f"{form}\nsix", base="numpy\n-r r.txt").requirements == ("numpy", "six")


@pytest.mark.parametrize("form", ["-c limits.txt", "-climits.txt", "--constraint=limits.txt"])
def test_constraints_only_limit(form: str) -> None:
    found = asked(f"{form}\nsix", limits="six<1.16\nnumpy<2\n-r more.txt", more="scipy<2")
    assert (found.requirements, found.constraints) == (("six",), ("six<1.16", "numpy<2", "scipy<2"))


def test_hashes_are_of_their_project() -> None:
    found = asked(f"six==1.0 --hash=sha256:{ONE} \\\n  --hash=sha256:{ZERO}\nnumpy\ntoy==1 --hash=sha256:{ONE}\n")
    assert (found.requirements, found.hashes, found.sources) == (
        ("six==1.0", "numpy"),
        {"six": (ZERO, ONE)},
        ("r.txt",),
    )
    assert found.places == (("six==1.0", "/p/r.txt:1"), ("numpy", "/p/r.txt:3"))


def test_a_file_may_demand_hashes_of_all() -> None:
    with pytest.raises(UsageError, match="'numpy' has none"):
        asked(f"--require-hashes\nsix==1.0 --hash=sha256:{ONE}\nnumpy")
    assert asked(f"--require-hashes\nsix==1.0 --hash=sha256:{ONE}").hashes == {"six": (ONE,)}


def test_only_the_hash_that_indexes_have_is_compared() -> None:
    with pytest.raises(UsageError, match="md5"):
        asked("six==1.0 --hash=md5:00")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-i https://host/simple", "--index-url https://host/simple"),
        ("--index-url=https://host/simple", "--index-url https://host/simple"),
        ("-e", "are understood"),
        ("--no-binary numpy", "--allow-build numpy"),
        ("--find-links", "are understood"),
        ("six @ hg+https://host/six", "in git"),
        ("https://host/six", "ends in .whl"),
        ("six @ https://host/six-1.0.whl", "tags"),
        (f"git+https://host/six --hash=sha256:{ONE}", "NAME @ git+https://host/six"),
        ("--no-such", "are understood"),
        ("six=1.0", "are understood"),
    ],
)
def test_what_cannot_be_done_names_what_does_it(line: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(f"six\n\n{line}\n")
    assert "/p/r.txt:3: " in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("six @ https://host/six-1.0-py3-none-any.whl", "wheel", "six @ https://host/six-1.0-py3-none-any.whl"),
        ("https://host/Six-1.0-py3-none-any.whl", "wheel", "six @ https://host/Six-1.0-py3-none-any.whl"),
        ("./six-1.0-py3-none-any.whl", "wheel", "six @ file:///here/six-1.0-py3-none-any.whl"),
        ("./my%20dir/six-1.0.tar.gz", "archive", "file:///here/my%20dir/six-1.0.tar.gz"),
        ("six @ file:///w/main.zip", "archive", "six @ file:///w/main.zip"),
        ("../lib[test]", "folder", "file:///here/../lib[test]"),
        ("six @ git+https://host/six.git@1.0", "git", "six @ git+https://host/six.git@1.0"),
        ("git+file:///srv/six@v1#egg=six&subdirectory=py", "git", "six @ git+file:///srv/six@v1#subdirectory=py"),
        (
            "six[fast] @ git+ssh://git@host/six@v1 ; python_version < '3.9'",
            "git",
            'six[fast] @ git+ssh://git@host/six@v1 ; python_version < "3.9"',
        ),
    ],
)
def test_a_line_may_name_an_address(line: str, kind: str, text: str) -> None:
    found = asked(f"{line}\nnumpy\n")
    assert found.requirements == ("numpy",)
    [reference] = found.direct
    assert (reference.kind, reference.text) == (kind, text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-e .", "file:///here"),
        ("--editable=./lib", "file:///here/lib"),
        ("-e lib", "file:///here/lib"),
        ("-e lib[fast]", "file:///here/lib"),
        ("-e git+https://host/six.git@v1#egg=six", "git+https://host/six.git@v1"),
    ],
)
def test_what_would_be_editable_is_what_lies_there(line: str, text: str) -> None:
    found = asked(line)
    assert [one.url for one in found.direct] == [text]
    assert found.editable == (f"/p/r.txt:1: -e {line.replace('--editable=', '-e ').removeprefix('-e ')}",)


def test_an_address_of_the_package_under_test_is_left_out_as_its_versions_are() -> None:
    assert asked("toy @ git+https://host/toy@main\n").direct == ()


def test_the_hash_of_an_address_binds_and_a_constraint_is_none() -> None:
    found = asked(f"six @ https://host/six-1.0-py3-none-any.whl --hash=sha256:{ONE}\n--require-hashes\n")
    assert found.hashes == {"six": (ONE,)}
    with pytest.raises(UsageError, match="no constraint"):
        asked("-c limits.txt", limits="six @ https://host/six-1.0-py3-none-any.whl\n")


def test_where_files_are_to_be_looked_for_is_read() -> None:
    found = asked("-f wheels\n--find-links=https://host/all.html\n--extra-index-url https://host/simple\nsix\n")
    assert found.find_links == (("wheels", "/p/r.txt:1"), ("https://host/all.html", "/p/r.txt:2"))
    assert found.extra_indexes == ("https://host/simple",)
    assert (found.pre, asked("--pre\nsix\n").pre) == (False, True)
