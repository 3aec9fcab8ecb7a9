"""Pages as bytes."""

from collections.abc import ValuesView

from tf_tester.core.index.policy import NO_POLICY
from tf_tester.core.index.views import IndexView
from tf_tester.model.artifact import ProjectPage
from tf_tester.serve.pages import RenderedPage, body_of


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
