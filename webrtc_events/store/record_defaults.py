"""The fields of a subscription's record that are left out where they say what most records say.

Source: docs/decisions/0042-defaults-are-left-out.md.
"""

from collections.abc import Mapping
from typing import Final

from webrtc_events.core.model import ContractVersion

__all__ = ["RECORD_DEFAULTS", "without_defaults"]

RECORD_DEFAULTS: Final[Mapping[str, str]] = {
    "attempts": "0",
    "contract": ContractVersion.V0_2,
    "drop_before": "0",
    "drop_reason": "",
    "headers": "{}",
    "lease_until": "0",
    "max_events": "",
    "token_cut_at": "",
    "token_expires_at": "",
    "token_stop_at": "",
}
"""Field to what it means that a record lacks it. Scripts that read one know this too."""


def without_defaults(fields: Mapping[str, str | int]) -> dict[str, str | int]:
    """Those of a new record that are written. None of the others may be left out."""
    return {name: value for name, value in fields.items() if RECORD_DEFAULTS.get(name) != value}
