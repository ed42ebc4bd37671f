"""The addresses that the sink's page names."""

from dataclasses import dataclass

__all__ = ["SinkPlaces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPlaces:
    """`untrusted` is the base URL, without a final slash, of the sink with a certificate that nobody trusts.

    `home` is the address of a start page, if there is one.
    """

    untrusted: str
    home: str | None = None
