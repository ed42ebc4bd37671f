"""Handler stubs for the operations of an OpenAPI document, and the drift between the two.

targets       which handlers and which generated types belong to a document
documents     the document: its operations, and what their handlers are called with
annotations   a schema as a type annotation
modules       a handlers module, read and never imported
drift         where contract and handlers disagree
edits         source text with an import or an exported name more
writing       the stubs, appended to the module

Modules are read by their syntax tree. Importing them would run them, would need whatever they
import, and could not name the line of what is wrong.
"""

from webrtc_events.stubs.drift import Drift, find_drift
from webrtc_events.stubs.errors import StubsError
from webrtc_events.stubs.targets import Target, shipped_targets, target
from webrtc_events.stubs.writing import Stub, write_stubs

__all__ = [
    "Drift",
    "Stub",
    "StubsError",
    "Target",
    "find_drift",
    "shipped_targets",
    "target",
    "write_stubs",
]
