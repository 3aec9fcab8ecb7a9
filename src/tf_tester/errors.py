"""Every error of ours, one tree; whose matter it is, is the first split.

::

    TfTesterError                 one sentence what happened (`str`), one what to do (`hint`)
    ├── UsageError                the command line or the configuration is wrong        exit 2
    │   ├── UnknownVersion
    │   ├── UnknownProject
    │   ├── ConfigError
    │   └── EndsContradict        what the user says of two versions isn't so
    ├── CellRefused               one cell can't run; the others go on                  outcome
    │   ├── NoPython
    │   ├── NoWheel
    │   ├── Unresolvable
    │   ├── DownloadFailed
    │   │   └── InterruptedTransfer
    │   ├── BuildFailed
    │   │   └── BuildEnded
    │   └── InstallFailed
    ├── Malformed                 others' bytes break the rules of their format; who asked for them says whose
    │   ├── BadWheel
    │   ├── NotAPage
    │   ├── NotAManifest
    │   ├── NotAnImage
    │   └── BadView
    ├── WrongBytes                a source lied; the fetcher tries the next, so nobody else sees it
    ├── Unverified                a signature doesn't hold; the index decides what follows
    ├── UploadRefused             the server doesn't take a client's file
    └── OurFailure                the world or we ourselves failed                      exit 4
        ├── IndexUnreachable
        ├── StoreError            no permission, damaged
        │   └── StoreFull         its disk has no more space
        ├── PrivateDamaged        what was uploaded to a server isn't what it was
        ├── RegistryFailed        a registry of images doesn't take or give what was asked for
        │   └── RegistryForgot    it lacks layers that it said it had
        └── IsolationUnavailable

What the user's own code does wrong is never an exception of ours: it is an outcome. Beside the tree stand a few
exceptions that never leave the module or, as `transfer.trouble.Trouble`, the package that raises them.
"""

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C, or a cancelled job, has ended: 128 and the signal's number."""
BROKEN_PIPE = 141
"""Likewise where nobody reads its output any more."""
OWN_FAILURE = 4
"""Likewise where the network, the disk or tf-tester itself failed."""


class TfTesterError(Exception):
    """Something that a person can act on."""

    exit_code = OWN_FAILURE

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What to do about it, one sentence; empty where nothing can be done."""
        self.detail = detail
        """The full evidence (a tool's own words), for those who want it."""

    def __str__(self) -> str:
        return self.message


class UsageError(TfTesterError):
    """The command line asks for something that can't be."""

    exit_code = 2


class UnknownVersion(UsageError):
    """A version was asked for that the index doesn't have."""


class UnknownProject(UsageError):
    """The index has no such project."""


class ConfigError(UsageError):
    """A configuration file or environment variable is wrong."""


class EndsContradict(UsageError):
    """The version that is to pass doesn't, or the other one passes, or one of them can't be run."""

    untestable = False
    """True: one of them can't be run."""


class CellRefused(TfTesterError):
    """One cell can't run; `core.outcome.refused` has the outcome that the matrix shows for each kind."""

    exit_code = 3


class NoPython(CellRefused):
    """No installed Python has a wheel of that version."""


class NoWheel(CellRefused):
    """That version has no wheel for this platform, or for the Python asked for."""


class Unresolvable(CellRefused):
    """The dependencies contradict one another; `detail` holds the resolver's reasoning in full."""


class DownloadFailed(CellRefused):
    """No source gave the promised bytes; nothing unverified was kept."""

    exit_code = OWN_FAILURE
    lasting = False
    """True: whoever asks again soon gets the same answer."""
    contradicts_index = False
    """True: the index that promises the file has other bytes there, or none: its page may be wrong."""


class InterruptedTransfer(DownloadFailed):
    """The transfer was closed (Ctrl-C, another failure) before the file was complete; what came is kept."""


class BuildFailed(CellRefused):
    """A source distribution could not be built; `detail` holds the build's own output."""


class BuildEnded(BuildFailed):
    """A build was ended, or never begun: by a limit, the time, a signal. It isn't worth another attempt."""


class InstallFailed(CellRefused):
    """A verified wheel could not be unpacked or the environment not be made."""


class OurFailure(TfTesterError):
    """The network, the disk, or we."""

    exit_code = OWN_FAILURE


class IndexUnreachable(OurFailure):
    """An index doesn't answer, and the store doesn't have what was asked for."""


class StoreError(OurFailure):
    """The store can't be written or read: permission, space, damage."""


class StoreFull(StoreError):
    """The disk of the store has no more space: what is there can be read as before."""


class PrivateDamaged(OurFailure):
    """What was uploaded isn't there any more, or isn't what it was: nothing is told in its place."""


class RegistryFailed(OurFailure):
    """A registry of images refuses, doesn't answer, or does something else than it says."""


class RegistryForgot(RegistryFailed):
    """It doesn't take a manifest because layers are missing that it has told to have, or has just been given."""


class IsolationUnavailable(OurFailure):
    """The isolation asked for can't be had on this machine."""


class WrongBytes(TfTesterError):
    """A source, or the disk, gave other bytes than were promised; nothing of them was kept, or handed on."""


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a process that ends with an exception, as a run's record has it, too."""
    match error:
        case TfTesterError():
            return error.exit_code
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            return BROKEN_PIPE
        case _:
            return OWN_FAILURE


class Malformed(TfTesterError):
    """Bytes that somebody else wrote break the rules of their format; the message says which, as a clause."""


class BadWheel(Malformed):
    """A wheel breaks a rule of its format, or of ours for what is unpacked."""


class NotAPage(Malformed):
    """The bytes aren't the page of that project: a login form, another project, a later major version."""


class NotAManifest(Malformed):
    """The bytes aren't a manifest of what was published, or one that this version doesn't know."""


class NotAnImage(Malformed):
    """The bytes aren't the image, or the part of one, that they are said to be; the message is a clause."""


class BadView(Malformed):
    """An address asks for a view of the index that can't be; the message is a sentence."""


class Unverified(TfTesterError):
    """An attestation is there and doesn't fit the file, or can't be read."""


class UploadRefused(TfTesterError):
    """The server doesn't take a file; `status` is what HTTP says to the client."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
