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
# Longer than what is in front keeps an idle connection: else it may begin a POST in one that is being closed.
# nginx, as an ingress too, and load balancers of clouds keep one for 60 s by default, and send no POST twice.
keepalive = 75

# A control socket would be one more way in.
control_socket_disable = True

# Access logs are the proxy's; errors go where the service manager collects them.
accesslog = None
errorlog = "-"
# Everything in one form, gunicorn's own lines too.
logger_class = "webrtc_events.core.gunicorn_log.ServiceLog"


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
    from webrtc_events.telemetry.gunicorn_group import open_group
    from webrtc_events.telemetry.trace_start import check_tracing

    prepare_process()
    with exit_with_fault():
        settings = Settings.from_environ(os.environ)
        check_tracing(settings)
        StoreWatch.connect(settings, SystemClock()).store.close()
        open_group(server, settings)


def pre_fork(_server: Any, worker: Any) -> None:
    """In the parent, before it forks."""
    from webrtc_events.telemetry.gunicorn_group import forking

    forking(worker)


def child_exit(_server: Any, worker: Any) -> None:
    """In the parent, after the worker's end."""
    from webrtc_events.telemetry.gunicorn_group import reaped

    reaped(worker)


def post_fork(_server: Any, worker: Any) -> None:
    """A worker ends with its gunicorn, also when that is killed.

    gunicorn's own workers look after it; uvicorn's does not, and would serve on unwatched and
    hold the port against the next gunicorn. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != worker.ppid:  # It ended before the line above.
            sys.exit(1)
    from webrtc_events.telemetry.gunicorn_group import forked

    forked(worker)


def post_worker_init(_worker: Any) -> None:
    """The application is loaded, and nothing is under way yet."""
    from webrtc_events.core.process import spare_what_is_loaded

    spare_what_is_loaded()
