"""The folders in which a program has all rights; standard library only."""

import os

from tf_tester.sandbox import kernel, landlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class ScratchPlaces:
    """Folders that are the program's alone.

    Nothing of anybody else gets into them, for the program has more rights there than anywhere (`landlock.restrict`).
    They are named without links, as they were before the program began.
    """

    def __init__(self, folders: "list[str]") -> None:
        self._folders = folders

    def hold(self, place: int) -> bool:
        """Tell whether an open place lies in one of them."""
        path = f"{os.readlink(f'/proc/self/fd/{place}')}/"
        return any(path.startswith(f"{folder}/") for folder in self._folders)

    def make_socket(self, make: "Callable[[], None]") -> None:
        """Do something by which no socket is made elsewhere. Raises its error.

        A path that was looked at may lead elsewhere a moment later, and `bind` takes nothing but paths: so the kernel
        looks, for a thread that has fewer rights than this one.
        """
        import _thread

        done = _thread.allocate_lock()
        errors: list[BaseException] = []

        def confined() -> None:
            try:
                kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")
                landlock.keep_sockets_in(self._folders)
                make()
            except BaseException as error:  # noqa: BLE001 - raised by who waits
                errors.append(error)
            finally:
                done.release()

        done.acquire()
        _thread.start_new_thread(confined, ())
        done.acquire()
        if errors:
            raise errors[0]
