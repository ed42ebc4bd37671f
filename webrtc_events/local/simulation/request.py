"""What to simulate: which call, how many times, how fast."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from webrtc_events.local.recordings import recording_names
from webrtc_events.local.simulation.call_plan import CallPlan
from webrtc_events.local.simulation.form_fields import FormFields, Limits

__all__ = ["CALLS", "COMPOSED", "RATE", "SPEED", "SimulationRequest"]

CALLS = Limits(1, 10_000)
RATE = Limits(0.01, 500, "calls/s")
SPEED = Limits(0.1, 1000)
COMPOSED = "composed"
"""The value of the form's field `call` that means a composed one; any other names a recording."""

_AT_ONCE = "max"
# Source: network-events.yaml, NetworkRegistrationId and NetworkMediaSession.mediaSessionId.
_REGISTRATION = re.compile(r"[^\x00-\x1F\x7F/]{1,256}")
_SESSION = re.compile(r"[^\x00-\x1F\x7F]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationRequest:
    """`call` is a plan to compose, or the name of a recorded call.

    `calls` are started at `rate` calls/s. The distances between the events of each are divided by `speed`:
    1 is real time, `math.inf` sends them at once.

    `registration` is called in place of the one of the call. `session` is the mediaSessionId of a single
    call; without it each call gets a new one. The end of a registration, with which some recordings close,
    is left out where there are several calls: the subscriptions would end with the first.

    Raises:
        ValueError: a value is out of its bounds, which are constants of this module.
    """

    call: CallPlan | str
    calls: int = 1
    rate: float = 1.0
    speed: float = 1.0
    registration: str | None = None
    session: str | None = None

    def __post_init__(self) -> None:
        CALLS.check("calls", self.calls)
        RATE.check("rate", self.rate)
        if self.speed != math.inf:
            SPEED.check("speed", self.speed)
        if isinstance(self.call, str) and self.call not in recording_names():
            raise ValueError(f"no recorded call is named {self.call!r}")
        if self.session is not None and self.calls > 1:
            raise ValueError("a session is one call")

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> "SimulationRequest":
        """Reads `call` (`composed`, the default, or the name of a recording), `calls`, `rate`, `speed` (a
        number or `max`), `registration`, `session`, and the fields of `CallPlan.of`.

        What is empty or absent has the default.

        Raises:
            FormErrors: with a message for each field that is wrong.
        """
        fields = FormFields(form)
        names = (COMPOSED, *recording_names())
        must = f"must be one of {', '.join(names)}"
        pattern = re.compile("|".join(map(re.escape, names)))
        name = fields.text("call", COMPOSED, pattern=pattern, must=must)
        plan = CallPlan.of(fields)
        calls = fields.whole("calls", 1, CALLS)
        rate = fields.number("rate", 1.0, RATE)
        speed = fields.number("speed", 1.0, SPEED, {_AT_ONCE: math.inf})
        must = "must have 1 to 256 characters, no slash and no control characters"
        registration = fields.text("registration", "", pattern=_REGISTRATION, must=must)
        must = "must have 1 to 512 characters, no control characters"
        session = fields.text("session", "", pattern=_SESSION, must=must)
        if session and calls > 1:
            fields.fault("session", "must be empty where there are several calls: each gets a new session")
        fields.close()
        return cls(
            call=plan if name == COMPOSED else name,
            calls=calls,
            rate=rate,
            speed=speed,
            registration=registration or None,
            session=session or None,
        )

    def as_form(self) -> Mapping[str, str]:
        """The inverse of `from_form`, to show a request again."""
        plan = self.call if isinstance(self.call, CallPlan) else None
        return {
            "call": COMPOSED if plan else str(self.call),
            **(plan.as_form() if plan else {}),
            "calls": str(self.calls),
            "rate": f"{self.rate:g}",
            "speed": _AT_ONCE if self.speed == math.inf else f"{self.speed:g}",
            "registration": self.registration or "",
            "session": self.session or "",
        }
