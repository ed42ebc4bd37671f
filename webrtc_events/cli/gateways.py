"""`webrtc-events gateway`: adapters beside WebRTC gateways, and what waits in their queues."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.extras import needs_extra
from webrtc_events.cli.gateway_queues import queue_option, requeue, status

if TYPE_CHECKING:
    from webrtc_events.core.setting_values import HostPort
    from webrtc_events.gateways.adapter import AdapterOptions
    from webrtc_events.gateways.ownership import Ownership

__all__ = ["adapter_options", "gateway", "gateway_options", "ownership_of", "ownership_options"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_MIB: Final = 1 << 20


@click.group()
def gateway() -> None:
    """Adapters: what a WebRTC gateway does becomes events of the service.

    An adapter is a process beside the gateway. It keeps what the gateway says in a queue on disk before it
    answers, and publishes it to the service, in order. While the service is away, the queue waits. An adapter
    that is killed loses nothing and doubles nothing: start it again with the same --queue.

    \b
    Examples:
      webrtc-events gateway janus --help
      webrtc-events gateway status --queue /var/lib/webrtc-events/janus.queue
    """


_ADAPTER_OPTIONS: Final = (
    queue_option("The file of the queue, on a local disk. It is made if it is not there."),
    click.option("--service", required=True, envvar="GATEWAY_SERVICE", show_envvar=True, metavar="URL",
                 help="The API root of the service; /network/v0 follows it."),
    click.option("--issuer", envvar="GATEWAY_ISSUER", show_envvar=True, metavar="URL",
                 help="The issuer of access tokens; its discovery document names the token endpoint."),
    click.option("--token-url", envvar="GATEWAY_TOKEN_URL", show_envvar=True, metavar="URL",
                 help="The token endpoint, in place of --issuer."),
    click.option("--client-id", default="gateway", envvar="GATEWAY_CLIENT_ID", show_envvar=True,
                 help="The adapter's client id at the issuer. It needs the scope webrtc-events:network."),
    click.option("--client-secret-file", type=_FILE, envvar="GATEWAY_CLIENT_SECRET_FILE", show_envvar=True,
                 help="A file with the client's secret.  [default: no secret]"),
    click.option("--ca-file", type=_FILE, envvar="GATEWAY_CA_FILE", show_envvar=True,
                 help="CAs of the service and of the issuer, in PEM.  [default: the usual ones]"),
    click.option("--queue-mib", type=click.IntRange(min=1), default=1024, envvar="GATEWAY_QUEUE_MIB",
                 show_envvar=True, help="How much may wait; above it, the gateway is refused (MiB)."),
    click.option("--queue-hours", type=click.FloatRange(min=0.1), default=24.0, envvar="GATEWAY_QUEUE_HOURS",
                 show_envvar=True, help="What has waited for longer is rejected (h)."),
    click.option("--metrics-address", envvar="GATEWAY_METRICS_ADDRESS", show_envvar=True, metavar="HOST:PORT",
                 help="Where Prometheus scrapes the adapter, at /metrics.  [default: nowhere]"),
)  # fmt: skip


def gateway_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all adapters have; `adapter_options` reads them."""
    for option in reversed(_ADAPTER_OPTIONS):
        command = option(command)
    return command


def adapter_options(adapter: str, given: dict[str, Any]) -> "AdapterOptions":
    """Of the options of `gateway_options`, which it takes out of `given`.

    Raises:
        click.UsageError: they do not fit together, or a file cannot be read.
    """
    from webrtc_events.gateways.adapter import AdapterOptions
    from webrtc_events.gateways.journal import JournalLimits
    from webrtc_events.gateways.service_client import Access

    issuer, token_url = given.pop("issuer"), given.pop("token_url")
    secret_file, metrics = given.pop("client_secret_file"), given.pop("metrics_address")
    if (issuer is None) == (token_url is None):
        raise click.UsageError("name one of --issuer and --token-url: where access tokens come from")
    for option, url in (("--service", given["service"]), ("--issuer", issuer), ("--token-url", token_url)):
        if url is not None and (fault := _fault_of_url(url)) is not None:
            raise click.BadParameter(fault, param_hint=option)
    if given["ca_file"] is not None and not given["ca_file"].is_file():
        raise click.BadParameter(f"{given['ca_file']}: there is no such file", param_hint="--ca-file")
    return AdapterOptions(
        adapter=adapter,
        queue=given.pop("queue"),
        service=given.pop("service"),
        access=Access(
            issuer, token_url, given.pop("client_id"), _secret("--client-secret-file", secret_file)
        ),
        ca_file=given.pop("ca_file"),
        max_age_h=given.pop("queue_hours"),
        metrics=None if metrics is None else _address(metrics, "--metrics-address"),
        limits=JournalLimits(max_bytes=given.pop("queue_mib") * _MIB),
    )


