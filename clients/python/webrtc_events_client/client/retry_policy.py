"""When a failed call is made again, and after how long. Pure."""

from dataclasses import dataclass

from webrtc_events_client.client.errors import ClientError

__all__ = ["NO_RETRIES", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The delay before attempt n + 1 is `base_s` doubled n - 1 times, at most `max_delay_s`, less up to half
    of it by chance.

    A Retry-After is waited for, and then a part of `base_s`, so that many clients do not come back at once.
    One of more than `max_delay_s` is not: the call fails at once, and the exception has `retry_after_s`. No
    delay begins that would end later than `max_elapsed_s` after the call began.
    """

    max_attempts: int = 4
    base_s: float = 0.5
    max_delay_s: float = 30.0
    max_elapsed_s: float = 120.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.base_s < 0 or self.max_delay_s < 0 or self.max_elapsed_s < 0:
            raise ValueError("at least one attempt, and no negative times")

    def delay_s(
        self, error: ClientError, *, repeatable: bool, attempt: int, elapsed_s: float, random: float
    ) -> float | None:
        """Seconds to wait; None: do not try again.

        Args:
            error: what became of the attempt.
            repeatable: carried out twice, the call is as carried out once.
            attempt: the number of the attempt, from 1.
            elapsed_s: since the call began.
            random: from 0 to below 1.
        """
        if attempt >= self.max_attempts or not error.transient or (error.uncertain and not repeatable):
            return None
        # 2 ** 60 already is more than any delay, and no overflow.
        delay = min(self.max_delay_s, self.base_s * 2.0 ** min(attempt - 1, 60)) * (1 - random / 2)
        if error.retry_after_s is not None:
            if error.retry_after_s > self.max_delay_s:
                return None
            delay = max(delay, error.retry_after_s + self.base_s * random)
        return delay if elapsed_s + delay <= self.max_elapsed_s else None


NO_RETRIES = RetryPolicy(max_attempts=1)
