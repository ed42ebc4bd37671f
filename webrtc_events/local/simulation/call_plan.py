"""A call to compose: who calls whom, how it ends, how long its parts take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from webrtc_events.local.simulation.form_fields import FormFields, Limits

__all__ = ["ADDRESS", "RINGING", "SEED", "TALK", "CallPlan", "Outcome", "Party"]

# Source: network-events.yaml, NetworkAddress.
ADDRESS = re.compile(r"(tel:\+[0-9]{5,15}|sip:[A-Za-z0-9_.!%+\-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})")
_ADDRESS_MUST = "must be a tel: number, as tel:+12025550143, or a sip: address, as sip:bob@example.com"
# What a person reads on a screen; control characters would not be shown.
_NAME = re.compile(r"[^\x00-\x1f\x7f]{0,100}")
_NAME_MUST = "must have at most 100 characters, all printable"

RINGING = Limits(0, 300, "s")
TALK = Limits(0, 86_400, "s")
SEED = Limits(0, 2**31 - 1)


class Outcome(StrEnum):
    """How a call ends. Only an answered one has a time to talk."""

    ANSWERED = "answered"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    NOT_REACHABLE = "not-reachable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """`address` is a tel: number or a sip: address. Without a `name` the events have none."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        if not ADDRESS.fullmatch(self.address):
            raise ValueError(f"the address {_ADDRESS_MUST}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name {_NAME_MUST}")


_ALICE = Party(address="tel:+12025550143", name="Alice Meyer")
_BOB = Party(address="tel:+12025550178", name="Bob Okafor")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """What `compose` makes a call of. The same plan is the same call, to the last byte.

    `ringing_s` and `talk_s` are seconds: from the alert to what ends it, and from the answer to the hang-up.
    A busy, unreachable or failed call does not ring. `hold`: the middle third of an answered call is spent
    on hold. `sdp`: the events carry session descriptions. `seed` chooses identifiers, ports and small delays.

    Raises:
        ValueError: a value is out of its bounds, which are constants of this module.
    """

    originator: Party = _ALICE
    receiver: Party = _BOB
    outcome: Outcome = Outcome.ANSWERED
    ringing_s: float = 5.0
    talk_s: float = 30.0
    hold: bool = False
    sdp: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        RINGING.check("ringing_s", self.ringing_s)
        TALK.check("talk_s", self.talk_s)
        SEED.check("seed", self.seed)

    @classmethod
    def of(cls, fields: FormFields) -> "CallPlan":
        """Reads the form's fields `originator_address`, `originator_name`, `receiver_address`,
        `receiver_name`, `outcome`, `ringing_s`, `talk_s`, `hold`, `sdp` and `seed`.

        What is empty or absent has the default. A party has no name if its field is empty, or if it is absent
        and the address is another one.
        """
        return cls(
            originator=_party(fields, "originator", _ALICE),
            receiver=_party(fields, "receiver", _BOB),
            outcome=fields.choice("outcome", Outcome.ANSWERED),
            ringing_s=fields.number("ringing_s", 5.0, RINGING),
            talk_s=fields.number("talk_s", 30.0, TALK),
            hold=fields.flag("hold", default=False),
            sdp=fields.flag("sdp", default=True),
            seed=fields.whole("seed", 1, SEED),
        )

    def as_form(self) -> Mapping[str, str]:
        """The inverse of `of`."""
        return {
            "originator_address": self.originator.address,
            "originator_name": self.originator.name,
            "receiver_address": self.receiver.address,
            "receiver_name": self.receiver.name,
            "outcome": self.outcome,
            "ringing_s": f"{self.ringing_s:g}",
            "talk_s": f"{self.talk_s:g}",
            "hold": "on" if self.hold else "off",
            "sdp": "on" if self.sdp else "off",
            "seed": str(self.seed),
        }


def _party(fields: FormFields, role: str, default: Party) -> Party:
    address = fields.text(f"{role}_address", default.address, pattern=ADDRESS, must=_ADDRESS_MUST)
    field = f"{role}_name"
    default_name = default.name if address == default.address and field not in fields else ""
    return Party(address=address, name=fields.text(field, default_name, pattern=_NAME, must=_NAME_MUST))