def _fault_of_url(url: str) -> str | None:
    """What it is not, without a word of it: it may hold a secret."""
    from urllib.parse import urlsplit

    if not url.startswith(("http://", "https://")):
        return "must start with http:// or https://"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must name a host, and a port that is a number: https://events.example.com:8443"
    return None if host else "must name a host: https://events.example.com"


_OWNERSHIP_OPTIONS: Final = (
    click.option("--registrations", type=_FILE, envvar="GATEWAY_REGISTRATIONS", show_envvar=True,
                 help="A TOML file of rules: to which client a registration belongs."),
    click.option("--owner", envvar="GATEWAY_OWNER", show_envvar=True, metavar="CLIENT",
                 help="In place of --registrations: all belong to this client."),
    click.option("--grace", type=click.IntRange(min=0), default=60, envvar="GATEWAY_GRACE", show_envvar=True,
                 help="How long after the registrar's own time a registration ends (s)."),
    click.option("--domain", default="sip.invalid", envvar="GATEWAY_DOMAIN", show_envvar=True,
                 help="Stands in addresses for hosts that the contract does not take, such as 10.0.0.1."),
)  # fmt: skip


def ownership_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of adapters whose gateway has SIP registrations; `ownership_of` reads them."""
    for option in reversed(_OWNERSHIP_OPTIONS):
        command = option(command)
    return command


def ownership_of(given: dict[str, Any]) -> "tuple[Ownership, int, str]":
    """The rules, the grace (s) and the domain; it takes them out of `given`.

    Raises:
        click.UsageError: they do not fit together, or the file is not right.
    """
    from webrtc_events.gateways.ownership import Ownership, OwnershipError
    from webrtc_events.gateways.sip_addresses import is_domain

    file, owner = given.pop("registrations"), given.pop("owner")
    domain: str = given.pop("domain")
    if (file is None) == (owner is None):
        raise click.UsageError("name one of --registrations and --owner: whose the registrations are")
    if not is_domain(domain):
        raise click.BadParameter("must be a name such as sip.example.com", param_hint="--domain")
    try:
        return Ownership.read(file) if file else Ownership.of_one(owner), given.pop("grace"), domain
    except OwnershipError as error:
        raise click.BadParameter(str(error), param_hint="--registrations") from None


def _secret(option: str, file: Path | None) -> str | None:
    from webrtc_events.core.setting_files import read_secret

    try:
        return None if file is None else read_secret(file)
    except ValueError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint=option) from None


def _address(text: str, option: str = "--listen") -> "HostPort":
    from webrtc_events.core.setting_values import host_port

    try:
        return host_port(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _start(process: str) -> None:
    """The log, as the settings WEBRTC_EVENTS_LOG_* want it, and what keeps people out of it."""
    import os

    from webrtc_events.core.log_masking import Masking, mask_logs
    from webrtc_events.core.log_start import start_log
    from webrtc_events.core.process import refuse_core_dumps

    start_log(os.environ, process)
    refuse_core_dumps()
    # A pseudonym is the same until the adapter's end.
    mask_logs(Masking(os.urandom(32), show=False))


def _notify_service_manager(state: str) -> None:
    """Tells a service manager that waits for the adapter."""
    import logging

    from gunicorn.systemd import sd_notify

    sd_notify(state, logging.getLogger("webrtc_events"))


@gateway.command()
@gateway_options
@ownership_options
@click.option(
    "--listen",
    default="127.0.0.1:8090",
    envvar="GATEWAY_LISTEN",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Where Janus posts its events.",
)
@click.option(
    "--user",
    default="janus",
    envvar="GATEWAY_USER",
    show_envvar=True,
    help="The name that Janus posts with: backend_user.",
)
@click.option(
    "--password-file",
    type=_FILE,
    envvar="GATEWAY_PASSWORD_FILE",
    show_envvar=True,
    help="A file with the password that Janus posts with: backend_pwd.  [default: anybody may post]",
)
@click.option(
    "--source",
    envvar="GATEWAY_SOURCE",
    show_envvar=True,
    metavar="URI",
    help="`source` of the events.  [default: /janus/ and the server_name of the Janus]",
)
@click.option(
    "--publish",
    type=click.Choice(["all", "calls", "registrations"]),
    default="all",
    envvar="GATEWAY_PUBLISH",
    show_envvar=True,
    help="What is published: where another adapter is at the registrar, one of both says it.",
)
@needs_extra("gateways")
@handle_cli_errors
def janus(
    listen: str, user: str, password_file: Path | None, source: str | None, publish: str, **given: Any
) -> None:
    """Publish what a Janus does: calls and registrations of its SIP plugin.

    Janus posts its events to the adapter, by its sampleevh. The adapter keeps them in its queue before it
    answers. Whose a registration is, the rules of --registrations say: docs/gateways.md has them.

    \b
    In janus.jcfg, with a name for each Janus:
      general: { server_name = "janus-1" }
      events:  { broadcast = true }
    In janus.eventhandler.sampleevh.jcfg:
      general: {
        enabled = true
        events = "sessions,handles,plugins,core"
        grouping = true
        json = "compact"
        backend = "http://127.0.0.1:8090/"
        backend_user = "janus"
        backend_pwd = "..."              # what --password-file holds
        max_retransmissions = 12         # then it waits for an adapter for 6 minutes
        retransmissions_backoff = 100
      }
    \b
    Beside a `webrtc-events serve`, all registrations being of the client `softphone`:
      webrtc-events gateway janus --queue /tmp/janus.queue --owner softphone \\
        --service http://localhost:9091 --issuer http://localhost:9091/issuer
    In production:
      webrtc-events gateway janus --queue /var/lib/webrtc-events/janus.queue \\
        --registrations /etc/webrtc-events/registrations.toml --password-file /etc/webrtc-events/janus \\
        --service https://events.example.com --issuer https://login.example.com \\
        --client-id gateway-1 --client-secret-file /etc/webrtc-events/gateway-1
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.gateways.adapter import run_adapter
    from webrtc_events.gateways.janus.listener import ListenerOptions
    from webrtc_events.gateways.janus.receiver import Published, janus_receiver

    _start("gateway-janus")
    ownership, grace_s, domain = ownership_of(given)
    listener = ListenerOptions(_address(listen), user, _secret("--password-file", password_file))
    clock = SystemClock()
    make = janus_receiver(listener, ownership, grace_s, domain, source, Published(publish), clock)
    run_adapter(adapter_options("janus", given), make, clock, _notify_service_manager)


