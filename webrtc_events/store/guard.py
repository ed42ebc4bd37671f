"""Whether the service takes anything new."""

from webrtc_events.core.errors import Unavailable

__all__ = ["Guard"]


class Guard:
    """Stands before everything that promises to keep something. Safe for use by several threads."""

    def __init__(self) -> None:
        self.closed = False

    def open(self) -> None:
        self.closed = False

    def close(self) -> None:
        """From now on nothing new is taken. What was taken is still delivered, shown and deleted."""
        self.closed = True

    def check(self) -> None:
        """
        Raises:
            Unavailable: nothing new is taken.
        """
        if self.closed:
            raise Unavailable("The store does not keep what it is given at the moment; try again later.")
