"""The handlers and the generated types that belong to a document."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from webrtc_events.api.binding import parameter_name
from webrtc_events.stubs.openapi_documents import Document, is_overlay, read_yaml
from webrtc_events.stubs.stubs_error import StubsError

__all__ = ["Target", "shipped_targets", "target"]

_TYPES = {
    "webrtc-events.yaml": "webrtc_events_types",
    "webrtc-events-subscriptions.yaml": "webrtc_events_subscriptions_types",
    "network-events.yaml": "network_events_types",
    "channels.yaml": "channels_types",
}
"""The module of generated types, by the document's name. There are none for other documents."""


@dataclass(frozen=True, slots=True)
class Target:
    """A document, the file with its handlers, and the module of each generated type."""

    document: Document
    module: Path
    types: Mapping[str, str] = field(repr=False)


def target(spec: Path, module: Path | None = None, *, create: bool = False) -> Target:
    """The target of the document at `spec`. `create`: its module need not exist yet.

    Raises:
        StubsError: there is no such document, or no folder for its handlers.
    """
    document = Document.read(spec)
    path = module or _handlers_folder(create=create) / f"{_module_name(spec)}.py"
    return Target(document, path, _type_names(_TYPES.get(spec.name)))


def shipped_targets() -> list[Target]:
    """The targets of all contracts that ship.

    Overlays are not contracts, and what is only sent has no handlers.
    """
    folder = Path(str(files("webrtc_events") / "spec")).resolve()
    documents = {_near(path): read_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    served = [spec for spec, found in documents.items() if not is_overlay(found) and found.get("paths")]
    return [target(spec) for spec in served]


def _module_name(spec: Path) -> str:
    """`my-api.v2.yaml` becomes `my_api_v2`."""
    return parameter_name(re.sub(r"\W+", "_", spec.stem))


def _handlers_folder(*, create: bool) -> Path:
    """The folder `handlers` here, as in a checkout; for reading, else the one of the installed package."""
    here = Path("handlers")
    if here.is_dir():
        return here
    if create:
        raise StubsError("there is no folder `handlers` here; name the file to write with --module")
    package = find_spec("webrtc_events.handlers")
    if package is None or not package.submodule_search_locations:
        raise StubsError("there are no handlers here; name their file with --module")
    return Path(package.submodule_search_locations[0])


def _type_names(module: str | None) -> dict[str, str]:
    if module is None:
        return {}
    tree = ast.parse((files("webrtc_events.contract") / f"{module}.py").read_text("utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    names += [
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    return dict.fromkeys(names, f"webrtc_events.contract.{module}")


def _near(path: Path) -> Path:
    """The path relative to here, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
