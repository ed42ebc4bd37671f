"""Reads the fields of a form, and says of each one that is wrong what is wrong with it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from webrtc_events.local.local_error import LocalError

__all__ = ["FormErrors", "FormFields", "Limits"]

_Value = TypeVar("_Value")
_Member = TypeVar("_Member", bound=StrEnum)
_TRUE = frozenset({"on", "true", "yes", "1"})
_FALSE = frozenset({"", "off", "false", "no", "0"})


class FormErrors(LocalError):
    """`fields` has a message for each field that is wrong, by its name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        super().__init__("; ".join(f"{name}: {message}" for name, message in self.fields.items()))


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the greatest value of a number, both allowed. `unit` is written behind them."""

    least: float
    greatest: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.least:,g} to {self.greatest:,.0f}{f' {self.unit}' if self.unit else ''}"

    def check(self, name: str, value: float) -> None:
        """
        Raises:
            ValueError: `value` is out of bounds, or no number.
        """
        if not self.least <= value <= self.greatest:
            raise ValueError(f"{name} must be {self}")


class FormFields:
    """Each method reads a field; an empty or absent one has the default. Call `close` after the last.

    A field that is wrong gives its default meanwhile, so that all errors are found at once.
    """

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = form
        self._errors: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the form has the field, be it empty."""
        return name in self._form

    def close(self) -> None:
        """
        Raises:
            FormErrors: a field was wrong.
        """
        if self._errors:
            raise FormErrors(self._errors)

    def fault(self, name: str, message: str) -> None:
        """Notes what is wrong with a field; the first message stays."""
        self._errors.setdefault(name, message)

    def text(self, name: str, default: str, *, pattern: re.Pattern[str], must: str) -> str:
        """`must` says what the pattern means: "must be …"."""

        def read(raw: str) -> str:
            if not pattern.fullmatch(raw):
                raise ValueError
            return raw

        return self._read(name, default, read, must)

    def whole(self, name: str, default: int, limits: Limits) -> int:
        def read(raw: str) -> int:
            limits.check(name, value := int(raw))
            return value

        return self._read(name, default, read, f"must be a whole number, {limits}")

    def number(
        self, name: str, default: float, limits: Limits, words: Mapping[str, float] | None = None
    ) -> float:
        """`words` stand for values beyond the limits, as `max` may."""
        named = words or {}

        def read(raw: str) -> float:
            if raw in named:
                return named[raw]
            value = float(raw)
            if not math.isfinite(value):
                raise ValueError
            limits.check(name, value)
            return value

        alternatives = "".join(f", or {word}" for word in named)
        return self._read(name, default, read, f"must be a number, {limits}{alternatives}")

    def choice(self, name: str, default: _Member) -> _Member:
        kind = type(default)
        return self._read(name, default, kind, f"must be one of {', '.join(kind)}")

    def flag(self, name: str, *, default: bool) -> bool:
        """Sent as on or off: make it a select, since a browser leaves out a checkbox that is not checked."""

        def read(raw: str) -> bool:
            if raw.lower() not in _TRUE | _FALSE:
                raise ValueError
            return raw.lower() in _TRUE

        return self._read(name, default, read, "must be on or off")

    def _read(self, name: str, default: _Value, read: Callable[[str], _Value], must: str) -> _Value:
        raw = self._form.get(name, "").strip()
        if not raw:
            return default
        try:
            return read(raw)
        except ValueError:
            self.fault(name, must)
            return default
