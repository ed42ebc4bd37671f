"""Which certificate this service shows to which sinks, as the setting names them. Files are not read here."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CertificateFiles", "parse_client_certificates"]

_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[?[0-9a-f:]+\]?")


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of a certificate with its chain, and of its private key, which may be one file.

    `pattern`: a host, `*.` and a domain for all names below it, or '' for every host without one.
    """

    pattern: str
    certificate: Path
    key: Path

    def __str__(self) -> str:
        return str(self.certificate)


def parse_client_certificates(raw: str) -> tuple[CertificateFiles, ...]:
    """`certificate[:key]` for all sinks, `host=certificate[:key]` for some, separated by commas.

    Raises:
        ValueError: says which part is wrong. Whether the files hold what they should is not seen.
    """
    found: list[CertificateFiles] = []
    for part in filter(None, (part.strip() for part in raw.split(","))):
        host, equals, files = part.rpartition("=")
        pattern = host.strip().lower().removesuffix(".")
        if equals and not _PATTERN.fullmatch(pattern):
            raise ValueError(f"names {host!r}, which is no host such as sink.example or *.example")
        if pattern in (known.pattern for known in found):
            raise ValueError(f"names {host!r} twice" if pattern else "names two certificates for all hosts")
        certificate, _, key = files.strip().partition(":")
        for name in filter(None, (certificate, key)):
            if not Path(name).is_file():
                raise ValueError(f"names {name!r}, and there is no such file")
        if not certificate:
            raise ValueError(f"must be host=certificate:key, not {part!r}")
        pattern = pattern.removeprefix("[").removesuffix("]")
        found.append(CertificateFiles(pattern, Path(certificate), Path(key or certificate)))
    return tuple(found)
