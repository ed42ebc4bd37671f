"""A headless Chromium, driven by the DevTools protocol over a pipe."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from webrtc_events.core.clock import SystemClock

__all__ = ["CHROMIUM", "Browser", "Page", "browser"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_BOUND_S = 30.0
_POLL_S = 0.05


class Browser:
    """One tab. Source: Chrome DevTools Protocol; messages end with a zero byte."""

    def __init__(self, read: int, write: int) -> None:
        self._read = os.fdopen(read, "rb")
        self._write = os.fdopen(write, "wb")
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = self._read.raw.read(65536)
            assert part, "the browser is gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        value: dict[str, Any] = json.loads(message)
        return value


class Page:
    """A tab that shows `url`. What its console or its policy complains about is in `complaints`."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1280, height: int = 900) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._clock = SystemClock()
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Security.setIgnoreCertificateErrors", ignore=True)
        self.resize(width, height)
        assert "errorText" not in self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """The first true value of the expression."""
        deadline = self._clock.monotonic() + _BOUND_S
        while not (value := self.run(script)):
            assert self._clock.monotonic() < deadline, f"never true: {script}"
            self._clock.sleep(_POLL_S)
        return value

    @property
    def complaints(self) -> list[str]:
        own = [event for event in self._browser.events if event.get("sessionId") == self._session]
        logged = [
            message["params"]["entry"]["text"]
            for message in own
            if message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error"
        ]
        thrown = [
            json.dumps(message["params"]["exceptionDetails"])
            for message in own
            if message["method"] == "Runtime.exceptionThrown"
        ]
        return logged + thrown


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """`profile` is an empty directory for what the browser keeps."""
    assert CHROMIUM is not None
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
    # The protocol has 3 and 4 for its pipes.
    script = f'exec "$@" 3<&{commands} 4>&{answers}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", CHROMIUM, *options, f"--user-data-dir={profile}"],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    running = Browser(from_browser, to_browser)
    try:
        yield running
        running.call("Browser.close")
        process.wait(_BOUND_S)
    finally:
        running.close()
        if process.poll() is None:
            process.kill()
            process.wait()
