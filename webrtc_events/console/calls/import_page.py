"""Shows the file of a call, as a colleague sent it. Nothing of it is kept."""

from flask import Blueprint, render_template, request

from webrtc_events.console.audit import record_change
from webrtc_events.console.calls.call_facts import outcome_of
from webrtc_events.console.calls.call_file import MAX_FILE_BYTES, read_call_file
from webrtc_events.console.calls.call_view import call_view
from webrtc_events.console.calls.downloads import file_name
from webrtc_events.console.calls.entry_masking import EntryMasking
from webrtc_events.console.ladder.standalone import standalone_svg
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.plain_text import printable

__all__ = ["add"]

_ENDPOINT = "imported"
# The form has some fields beside the file.
_FORM_BYTES = MAX_FILE_BYTES + 65_536
_MAX_SESSION_CHARACTERS = 512


def add(pages: Blueprint, masking: EntryMasking) -> None:
    """Adds `POST /-/import`, with the file in `file`, and `personal` if it is to be shown as it is."""

    @pages.url_value_preprocessor
    def bound(endpoint: str | None, _values: object) -> None:
        # Before anything reads the form: other pages take less.
        if endpoint == f"{pages.name}.{_ENDPOINT}":
            request.max_content_length = _FORM_BYTES

    @pages.post("/-/import", endpoint=_ENDPOINT)
    def imported() -> str:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise InvalidArgument("Choose the JSON file of a call.")
        read = read_call_file(file.read(MAX_FILE_BYTES + 1))
        is_revealed = "personal" in request.form
        session = printable(read.session, _MAX_SESSION_CHARACTERS)
        if is_revealed:
            record_change("reveal personal data of an imported call", "revealed", session=session)
        shown = read.entries if is_revealed else [masking.masked(entry) for entry in read.entries]
        view = call_view(read.entries, shown, lambda key: f"#entry-{key}")
        return render_template(
            "calls/imported.html",
            session=session,
            imported=True,
            exported_at=printable(read.exported_at, 40),
            level=read.level,
            view=view,
            outcome=outcome_of(view.items),
            revealed=is_revealed,
            svg=standalone_svg(view.ladder, session),
            svg_name=file_name(session, "svg"),
            png_name=file_name(session, "png"),
        )
