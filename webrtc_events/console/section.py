"""A part of the console: its pages, and its place in the navigation.

How one is built: a module has `blueprint(parts: ConsoleParts) -> Blueprint`, and `sections.py` names it. Its
templates extend `base.html`. A page that only shows something answers GET. A change is at an address for
itself: GET asks (`confirmation.ask`), POST does it, writes it down (`audit.record_change`) and redirects.
console_app.py lets a POST through only if the operator may change something and one of our pages sent it. So
each form has `<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">`, and a script sends what
`<meta name="csrf-token">` says as `X-CSRF-Token`. `ServiceError`, `abort` and bugs become a page, or
ErrorInfo for who accepts only JSON. Personal data is shown as `parts.masking.pseudonym(...)`; to reveal
it is a POST.
"""

from dataclasses import dataclass

from flask import Blueprint

__all__ = ["Section"]


@dataclass(frozen=True, slots=True)
class Section:
    """`title` is what the navigation shows, `first` the endpoint of its first page: `calls.recent`."""

    title: str
    first: str
    pages: Blueprint
