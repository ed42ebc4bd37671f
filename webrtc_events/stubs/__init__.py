"""Handler stubs for the operations of an OpenAPI document, and the drift between the two.

targets            the handlers and the generated types that belong to a document
openapi_documents  a document: its operations, and the arguments of their handlers
annotations        a schema as a type annotation
modules            a handlers module, read and never imported
drift              where contract and handlers disagree
edits              source text with another import or exported name
writing            the stubs, appended to the module

Modules are read by their syntax tree. An import would run them, would need whatever they import,
and could not name the line of a fault.
"""

from webrtc_events.stubs.drift import Drift, find_drift
from webrtc_events.stubs.stubs_error import StubsError
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
