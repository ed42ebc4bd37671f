"""Several processes of one command: their parent starts them, replaces those that end, and stops them.

A pair of sockets ties each child to its parent. Over it a child says once that it is ready, and by its end
it learns that its parent is gone, also if that was killed.
"""

import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from webrtc_events.core.clock import Clock

__all__ = ["LINK_OPTION", "ChildProcesses", "ParentLink", "Places"]

log = logging.getLogger(__name__)

LINK_OPTION = "--link"
"""The option by which a child is given the descriptor of its socket."""

# One that ran for this long before it ended has not failed at once.
_STEADY_S = 60.0
_FIRST_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
_LAST_GROWTH = 6
_KILL_AFTER_S = 30.0


@dataclass(slots=True)
class _Place:
    """One of the processes, and those that took its place before."""

    number: int
    process: "subprocess.Popen[bytes] | None" = None
    link: socket.socket | None = None
    ready: bool = False
    started_s: float = 0.0
    failures: int = 0
    next_start_s: float = field(default=float("-inf"))

    def clear(self) -> None:
        """Its process has ended."""
        if self.link is not None:
            self.link.close()
        self.process, self.link, self.ready = None, None, False


@dataclass(frozen=True, slots=True)
class Places:
    """What is given to the child in a place, of which the first is 1, and in those that follow it there.

    `options` of its command, by its place; `descriptors` that it inherits; `ended` is called after its end.
    """

    options: Callable[[int], Sequence[str]] = lambda _: ()
    descriptors: Sequence[int] = ()
    ended: Callable[[int], None] = lambda _: None


class ChildProcesses:
    """`command` in `count` processes, each with a session and a link of its own. For one thread.

    Signals of a terminal reach the parent alone, which passes on what it decides. `places`: what else a child
    gets for its place.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        count: int,
        clock: Clock,
        places: "Places | None" = None,
    ) -> None:
        self._command = tuple(command)
        self._in_place = Places() if places is None else places
        self._environ = dict(environ)
        self._clock = clock
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._all_were_ready = False

    @property
    def ready(self) -> bool:
        """Whether all of them have been ready at the same time."""
        return self._all_were_ready

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [place.process.pid for place in self._places if place.process is not None]

    def watch(self) -> int | None:
        """Starts what is missing and due. To be called over and over.

        Returns the exit status of one that ended before all were ready: then there is something wrong that
        starting it again does not mend, and the caller is to stop the others. None: all is well.
        """
        for place in self._places:
            status = self._look_at(place)
            if status is not None and not self._all_were_ready:
                return status
            if place.process is None and self._clock.monotonic() >= place.next_start_s:
                self._start(place)
        self._all_were_ready = self._all_were_ready or all(place.ready for place in self._places)
        return None

    def stop(self) -> None:
        """Asks all to stop and waits until they have ended. What does not end in 30 s is killed."""
        self._signal(signal.SIGTERM)
        until_s = self._clock.monotonic() + _KILL_AFTER_S
        for place in self._places:
            if place.process is not None and not _ends(place.process, until_s - self._clock.monotonic()):
                log.error("process %d (pid %d) does not stop; killed", place.number, place.process.pid)
                place.process.kill()
                place.process.wait()
            place.clear()

    def kill(self) -> None:
        """Ends all at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for place in self._places:
            # Another thread may be waiting for its end.
            process = place.process
            if process is not None:
                process.send_signal(number)

    def _start(self, place: _Place) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            place.process = subprocess.Popen(  # noqa: S603 (the caller's own command)
                [*self._command, LINK_OPTION, str(theirs.fileno()), *self._in_place.options(place.number)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *self._in_place.descriptors],
                start_new_session=True,
            )
        ours.setblocking(False)
        place.link, place.ready, place.started_s = ours, False, self._clock.monotonic()

    def _look_at(self, place: _Place) -> int | None:
        """The exit status of a process that has ended since it was last looked at."""
        if place.process is None or place.link is None:
            return None
        place.ready = place.ready or _has_come(place.link)
        status = place.process.poll()
        if status is None:
            return None
        self._is_over(place, place.process.pid, status)
        return status

    def _is_over(self, place: _Place, pid: int, status: int) -> None:
        place.clear()
        self._in_place.ended(place.number)
        now_s = self._clock.monotonic()
        place.failures = 1 if now_s - place.started_s >= _STEADY_S else place.failures + 1
        delay_s = min(_MAX_DELAY_S, _FIRST_DELAY_S * 2 ** min(place.failures - 1, _LAST_GROWTH))
        place.next_start_s = now_s + delay_s
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        again = f"; another starts in {delay_s:.1f} s" if self._all_were_ready else ""
        log.warning("process %d (pid %d) ended %s%s", place.number, pid, how, again)


class ParentLink:
    """A child's end of its link. Once the parent is gone, this process gets SIGTERM."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        threading.Thread(target=self._await_end, name="parent", daemon=True).start()

    def is_ready(self) -> None:
        """Tells the parent that this process does its work now."""
        try:
            self._socket.send(b"\n")
        except OSError:
            # It is gone, which the other thread hears as well.
            return

    def _await_end(self) -> None:
        try:
            self._socket.recv(1)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


def _ends(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return False
    return True


def _has_come(link: socket.socket) -> bool:
    try:
        return bool(link.recv(1))
    except (BlockingIOError, ConnectionResetError):
        return False
