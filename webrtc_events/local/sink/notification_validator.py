"""The validators of the forms that a sink takes, loaded when they are first needed."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webrtc_events.local.sink.second_validator import SecondValidator

__all__ = ["NotificationValidator"]

# No notification of a client has it unescaped.
_OF_OPERATORS: Final = b'"type":"org.webrtc-events.operator.'
# The same for what another version of the contract sends.
_OF_DEVICES: Final = b'"type":"org.camaraproject.webrtc-events-subscriptions.'


class NotificationValidator:
    """Loads at the first need: the import takes a second, and a start should not wait for it.

    `strict`: see `SecondValidator`. Where both forms are sent, give both: a notification does not say which
    contract version and which client it is for.
    """

    def __init__(self, *strict: bool) -> None:
        self._strict = strict
        self._lock = threading.Lock()
        self._validators: list[SecondValidator] = []
        self._of_operators: SecondValidator | None = None
        self._of_devices: SecondValidator | None = None

    def fault(self, headers: Iterable[tuple[str, str]], body: bytes) -> str | None:
        """None for a notification that is valid in some form; else why it is not valid in the first.

        An event for operators, or of the next contract, is by its type held to that contract.
        """
        given = list(headers)
        if _OF_OPERATORS in body:
            return self._load_for_operators().fault(given, body)
        if _OF_DEVICES in body:
            return self._load_for_devices().fault(given, body)
        faults = [validator.fault(given, body) for validator in self.load()]
        return None if None in faults else faults[0]

    def load(self) -> "list[SecondValidator]":
        with self._lock:
            if not self._validators:
                from webrtc_events.local.sink.second_validator import SecondValidator

                self._validators = [SecondValidator(strict=strict) for strict in dict.fromkeys(self._strict)]
            return self._validators

    def _load_for_operators(self) -> "SecondValidator":
        with self._lock:
            if self._of_operators is None:
                from webrtc_events.local.sink.second_validator import SecondValidator

                self._of_operators = SecondValidator.of_operator_events()
            return self._of_operators

    def _load_for_devices(self) -> "SecondValidator":
        with self._lock:
            if self._of_devices is None:
                from webrtc_events.local.sink.second_validator import SecondValidator

                self._of_devices = SecondValidator.of_device_subscriptions()
            return self._of_devices
