"""What the commands of operators have in common: the store that the settings name, and who runs them."""

import logging
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webrtc_events.cli.options import given_environ, read_settings
from webrtc_events.core.change_log import change_fields

if TYPE_CHECKING:
    from webrtc_events.core.settings import Settings
    from webrtc_events.store.store import Store

__all__ = ["opened_store", "record_change", "who"]

log = logging.getLogger(__name__)

SYSTEM_LOG: Final = Path("/dev/log")
"""Where journald and syslog listen (syslog(3))."""


@contextmanager
def opened_store() -> "Iterator[tuple[Settings, Store]]":
    """
    Raises:
        SettingsError: the environment.
        Unavailable, PartitionMismatch: see `Store.connect`.
    """
    from webrtc_events.store.store import Store

    # What it says of a store that is away is said once, as the command's error.
    logging.getLogger("webrtc_events.store.redis.topology").addHandler(logging.NullHandler())
    settings = read_settings()
    store = Store.connect(settings)
    try:
        yield settings, store
    finally:
        store.close()


def who() -> str:
    """The user of this machine who runs the command; of root behind sudo, the one who called it."""
    number = os.getuid()
    if number == 0 and (caller := os.environ.get("SUDO_USER")):
        return caller
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        # A container may run under a number that has no name.
        return f"uid-{number}"


def record_change(action: str, result: str, **subject: str) -> None:
    """Logs a change and who made it: on the standard error, and in the system's log if there is one."""
    from logging.handlers import SysLogHandler

    from webrtc_events.core.log_start import start_log

    start_log(given_environ(), "command")
    fields = change_fields(who(), action, result, **subject)
    log.info("change %s", fields)
    if SYSTEM_LOG.exists():
        try:
            handler = SysLogHandler(str(SYSTEM_LOG), facility=SysLogHandler.LOG_AUTH)
        except OSError as error:
            log.warning("the system's log is not to be had: %s", error)
            return
        handler.ident = f"webrtc-events[{os.getpid()}]: "
        handler.handle(logging.LogRecord(__name__, logging.INFO, "", 0, f"change {fields}", None, None))
        handler.close()
