"""Scrapes a port for metrics every second, as often as anybody does, whenever something listens there."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["scraping"]

_EVERY_S = 1.0


@contextmanager
def scraping(port: int) -> Iterator[None]:
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(_EVERY_S):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    answer.read()
            except OSError:
                # Nobody listens at the moment.
                continue

    thread = threading.Thread(target=scrape, name="scraper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
