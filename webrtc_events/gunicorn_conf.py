"""gunicorn's configuration, for the HTTP side in production.

    gunicorn -c python:webrtc_events.gunicorn_conf 'webrtc_events.app:create_app()'

Defaults for one host behind a TLS proxy; every value can be set on the command line, or in
the environment as gunicorn documents it (WEB_CONCURRENCY, GUNICORN_CMD_ARGS).
"""

import ctypes
import os
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1

# uvicorn's, with deadlines for heads and strict line ends.
worker_class = "webrtc_events.api.gunicorn_worker.ApiWorker"

bind = "127.0.0.1:9091"

# No state is shared between workers: each connects to the store by itself, so nothing is
# gained by loading the application before the fork.
preload_app = False

# Longer than the slowest answer: gunicorn replaces a worker that is silent for longer.
timeout = 30
graceful_timeout = 30
keepalive = 5

# A control socket would be one more way in.
control_socket_disable = True

# Access logs are the proxy's; errors go where the service manager collects them.
accesslog = None
errorlog = "-"


def ssl_context(_config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """For a listener that speaks TLS itself, see docs/operations/networks.md."""
    context = default()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def on_starting(server: Any) -> None:
    """Once, before any worker: what cannot work is said here, and not by each of them."""
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.core.process import prepare_process
    from webrtc_events.core.settings import Settings
    from webrtc_events.core.start_faults import exit_with_fault
    from webrtc_events.store.durability.watch import StoreWatch

    prepare_process()
    _log_as_the_service_does(server)
    with exit_with_fault():
        StoreWatch.connect(Settings.from_environ(os.environ), SystemClock()).store.close()


def on_reload(server: Any) -> None:
    """gunicorn has set its logging up anew."""
    _log_as_the_service_does(server)


def post_fork(_server: Any, worker: Any) -> None:
    """A worker ends with its gunicorn, also when that is killed.

    gunicorn's own workers look after it; uvicorn's does not, and would serve on unwatched and
    hold the port against the next gunicorn. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != worker.ppid:  # It ended before the line above.
            sys.exit(1)


def post_worker_init(_worker: Any) -> None:
    """The application is loaded, and nothing is under way yet."""
    from webrtc_events.core.process import spare_what_is_loaded

    spare_what_is_loaded()


def _log_as_the_service_does(server: Any) -> None:
    """Everything in one form, gunicorn's own lines too, unless the operator set logging up.

    `logconfig_dict` is not used for it: it would win over an operator's `--log-config`.
    """
    from webrtc_events.core.log_config import LineFormatter, RequestFields, log_to_stderr

    if server.cfg.logconfig or server.cfg.logconfig_dict or server.cfg.logconfig_json:
        return
    log_to_stderr()
    for handler in server.log.error_log.handlers:
        handler.setFormatter(LineFormatter())
        handler.addFilter(RequestFields())
