"""What has come over the network."""

from msgspec import Struct

from tf_tester.model.events import Event, TransferFinished


class ReceivedFiles(Struct):
    """Files that have come, counted while they come."""

    files: int = 0
    size: int = 0
    """Bytes."""

    def hear(self, event: Event) -> None:
        """Count a file that has come."""
        if isinstance(event, TransferFinished):
            self.files += 1
            self.size += event.received
