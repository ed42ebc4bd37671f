"""gunicorn's logger, whose lines look like those of the service."""

import os
from typing import Any

from gunicorn.glogging import Logger

from webrtc_events.core.json_lines import JsonFormatter
from webrtc_events.core.log_config import RequestFields, shared_formatter
from webrtc_events.core.log_start import start_log

__all__ = ["ServiceLog"]


class ServiceLog(Logger):  # type: ignore[misc]
    """For gunicorn's option `logger_class`. Where the operator set logging up, it changes nothing.

    `logconfig_dict` is not used for it: it would win over an operator's `--log-config`.
    """

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return
        if shared_formatter() is None:
            # The console has begun its own.
            start_log(os.environ, "api")
        formatter = shared_formatter()
        handlers = list(self.error_log.handlers)
        if isinstance(formatter, JsonFormatter):
            # A line for people has the form that gunicorn's own options give it.
            handlers += self.access_log.handlers
        for handler in handlers:
            handler.setFormatter(formatter)
            handler.addFilter(RequestFields())
