"""What came out after the era."""

from datetime import UTC, datetime

from tf_tester.core.index.late import late_requirements
from tf_tester.model.artifact import Artifact, ProjectPage

CUTOFF = datetime(2022, 7, 5, tzinfo=UTC)
SAID = """
  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of idna==3.10 and only gear<=1.0 is available, and toy==1.0 depends on
      Gear[fast]>=2,<4 and on cog>1, we can conclude that toy==1.0 and other==9 cannot be used.
"""


def page(project: str, *versions: tuple[str, str]) -> ProjectPage:
    return ProjectPage(
        project,
        tuple(
            Artifact(
                f"{project}-{version}.tar.gz", project, version, "", upload_time=datetime.fromisoformat(f"{day}T00Z")
            )
            for version, day in versions
        ),
    )


PAGES = {
    "idna": page("idna", ("3.3", "2021-10-12"), ("3.10", "2024-09-15")),
    "gear": page("gear", ("1.0", "2020-01-01"), ("2.0rc1", "2022-08-01"), ("2.1", "2023-03-01"), ("2.0", "2023-01-01")),
    "toy": page("toy", ("1.0", "2022-06-21")),
    "cog": page("cog", ("1.5", "2021-01-01"), ("2.0", "2024-01-01")),
    "other": page("other", ("1", "2020-01-01")),
}


def test_what_only_a_later_version_meets_is_told_with_its_date() -> None:
    late = late_requirements(SAID, PAGES, CUTOFF)
    assert [one.told for one in late] == [
        "idna==3.10 is there since 2024-09-15",
        "Gear>=2,<4 is there since 2023-01-01",
    ]
    assert [one.version for one in late] == ["3.10", "2.0"]


def test_nothing_is_late_where_no_page_was_asked_for_or_tells_no_times() -> None:
    assert late_requirements(SAID, {}, CUTOFF) == ()
    untimed = ProjectPage("idna", (Artifact("idna-3.10.tar.gz", "idna", "3.10", ""),))
    assert late_requirements(SAID, {"idna": untimed}, CUTOFF) == ()
    assert late_requirements("idna==x and idna==3.*", PAGES, datetime(2025, 1, 1, tzinfo=UTC)) == ()
