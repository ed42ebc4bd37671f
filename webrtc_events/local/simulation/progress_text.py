"""How a terminal shows a simulation: a line that changes, and a summary."""

from webrtc_events.core.plain_text import printable
from webrtc_events.local.simulation.progress import Progress, State

__all__ = ["progress_line", "summary"]

_MAX_MESSAGE = 300
# Later than this is worth a word: the service is slower than the calls come.
_BEHIND_S = 1.0


def progress_line(progress: Progress) -> str:
    """What has happened so far, in less than 100 characters."""
    return (
        f"calls {progress.calls_started} of {progress.request.calls}, {_events(progress)}, "
        f"{progress.elapsed_s:.0f} s{_behind(progress)}"
    )


def summary(progress: Progress) -> list[str]:
    """What has happened, and what the latest error was."""
    counts = (
        f"{progress.state}: calls {progress.calls_started} of {progress.request.calls}, {_events(progress)}, "
        f"notifications {progress.notifications}, in {progress.elapsed_s:.1f} s{_behind(progress)}"
    )
    lines = [counts]
    if progress.message:
        lines.append(f"The latest error: {printable(progress.message, _MAX_MESSAGE)}")
    if progress.state is not State.FAILED and progress.accepted and not progress.notifications:
        lines.append(
            "No active subscription is for these calls, so nothing will arrive. Subscribe to their "
            "registration, then simulate again."
        )
    return lines


def _events(progress: Progress) -> str:
    return f"accepted {progress.accepted} of {progress.events}, failed {progress.failed}"


def _behind(progress: Progress) -> str:
    return f", {progress.behind_s:.0f} s behind" if progress.behind_s >= _BEHIND_S else ""
