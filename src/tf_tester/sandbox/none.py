"""No sandbox."""

from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.world import World
from tf_tester.ports.execute import Command


class NoSandbox:
    """`ports.Sandbox` that isn't one; the record says so."""

    name = IsolationKind.NONE
    category = "none"
    moves = False
    copies = False
    gaps: tuple[str, ...] = ()
    ahead = None

    def wrap(self, command: Command, world: World) -> Command:
        return command
