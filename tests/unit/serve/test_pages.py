"""Pages as bytes."""

import asyncio
import contextlib
import threading
from collections.abc import ValuesView
from concurrent.futures import ThreadPoolExecutor

import pytest

from tf_tester.core.index.policy import NO_POLICY
from tf_tester.core.index.views import IndexView
from tf_tester.errors import UnknownProject
from tf_tester.model.artifact import ProjectPage
from tf_tester.serve.pages import PageRules, RenderedPage, ServedPages, body_of


def test_a_page_can_be_counted_while_a_thread_makes_another_form_of_it() -> None:
    page = RenderedPage(ProjectPage("toy", ()), {}, 0, ("toy", IndexView(), None, NO_POLICY))

    class Interrupted(dict[str, bytes]):
        """Codings of a body, in whose count the other thread comes in between."""

        def values(self) -> ValuesView[bytes]:  # type: ignore[override]
            page.bodies[f"another {len(page.bodies)}"] = body_of(b"four")
            return super().values()

    first = page.bodies["text/html"] = body_of(b"page")
    first.packed = Interrupted(first.packed)
    assert page.size == len(b"page") + len(page.page.source)


class Public:
    """`ports.Index` whose first answer takes until it is let go; it tells what there was when it was asked."""

    def __init__(self) -> None:
        self.asked, self.goes_on = threading.Event(), threading.Event()
        self.source = b"public"

    def page(self, project: str) -> ProjectPage:
        source = self.source
        if source == b"public":
            self.asked.set()
            self.goes_on.wait()
        return ProjectPage(project, (), source=source)


def test_what_was_asked_before_a_name_was_private_is_no_answer_after_it() -> None:
    """Another worker took the upload, so that nobody told this one to forget."""
    index, states = Public(), list[tuple[int, ...]]([()])

    async def ask() -> None:
        pages = ServedPages(index, PageRules(), executor, executor, lambda _: states[-1])
        before = asyncio.create_task(pages.get("toy", IndexView()))
        await asyncio.to_thread(index.asked.wait)
        index.source = b"private"
        states.append((1,))
        after = asyncio.create_task(pages.get("toy", IndexView()))
        await asyncio.sleep(0)  # it has been asked for
        index.goes_on.set()
        assert (await after).page.source == b"private"
        assert (await before).page.source == b"public"
        assert (await pages.get("toy", IndexView())).page.source == b"private"

    with ThreadPoolExecutor(2) as executor:
        asyncio.run(ask())


class Threads:
    """`ports.Index` that notes which thread asks it."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def page(self, project: str) -> ProjectPage:
        self.seen[project] = threading.current_thread().name.partition("_")[0]
        return ProjectPage(project, ())


def test_a_private_page_does_not_wait_behind_an_upstream_that_answers_nothing() -> None:
    index = Threads()

    async def ask() -> None:
        pages = ServedPages(index, PageRules(), here, elsewhere, lambda project: (1,) if project == "own" else ())
        await pages.get("own", IndexView())
        await pages.get("toy", IndexView())

    with ThreadPoolExecutor(1, "here") as here, ThreadPoolExecutor(1, "elsewhere") as elsewhere:
        asyncio.run(ask())
    assert index.seen == {"own": "here", "toy": "elsewhere"}


class Growing:
    """`ports.Index` of a page that is another one each time."""

    def __init__(self) -> None:
        self.count = 0

    def page(self, project: str) -> ProjectPage:
        self.count += 1
        return ProjectPage(project, (), source=b"%d" % self.count)


def test_a_page_that_lacks_a_file_is_asked_for_again_at_once() -> None:
    """The client has the file's address from another worker, who knows more."""

    async def ask() -> None:
        pages = ServedPages(Growing(), PageRules(), executor, executor)
        assert (await pages.get("toy", IndexView())).page.source == b"1"
        assert (await pages.get("toy", IndexView())).page.source == b"1"
        assert (await pages.get("toy", IndexView(), again=True)).page.source == b"2"

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(ask())


def test_pages_of_which_a_view_shows_nothing_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_tester.core.fetch.recent_pages.MOST_FILES", 5)

    async def ask() -> None:
        pages = ServedPages(Growing(), PageRules(), executor, executor)
        for number in range(20):
            with contextlib.suppress(UnknownProject):
                await pages.get(f"toy{number}", IndexView(private=True))
        assert pages.names == [f"toy{number}" for number in range(15, 20)]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(ask())
