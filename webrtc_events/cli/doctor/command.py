"""`webrtc-events doctor`: looks for what is wrong with this installation, and says what to do."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from webrtc_events.cli.error_handling import handle_cli_errors
from webrtc_events.cli.options import config_option, data_option, given_environ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webrtc_events.cli.doctor.findings import Area, Finding
    from webrtc_events.cli.doctor.running import Check
    from webrtc_events.core.clock import Clock

__all__ = ["doctor"]

_MAX_TOKEN = 65_536


@click.command()
@click.option(
    "--token-file",
    type=click.File("r", errors="replace"),
    help="Check the access token in this file, too; `-` reads it.",
)
@click.option(
    "--sink", metavar="URL", help="Check this sink, too, as a worker would see it; nothing is sent to it."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1, max=600),
    default=30,
    metavar="SECONDS",
    help="After this long, checks that still wait for an answer are given up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@data_option
@config_option
@handle_cli_errors
def doctor(
    token_file: IO[str] | None, sink: str | None, timeout_s: float, as_json: bool, data_dir: Path | None
) -> None:
    """Look for what is wrong with this installation: settings, store, service, issuer, sinks, machine.

    Each finding says what is wrong and what to do. The doctor changes nothing, and what it cannot
    reach does not keep it from the rest. A token is never an argument, where others could see it.

    Needs the worker's settings, in the environment or by --config. Run it where a worker runs, as its
    user: clocks, names, CAs and limits are those of this machine and this user.

    Exits with 0 if all is well, with 1 if somebody should look, with 2 if something does not work.

    \b
    Examples:
      webrtc-events doctor
      webrtc-events doctor --sink https://sink.example/inbox
      get-token | webrtc-events doctor --token-file -
      webrtc-events doctor --json | jq '.findings[] | select(.level != "ok")'
    """
    from webrtc_events.cli.doctor.findings import exit_status
    from webrtc_events.cli.doctor.running import run_checks
    from webrtc_events.cli.local_access import data_directory
    from webrtc_events.core.clock import SystemClock

    # What the parts that it uses would log is in the findings.
    logging.getLogger().addHandler(logging.NullHandler())
    token = None if token_file is None else token_file.read(_MAX_TOKEN).strip()
    clock = SystemClock()
    checks = _checks(given_environ(), token, sink, data_directory(data_dir), clock)
    findings = _printed(run_checks(checks, timeout_s, clock), as_json=as_json)
    sys.stdout.flush()
    # Whatever still hangs in a thread is not waited for.
    os._exit(exit_status(findings))


def _printed(found: "Iterator[Finding]", *, as_json: bool) -> "list[Finding]":
    """Each as it is found, or all as one document."""
    from webrtc_events.cli.doctor.report import as_document, shown
    from webrtc_events.console.overview.wording import plural

    findings: list[Finding] = []
    if as_json:
        findings += found
        click.echo(json.dumps(as_document(findings)))
        return findings
    for finding in found:
        findings.append(finding)
        for line in shown([finding]):
            click.echo(line)
    counts = as_document(findings)["counts"]
    words = [plural(counts["error"], "error"), plural(counts["warning"], "warning"), f"{counts['ok']} ok"]
    click.echo(", ".join(words))
    return findings


def _checks(
    environ: "Mapping[str, str]", token: str | None, sink: str | None, data: Path, clock: "Clock"
) -> "dict[Area, Check]":
    from webrtc_events.cli.doctor.client_key_checks import check_client_keys
    from webrtc_events.cli.doctor.findings import Area, error
    from webrtc_events.cli.doctor.issuer_checks import check_issuer
    from webrtc_events.cli.doctor.machine_checks import check_machine
    from webrtc_events.cli.doctor.service_checks import check_service
    from webrtc_events.cli.doctor.setting_checks import ISSUER, STORE, UsableSettings
    from webrtc_events.cli.doctor.sink_checks import check_operator_sink, check_sink
    from webrtc_events.cli.doctor.store_checks import check_store
    from webrtc_events.cli.doctor.token_check import check_token
    from webrtc_events.core.egress_proxy import EgressProxy

    usable = UsableSettings(environ, clock)
    checks: dict[Area, Check] = {Area.SETTINGS: usable.findings}
    settings = usable.settings
    if settings is None:
        text = "nothing else can be checked before the settings are right"
        return checks | {Area.MACHINE: lambda: [error(Area.MACHINE, text, "See the findings above.")]}
    if STORE not in usable.wrong:
        checks[Area.STORE] = lambda: check_store(settings, clock)
        checks[Area.SERVICE] = lambda: check_service(settings)
    if ISSUER not in usable.wrong:
        checks[Area.ISSUER] = lambda: check_issuer(
            settings.openid_configuration_url, clock, EgressProxy.of(settings)
        )
        if token is not None:
            checks[Area.TOKEN] = lambda: check_token(token, settings, clock)
    if settings.token_jwks_uri is not None:
        jwks_uri = settings.token_jwks_uri
        checks[Area.CLIENT_KEYS] = lambda: check_client_keys(settings, jwks_uri)
    if sink is not None:
        checks[Area.SINK] = lambda: check_sink(sink, settings, clock)
    if settings.operator_sink is not None:
        operator_sink = settings.operator_sink
        checks[Area.OPERATOR_SINK] = lambda: check_operator_sink(operator_sink, settings, clock)
    checks[Area.MACHINE] = lambda: check_machine(settings, data)
    return checks
