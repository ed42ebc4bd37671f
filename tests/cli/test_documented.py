"""docs/commands.md and the help of the main command name every command, and no other."""

import re

from tests.harness.documents import ROOT
from webrtc_events.cli.main import main


def test_every_command_has_a_row() -> None:
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `webrtc-events ([a-z-]+)[^`]*` \|", table)
    assert sorted(rows) == sorted(main.commands)


def test_every_command_is_in_the_overview() -> None:
    named = re.findall(r"(?m)^ +webrtc-events ([a-z-]+) ", main.help or "")
    assert sorted(named) == sorted(main.commands)
