"""An environment that is one mount: the layers seen as one folder, made by the launcher, gone with the program.

Nothing is copied, linked or deleted: what lies on top of the layers is in the store and shared, and what a test
writes is in the memory of its own world.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from msgspec.structs import replace

from tf_tester.env.overlay_plans import PLACE, OverlayPlan, Plans
from tf_tester.errors import TfTesterError
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import layout_of
from tf_tester.model.host.world import Overlay
from tf_tester.ports.environment import Environment, Environments

_MOST_LOWERS = 480
"""overlayfs takes 500."""


class OverlayEnvironments:
    """`ports.Environments` for a sandbox that mounts.

    `on_disk` makes the environments that are to be kept, those of more layers than the kernel takes, and those in
    which one layer has a file where another has a folder. They too are shown through a mount: what a test writes
    reaches neither them nor the store.
    """

    def __init__(self, plans: Plans, on_disk: Environments, *, translate: Callable[[OSError], TfTesterError]) -> None:
        self._plans = plans
        self._on_disk = on_disk
        self._translate = translate

    def make(
        self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None
    ) -> AbstractContextManager[Environment]:
        if keep is not None:
            return self._shown(interpreter, layers, keep)
        try:
            plan = self._plans.plan(interpreter, layers)
        except OSError as error:
            raise self._translate(error) from error
        if plan.uneven or 1 + len(plan.parts) > _MOST_LOWERS:
            return self._shown(interpreter, layers, None)
        return _laid_over(plan, interpreter, layers)

    @contextmanager
    def _shown(self, interpreter: Interpreter, layers: Sequence[Layer], keep: str | None) -> Iterator[Environment]:
        """Yield an environment on disk, which the program sees at its own place."""
        with self._on_disk.make(interpreter, layers, keep=keep) as environment:
            yield replace(environment, overlays=(Overlay(environment.folder, (environment.folder,)),))


@contextmanager
def _laid_over(plan: OverlayPlan, interpreter: Interpreter, layers: Sequence[Layer]) -> Iterator[Environment]:
    layout = layout_of(interpreter)
    parts = (layers[number].folder / "data" if is_data else layers[number].tree for number, is_data in plan.parts)
    yield Environment(
        folder=PLACE,
        python=PLACE / layout.scripts / "python",
        scripts=PLACE / layout.scripts,
        overlays=(Overlay(PLACE, (plan.face, *parts)),),
        clashes=plan.clashes,
    )
