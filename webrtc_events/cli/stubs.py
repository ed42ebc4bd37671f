"""`webrtc-events stubs`: writes handler stubs for authors of contracts, and finds drift."""

import sys
from pathlib import Path

import click

__all__ = ["stubs"]


@click.command()
@click.argument("spec", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; list where contract and handlers disagree.")
@click.option(
    "--module",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file with the handlers.  [default: in handlers/, with the name of SPEC in snake case]",
)
def stubs(spec: Path | None, check: bool, module: Path | None) -> None:
    """Write handler stubs for the operations of SPEC, an OpenAPI document.

    Appends a typed function to the handlers' file for each operation that has none. The function
    answers 501 until you write it. The rest of the file stays as it is.

    --check without SPEC compares all contracts that ship. Exits with 1 if contract and handlers
    disagree. The command reads the files and does not import them.

    \b
    Examples:
      webrtc-events stubs spec/network-events.yaml
      webrtc-events stubs my-api.yaml --module src/my_handlers.py
      webrtc-events stubs --check
    """
    if spec is None and not check:
        raise click.UsageError("Name the document to write stubs for.")
    if spec is None and module is not None:
        raise click.UsageError("Name the document whose handlers are in --module.")
    from webrtc_events.stubs import StubsError

    try:
        if spec is None or check:
            _check_stubs(spec, module)
        else:
            _write_stubs(spec, module)
    except StubsError as error:
        raise click.ClickException(str(error)) from error


def _check_stubs(spec: Path | None, module: Path | None) -> None:
    from webrtc_events.stubs import find_drift, shipped_targets, target

    shipped = shipped_targets()
    targets = shipped if spec is None else [target(spec, module)]
    drift = find_drift(targets, shipped)
    for disagreement in drift:
        click.echo(disagreement)
    if drift:
        sys.exit(1)
    for checked in targets:
        count = len(checked.document.operations)
        click.echo(f"{checked.document.path}: {count} operations agree with {checked.module}")


def _write_stubs(spec: Path, module: Path | None) -> None:
    from webrtc_events.stubs import target, write_stubs

    goal = target(spec, module, create=True)
    written = write_stubs(goal)
    for stub in written:
        click.echo(stub)
    if not written:
        click.echo(f"{goal.module} has a function for every operation of {spec}")