@gateway.command()
@gateway_options
@ownership_options
@click.option(
    "--evapi",
    default="127.0.0.1:8448",
    envvar="GATEWAY_EVAPI",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Where Kamailio listens for the adapter: WEBRTC_EVENTS_LISTEN.",
)
@click.option(
    "--lost-after",
    type=click.IntRange(min=5),
    default=300,
    envvar="GATEWAY_LOST_AFTER",
    show_envvar=True,
    help="Ends open calls when Kamailio has been away for this long (s).",
)
@click.option(
    "--source",
    default="/kamailio",
    envvar="GATEWAY_SOURCE",
    show_envvar=True,
    metavar="URI",
    help="`source` of the events: another one for each Kamailio.",
)
@needs_extra("gateways")
@handle_cli_errors
def kamailio(evapi: str, lost_after: int, source: str, **given: Any) -> None:
    """Publish what a Kamailio does: calls through it, and what its registrar knows.

    Kamailio keeps what happens in its memory until the adapter has it on disk, and waits for the adapter
    nowhere. deploy/kamailio/webrtc-events.cfg goes into the config of Kamailio 5.6, and says where it is
    called; kamailio-minimal.cfg beside it is a whole config. Whose a registration is, the rules of
    --registrations say: docs/gateways.md has them.

    Run the adapter on Kamailio's machine: evapi knows no password and no encryption.

    \b
    Beside a `webrtc-events serve`, all registrations being of the client `softphone`:
      webrtc-events gateway kamailio --queue /tmp/kamailio.queue --owner softphone \\
        --service http://localhost:9091 --issuer http://localhost:9091/issuer
    In production:
      webrtc-events gateway kamailio --queue /var/lib/webrtc-events/kamailio.queue \\
        --registrations /etc/webrtc-events/registrations.toml --source /kamailio/edge-1 \\
        --service https://events.example.com --issuer https://login.example.com \\
        --client-id gateway-1 --client-secret-file /etc/webrtc-events/gateway-1
    """
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.gateways.adapter import run_adapter
    from webrtc_events.gateways.kamailio.receiver import KamailioOptions, kamailio_receiver

    _start("gateway-kamailio")
    ownership, grace_s, domain = ownership_of(given)
    options = KamailioOptions(_address(evapi, "--evapi"), source, lost_after)
    clock = SystemClock()
    make = kamailio_receiver(options, ownership, grace_s, domain, clock)
    run_adapter(adapter_options("kamailio", given), make, clock, _notify_service_manager)


gateway.add_command(status)
gateway.add_command(requeue)
