"""What is installed with the service may be used with it: each dependency's licence is one that we know."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

# SPDX identifiers; where packages write others, what those mean.
ALLOWED = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
MEANT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def test_every_dependency_has_a_licence_that_we_may_use() -> None:
    found = {
        package.name: _licence(package)
        for package in _installed("webrtc-events", ("console", "local", "otel"))
    }
    assert len(found) > 30
    refused = {name: licence for name, licence in found.items() if not _allowed(licence)}
    assert refused == {}


def test_every_dependency_of_the_client_library_has_one_too() -> None:
    found = {package.name: _licence(package) for package in _installed("webrtc-events-client", ("oauth",))}
    assert len(found) > 5
    refused = {name: licence for name, licence in found.items() if not _allowed(licence)}
    assert refused == {}


def test_a_licence_that_we_may_not_use_is_noticed() -> None:
    assert _allowed("LGPL-2.1-only OR MIT")
    assert not _allowed("LGPL-2.1-only")
    assert not _allowed("MIT AND GPL-3.0-only")
    assert not _allowed("")


def _installed(
    name: str, extras: Sequence[str], seen: set[tuple[str, Sequence[str]]] | None = None
) -> Iterator[Distribution]:
    """The distribution, and all that it requires here, each once for its extras."""
    seen = set() if seen is None else seen
    try:
        package = distribution(name)
    except PackageNotFoundError:
        # Required on other systems, or by an extra of an extra that nobody asked for.
        return
    if (package.name, extras) in seen:
        return
    seen.add((package.name, extras))
    yield package
    for requirement in map(Requirement, package.requires or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield from _installed(requirement.name, tuple(sorted(requirement.extras)), seen)


def _licence(package: Distribution) -> str:
    """As an SPDX expression: what the package says, or what its classifiers mean."""

    def said_as(field: str) -> list[str]:
        return package.metadata.get_all(field) or []

    for expression in said_as("License-Expression"):
        return expression
    said = "".join(said_as("License")[:1]).strip()
    classified = [
        text.rpartition(" :: ")[2] for text in said_as("Classifier") if text.startswith("License ::")
    ]
    return next(
        (MEANT.get(name, name) for name in (said, *classified) if _allowed(MEANT.get(name, name))), said
    )


def _allowed(expression: str) -> bool:
    """Whether one alternative of the expression consists of licences that we know."""
    return any(
        {part.strip(" ()") for part in re.split(r"\bAND\b", alternative)} <= ALLOWED
        for alternative in re.split(r"\bOR\b", expression)
    )
