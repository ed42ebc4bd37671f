"""A client's certificate and key as files, which are replaced while they are in use."""

from datetime import datetime
from pathlib import Path

from tests.harness.authority import Authority


class Files:
    """A certificate and a key as files, which may be replaced."""

    def __init__(self, folder: Path, authority: Authority, name: str = "client") -> None:
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.setting = f"{self.certificate}:{self.key}"
        self._authority = authority
        self._pair = authority.client_pair(name)
        self.write()

    def rotate(self, subject: str, *, not_after: datetime | None = None) -> None:
        """To be written yet."""
        self._pair = self._authority.client_pair(subject, not_after=not_after)

    def write(self, *, certificate: bool = True, key: bool = True) -> None:
        """Each file is replaced as a whole, as most programs do it."""
        for path, pem, wanted in (
            (self.certificate, self._pair[0], certificate),
            (self.key, self._pair[1], key),
        ):
            if wanted:
                beside = path.with_suffix(".new")
                beside.write_bytes(pem)
                beside.replace(path)

    @property
    def secret(self) -> bytes:
        """Some of the key."""
        return self._pair[1].splitlines()[2]
