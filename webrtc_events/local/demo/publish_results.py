"""The results of published lines, and their summary."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LineResult", "LineStatus", "Summary"]


class LineStatus(StrEnum):
    """Source: network-events.yaml, EventResult.status."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class LineResult:
    """The result of one line; a rejected one has a `message`, and an accepted one that nothing can reach.

    `subscriptions` counts those that it was newly appended to: each gets a notification.
    """

    line: int
    status: LineStatus
    subscriptions: int
    message: str = ""


@dataclass(slots=True)
class Summary:
    """How many events were accepted, duplicates or rejected.

    `notifications` counts what subscribers get for the accepted ones, `unmatched` the accepted ones that
    no subscription is for. `unreachable`: why no subscription to a device can get the latest such one.
    """

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    notifications: int = 0
    unmatched: int = 0
    unreachable: str = ""

    def add(self, result: LineResult) -> None:
        self.notifications += result.subscriptions
        if result.status is LineStatus.ACCEPTED:
            self.accepted += 1
            self.unmatched += result.subscriptions == 0
            self.unreachable = result.message or self.unreachable
        elif result.status is LineStatus.DUPLICATE:
            self.duplicate += 1
        else:
            self.rejected += 1

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, duplicate {self.duplicate}, rejected {self.rejected}, "
            f"notifications {self.notifications}, unmatched {self.unmatched}"
        )

    def hints(self, *, kept_ids: bool) -> list[str]:
        """Why less arrives than a person may expect, and what to do. `kept_ids`: with the ids of the file."""
        hints = []
        if self.accepted and not self.notifications and not self.duplicate:
            again = "without --keep-ids" if kept_ids else "again"
            hints.append(
                "No active subscription is for these events, so nothing will arrive. Subscribe to their "
                f"registration or session, then publish {again}."
            )
        if self.unreachable:
            hints.append(f"The service says of some events: {self.unreachable}.")
        if self.duplicate and kept_ids:
            hints.append(
                "Duplicates were accepted before under the same ids; nothing is sent for them again. "
                "Leave out --keep-ids to publish them as new events."
            )
        elif self.duplicate:
            hints.append(
                "Duplicates repeat an event of this input, or were accepted at an attempt whose "
                "answer was lost."
            )
        return hints
