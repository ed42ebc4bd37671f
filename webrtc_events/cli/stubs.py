"""`webrtc-events stubs`: handlers for those who work on a contract."""

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

    Appends to the handlers' file a typed function for each operation that has none yet. It
    answers 501 until it is written. What is there already stays as it is.

    With --check and without SPEC, all contracts that ship are looked at. Exits with 1 if
    contract and handlers disagree. The files are read and not imported.

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
    for each in drift:
        click.echo(each)
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
