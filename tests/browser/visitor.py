"""A person with a browser: looks at a page in a size and a colour scheme."""

from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage

__all__ = ["Scheme", "Visitor"]

Scheme = Literal["light", "dark"]


class Visitor:
    """Shows `url`. What the browser says in its console, also by the content policy, is in `complaints`."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        scheme: Scheme = "light",
        script: bool = True,
    ) -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
            ignore_https_errors=True,
            reduced_motion="reduce",
        )
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    def _hear(self, message: ConsoleMessage) -> None:
        # A page may say itself that what it is about is not there, such as a call that is still to come.
        is_its_own = message.location["url"] == self.page.url and "status of 404" in message.text
        if message.type in ("error", "warning") and not is_its_own:
            self.complaints.append(message.text)

    def run(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def picture(self, path: Path, *, whole: bool = False, height: int | None = None) -> None:
        """Of the window or the whole page, or of the upper `height` pixels; with 256 colours, to be small."""
        taken = self.page.screenshot(full_page=whole, animations="disabled")
        image = Image.open(BytesIO(taken)).convert("RGB")
        shown = image.crop((0, 0, image.width, height or image.height))
        shown.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)

    def faults(self) -> list[str]:
        """What axe-core has to say against the page."""
        results = Axe().run(self.page)
        return [
            f"{violation['id']}: {node['target']} {node.get('failureSummary')}"
            for violation in results.response["violations"]
            for node in violation["nodes"]
        ]

    def overflow(self) -> int:
        """The pixels by which the page is wider than its window."""
        return int(self.run("document.documentElement.scrollWidth - innerWidth"))

    def close(self) -> None:
        self._context.close()
