"""A shell that a person types into."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from threading import Timer

from tests.harness.commands import clean_environ
from tests.harness.documents import ROOT

__all__ = ["Shell"]

_BOUND_S = 60.0


class Shell:
    """A command's output is all that it says until the next prompt. It begins in the checkout."""

    def __init__(self, **env: str) -> None:
        # Where the commands of this installation are, as if its environment were activated.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=ROOT,
            env=clean_environ() | {"PATH": path} | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, commands: str) -> str:
        prompt = uuid.uuid4().hex
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = Timer(_BOUND_S, self._process.kill)
        timer.start()
        self._process.stdin.write(f"{commands}\necho {prompt}\n")
        self._process.stdin.flush()
        said = ""
        while prompt not in said:
            line = self._process.stdout.readline()
            assert line, f"the shell ended, after {said!r}"
            said += line
        timer.cancel()
        return said.partition(prompt)[0]

    def close(self) -> None:
        self._process.communicate(timeout=_BOUND_S)
