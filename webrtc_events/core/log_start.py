"""Starts the log of a process, before its settings are known to be right, in the format that they name."""

import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType

from webrtc_events.core.json_lines import JsonFormatter
from webrtc_events.core.log_config import LogOptions, log_to_stderr, shared_formatter
from webrtc_events.core.settings import given_texts, valid_text

__all__ = ["logs_json", "say", "start_log"]

log = logging.getLogger("webrtc_events")


def start_log(environ: Mapping[str, str], process: str) -> None:
    """`process`: what it does, such as worker. A setting of the log that is not valid counts as not given."""
    given, _ = given_texts(environ)
    options = LogOptions(process, valid_text(given, "log_format") == "json", valid_text(given, "log_level"))
    log_to_stderr(options)
    if options.json:
        # What else Python itself would write in several lines.
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_of_thread


def logs_json() -> bool:
    """Whether programs read what this process writes to standard error."""
    return isinstance(shared_formatter(), JsonFormatter)


def say(text: str, level: int = logging.INFO) -> None:
    """Tells the person who started the process; where programs read along, as a record of the log."""
    if logs_json():
        log.log(level, "%s", text)
    else:
        print(text, file=sys.stderr, flush=True)


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("the process ends by %s", kind.__name__, exc_info=(kind, error, traceback))


def _log_of_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else "unknown"
    error = (args.exc_type, args.exc_value, args.exc_traceback)
    log.critical("the thread %s ends by %s", name, args.exc_type.__name__, exc_info=error)  # type: ignore[arg-type]
