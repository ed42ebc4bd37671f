"""Drift: where a contract and its handlers disagree is found, and said where it is."""

import inspect
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from connexion.utils import inspect_function_arguments

from tests.stubs.documents import RENEWAL, ROOT, THINGS, extended, loaded, stubs, written
from webrtc_events.api.binding import Argument, call_faults
from webrtc_events.stubs.modules import HandlersModule, signature


def test_shipped_contracts_and_handlers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also far from the working tree, where the installed handlers are read."""
    monkeypatch.chdir(tmp_path)
    output = written("--check")
    assert "webrtc-events.yaml: " in output
    assert "network-events.yaml: " in output
    assert "errata" not in output
    for name in ("webrtc-events.yaml", "network-events.yaml"):
        assert "agree" in written("--check", str(ROOT / "spec" / name))


TAKES_ALL = "def replace_the_things_part_and_tell_everybody({}): ..."
LOCATION = "replace_the_things_part_and_tell_everybody (PUT /things/{thingId}/parts/{id})"


@pytest.mark.parametrize(
    ("parameters", "faults"),
    [
        ("u, thing_id, id_, payload", []),
        ("u, thing_id, id_, payload, caller", []),
        ("u, /, *, caller=None, id_, thing_id, payload=None", []),
        ("u, **given", []),
        ("*all, thing_id, id_, payload", []),
        ("u, thing_id, id_", ["`payload` is missing"]),
        ("u, thing_id, payload", ["`id_` is missing"]),
        ("u, thingId, id_, payload", ["`thing_id` is missing", "`thingId` is unknown"]),
        ("u, thing_id, id, payload", ["`id_` is missing", "`id` is unknown"]),
        ("u, thing_id, id_, body", ["`payload` is missing", "`body` is unknown"]),
        ("u, thing_id, id_, payload, limit=5", ["`limit` is unknown"]),
        ("thing_id, id_, payload", ["`thing_id` stands where the use case comes"]),
        ("*, thing_id, id_, payload", ["there is no first parameter for the use case"]),
        (
            "",
            ["there is no first parameter", "`thing_id` is missing", "`id_` is missing", "`payload` is"],
        ),
        ("u, thing_id, id_, payload=None, /", ["`thing_id` is passed by name"] * 1 + ["`id_`", "`payload`"]),
    ],
)
def test_wrong_parameters_are_drift(folder: Path, parameters: str, faults: list[str]) -> None:
    good = "def list_things(u): ...\ndef patch_part(u, thing_id, id_, payload=None, page_size=5): ...\n"
    (folder / "handlers" / "things.py").write_text(good + TAKES_ALL.format(parameters) + "\n")
    result = stubs("things.yaml", "--check")
    assert result.exit_code == bool(faults)
    found = result.output.splitlines()
    if faults:
        assert len(found) == len(faults)
        assert all(line.startswith(f"handlers/things.py:3: {LOCATION}: ") for line in found)
        assert all(any(fault in line for line in found) for fault in faults)


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("async def patch_part(u, thing_id, id_, payload, page_size=5): ...", 2, "`payload` needs a default"),
        ("def patch_part(u, thing_id, id_, page_size, payload=1): ...", 2, "`page_size` needs a default"),
        ("def patch_part(u, thing_id, id_, payload=1): ...", 2, "`page_size` is missing"),
        ("def patch_part(u, **k): ...\ndef helper(u): ...", 3, "helper handles no operation"),
        ("", None, "patchPart (PATCH /things/{thingId}/parts/{id}) has no handler: `patch_part` is missing"),
        ("def list_things(u, caller): ...\npatch_part = list_things", 2, "`caller` is unknown"),
    ],
)  # fmt: skip
def test_drift_is_found_where_it_is(folder: Path, source: str, line: int | None, message: str) -> None:
    good = "from x import list_things, replace_the_things_part_and_tell_everybody\n"
    (folder / "handlers" / "things.py").write_text(good + source)
    before = (folder / "handlers" / "things.py").read_bytes()
    result = stubs("things.yaml", "--check")
    assert result.exit_code == 1
    (found,) = result.output.splitlines()
    path = "handlers/things.py" if line else "things.yaml"
    line = line or 1 + next(n for n, text in enumerate(THINGS.splitlines()) if text == "    patch:")
    assert found.startswith(f"{path}:{line}: ")
    assert message in found
    assert (folder / "handlers" / "things.py").read_bytes() == before


def test_module_without_file_lacks_everything_and_is_not_written(folder: Path) -> None:
    result = stubs("things.yaml", "--check")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 3)
    assert not (folder / "handlers" / "things.py").exists()


def test_function_of_another_contract_of_the_module_is_not_extra(folder: Path) -> None:
    document = extended("webrtc-events.yaml", RENEWAL, folder)
    (folder / document).rename("renewal.yaml")
    module = "handlers/webrtc_events.py"
    written("renewal.yaml", "--module", module)
    assert "agree" in written("renewal.yaml", "--check", "--module", module)
    assert "renew_subscription handles no operation" in stubs("--check").output
    written("things.yaml", "--module", module)
    extra = stubs("things.yaml", "--check", "--module", module).output.splitlines()
    assert len(extra) == 1
    assert "renew_subscription handles no operation of things.yaml" in extra[0]


def test_module_is_read_and_not_run(folder: Path) -> None:
    (folder / "handlers" / "things.py").write_text(
        "import nothing_of_that_name\nopen('ran', 'w')\ndef list_things(u): ...\n"
    )
    stubs("things.yaml", "--check")
    written("things.yaml")
    assert not (folder / "ran").exists()


SIGNATURES = [
    "", "u", "u, a", "u, a, b", "u, b", "a", "a, b", "u, /, a, *, b=1", "u, a, /", "u, a=1, /",
    "u=1, a=2, b=3", "*u, a", "*u", "*, a, b", "**k", "u, **k", "u, a, b=1, *c, **k", "u, a, x",
    "u, b=1, *, a", "u, a, b, /",
]  # fmt: skip


def call_fails(function: Any, arguments: Sequence[Argument]) -> bool:
    """As Connexion calls it: with what is in the path always, with the rest if it is taken."""
    bound = partial(function, object())
    try:
        names, takes_all = inspect_function_arguments(bound)
        for given in (arguments, [argument for argument in arguments if argument.always]):
            bound(**{one.name: 0 for one in given if one.needed or takes_all or one.name in names})
    except (TypeError, ValueError):
        return True
    return False


@pytest.mark.parametrize("parameters", SIGNATURES)
@pytest.mark.parametrize("always", [True, False])
def test_faults_are_those_of_the_real_call(parameters: str, always: bool, tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_text(f"def f({parameters}): ...")
    real = loaded(path).f
    read = signature(HandlersModule(path).functions["f"])
    assert shape(read) == shape(inspect.signature(real))
    arguments = [Argument("a", always=True, needed=True), Argument("b", always=always, needed=False)]
    assert any(call_faults(read, arguments)) == call_fails(real, arguments)


def shape(given: inspect.Signature) -> list[Any]:
    return [
        (parameter.name, parameter.kind, parameter.default is parameter.empty)
        for parameter in given.parameters.values()
    ]
