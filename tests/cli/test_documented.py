"""docs/commands.md and the help of the main command name every command, and no other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.commands import clean_environ
from tests.harness.documents import ROOT
from webrtc_events.cli.main import main


def test_every_command_has_a_row() -> None:
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `webrtc-events ([a-z-]+)[^`]*` \|", table)
    assert sorted(rows) == sorted(main.commands)


def test_every_command_is_in_the_overview() -> None:
    named = re.findall(r"(?m)^ +webrtc-events ([a-z-]+) ", main.help or "")
    assert sorted(named) == sorted(main.commands)


@pytest.mark.parametrize(
    ("words", "expected"), [("sub", "plain,subscriptions"), ("subscriptions e", "plain,end")]
)
def test_shells_complete_commands_as_the_help_says(words: str, expected: str) -> None:
    assert "_WEBRTC_EVENTS_COMPLETE=bash_source webrtc-events" in (main.help or "")
    typed = ["webrtc-events", *words.split()]
    asked = {
        "_WEBRTC_EVENTS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("webrtc-events")],
        env=clean_environ() | asked,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout.split() == [expected]
