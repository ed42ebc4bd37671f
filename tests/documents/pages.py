"""The documents whose blocks a reader types, one after the other, beside a running `serve`."""

__all__ = ["PAGES"]

PAGES = (
    "quick-start.md",
    "channels.md",
    "moving-to-0.3.md",
    "tutorials/call-audit.md",
    "tutorials/push-service.md",
    "tutorials/registrations.md",
    "tutorials/softphone.md",
)
