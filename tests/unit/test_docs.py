"""The documentation tells of the program as it is."""

import pkgutil
import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec.structs
import pytest

from tf_tester.cli.common.settings import read_settings
from tf_tester.cli.main import main
from tf_tester.core.config.settings import from_file
from tf_tester.model import events
from tf_tester.model.cause import Cause, Explanation, Verdict
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.field import RouteHop, ValueDifference
from tf_tester.model.lock import Lock, Pin
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact
from tf_tester.report.record import EVENTS, FORMAT, RecordWriter
from tf_tester.report.words import word
from tf_tester.store.folder import StoreFolder

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
MAPS = (ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md")
HAND_WRITTEN = [*READMES, *MAPS, *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and content of each code block."""
    return FENCE.findall(text_of(path))


def commands(path: Path) -> Iterator[str]:
    """Every `tf-tester …` command line that a page shows, in blocks and within sentences."""
    for _, block in blocks(path):
        for line in block.replace("\\\n", " ").splitlines():
            if line.lstrip().removeprefix("$ ").startswith("tf-tester "):
                yield line.lstrip().removeprefix("$ ")
    prose = FENCE.sub("", text_of(path)).replace("\n", " ")
    yield from (found for found in re.findall(r"`(tf-tester [^`]+)`", prose) if not re.match(r"tf-tester \d", found))


SHOWN = [
    pytest.param(command, id=f"{name(path)}: {command}")
    for path in HAND_WRITTEN
    for command in dict.fromkeys(commands(path))
]


GLOSSARY = ROOT / "docs" / "explanation" / "glossary.md"
TERMS = [
    cells for line in text_of(GLOSSARY).splitlines() if len(cells := line.split(" | ")) == 5 and cells[0] != "| term"
]


@pytest.mark.parametrize("place", sorted({place for cells in TERMS for place in re.findall(r"`([^`]+)`", cells[2])}))
def test_every_place_that_the_glossary_names_is_there(place: str) -> None:
    assert pkgutil.resolve_name(f"tf_tester.{place}")


def test_the_glossary_explains_each_term_once() -> None:
    terms = [term for cells in TERMS for term in cells[0].removeprefix("| ").split(", ")]
    assert len(terms) == len(set(terms)) > 50


def test_settings_page_is_up_to_date() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_settings.py"))
    assert text_of(ROOT / "docs" / "reference" / "settings.md") == generator["page"](), (
        "run: python docs/generate_settings.py"
    )


@pytest.mark.parametrize("command", SHOWN)
def test_shown_command_is_understood(command: str, tmp_path: Path) -> None:
    words = shlex.split(command, comments=True)
    assert words.pop(0) == "tf-tester"
    if words[0].startswith("-"):
        assert words[0] in ("--version", "--help")
        return
    context = click.Context(main)
    chosen = main.get_command(context, words[0])
    assert chosen is not None, f"there is no command {words[0]}"
    if "--help" in words:
        return
    with chosen.make_context(words[0], words[1:], parent=context) as parsed:
        read_settings(parsed.params, cwd=tmp_path, environ={}, user_file=tmp_path / "none.toml")


@pytest.mark.parametrize("readme", READMES, ids=name)
def test_readme_shows_every_command(readme: Path) -> None:
    shown = {command.split()[1] for command in commands(readme)}
    assert set(main.list_commands(click.Context(main))) <= shown


@pytest.mark.parametrize("readme", READMES, ids=name)
def test_readme_tells_every_outcome_as_the_report_writes_it(readme: Path) -> None:
    assert {word(outcome) for outcome in Outcome} <= set(re.findall(r"`([\w-]+)`", text_of(readme)))


def test_readmes_keep_step() -> None:
    english, chinese = (re.findall(r"^(#+) ", FENCE.sub("", text_of(readme)), re.MULTILINE) for readme in READMES)
    assert english == chinese
    english_tables, chinese_tables = (text_of(readme).count("\n|---") for readme in READMES)
    assert english_tables == chinese_tables
    assert list(commands(READMES[0])) == list(commands(READMES[1]))


def test_readmes_show_the_same_blocks() -> None:
    english, chinese = (
        [re.sub(r" +#.*", "", block) for _, block in blocks(readme)]  # comments are translated
        for readme in READMES
    )
    assert english == chinese


@pytest.mark.parametrize("readme", READMES, ids=name)
def test_configuration_shown_is_accepted(readme: Path) -> None:
    shown = [block for language, block in blocks(readme) if language == "toml"]
    assert shown
    for block in shown:
        from_file(tomllib.loads(block), readme, name(readme), ROOT)


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", FENCE.sub("", text_of(page))):
        if "://" not in target:
            assert (page.parent / target).exists(), target


RECORD_PARTS = {
    "result": CellResult,
    "explanation": Explanation,
    "cell": Cell,
    "requirement": CellRequirement,
    "cause": Cause,
    "lock": Lock,
    "pin": Pin,
    "test": TestRow,
    "exception": ExceptionFact,
    "warning": WarningFact,
    "difference": ValueDifference,
    "hop": RouteHop,
}


@pytest.mark.parametrize("page", MAPS, ids=name)
def test_files_and_folders_that_the_map_names_are_there(page: Path) -> None:
    text = text_of(page)
    named = re.findall(r"`([\w./-]+/|[\w./-]+\.(?:py|md|toml|yml|json))`", FENCE.sub("", text))
    for block in FENCE.findall(text):
        named += re.findall(r"(?<!\S)(?:tests|docs|bench)/[\w/]+(?:\.py)?(?!\S)", block[1])
    places = (ROOT, ROOT / "src" / "tf_tester", ROOT / "docs")
    assert not [path for path in named if not any((place / path).exists() for place in places)]


def test_the_map_tells_every_folder() -> None:
    package = ROOT / "src" / "tf_tester"
    tops = [path for path in package.iterdir() if path.is_dir()]
    wings = [path for top in ("cli", "flow") for path in (package / top).iterdir() if path.is_dir()]
    told = set(re.findall(r"\b(\w+)/?`", text_of(MAPS[0])))
    assert {path.name for path in (*tops, *wings)} - {"__pycache__"} <= told


def test_record_page_has_a_table_for_each_event_and_part_with_its_fields() -> None:
    page = text_of(ROOT / "docs" / "reference" / "record.md")
    tables = {
        heading.lower(): re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)))
        for heading, table in re.findall(r"^### ([\w-]+)\n(?:(?!#|\| field).*\n)*((?:\|.*\n)+)", page, re.MULTILINE)
    }
    kinds: dict[str, type] = {**EVENTS, **RECORD_PARTS}
    assert tables == {name: [field.name for field in msgspec.structs.fields(kind)] for name, kind in kinds.items()}


def test_record_page_tells_every_outcome_and_verdict() -> None:
    page = text_of(ROOT / "docs" / "reference" / "record.md")
    rows = re.findall(r"^\| `([\w-]+)` \|", page[page.index("## Outcomes") : page.index("## Format 1")], re.MULTILINE)
    assert sorted(rows) == sorted(map(str, Outcome))
    [verdicts] = re.findall(r"^\| `verdict` \|(.*)\|$", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", verdicts)) == sorted(map(str, Verdict))


def test_record_schema_is_up_to_date() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_record_schema.py"))
    assert text_of(ROOT / "docs" / "reference" / "record.schema.json") == generator["text"](), (
        "run: python docs/generate_record_schema.py"
    )


def test_record_page_names_events_as_the_writer_does(tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "record.jsonl", lambda: datetime(2026, 11, 1, tzinfo=UTC)) as writer:
        writer.tell(events.RunFinished(0, interrupted=False, wall_s=1.0))
    line = (tmp_path / "record.jsonl").read_text()
    assert '"event":"run-finished"' in line
    assert f'"format":{FORMAT}' in line
    assert f"Today's format is {FORMAT}." in text_of(ROOT / "docs" / "reference" / "record.md")


def test_record_page_has_the_order_of_outcomes() -> None:
    text = " ".join(text_of(ROOT / "docs" / "reference" / "record.md").split())
    told = text.partition("in this order: ")[2].partition(")")[0]
    assert told == ", ".join(f"`{outcome}`" for outcome in Outcome if outcome.ran)


def test_store_page_tells_every_place() -> None:
    page = text_of(ROOT / "docs" / "reference" / "store.md")
    places = {path.name for path in vars(StoreFolder(Path("store"))).values() if isinstance(path, Path)} - {"store"}
    assert places
    assert all(f"`{place}" in page for place in places)
