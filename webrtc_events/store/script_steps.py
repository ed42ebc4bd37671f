"""A step with the store: scripts that run at once, and what their answers mean."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.scripts import Call, Scripts
from webrtc_events.store.redis.topology import TIMEOUT_S

__all__ = ["Rest", "ScriptStep"]

T = TypeVar("T")
U = TypeVar("U")

Rest = Callable[[], None]
"""What is left to do with the store once the answers of a step are known."""


class ScriptStep(Generic[T]):
    """`take` says what the answers mean, without asking the store, and what is left to ask of it, seldom.

    `run` does all of it, and waits for the store. Who cannot wait calls `begin`, sends what that gives, reads
    what comes, and then calls `finish`; `run` goes on with what cannot be finished without another wait.
    """

    timeout_s = TIMEOUT_S
    """A step of which nothing comes for that long is as good as lost."""

    def __init__(
        self,
        scripts: Scripts,
        calls: Sequence[Call],
        take: Callable[[list[Any]], tuple[T, Rest | None]],
        *,
        repeats: bool = True,
    ) -> None:
        self._scripts = scripts
        self._calls = calls
        self._take = take
        self._repeats = repeats

    def mapped(self, meaning: Callable[[T], U]) -> "ScriptStep[U]":
        """The same step, of which `meaning` says what is found."""

        def take(answers: list[Any]) -> tuple[U, Rest | None]:
            found, rest = self._take(answers)
            return meaning(found), rest

        return ScriptStep(self._scripts, self._calls, take, repeats=self._repeats)

    def begin(self) -> Begun | None:
        """What sends the scripts. None: that cannot be done without a wait."""
        return self._scripts.begin(self._calls) if self._calls else None

    def finish(self, begun: Begun) -> tuple[T, Rest | None]:
        """What clean answers mean. Waits for nothing."""
        return self._take(self._scripts.run_some(self._calls, repeats=self._repeats, begun=begun))

    def run(self, begun: Begun | None = None) -> T:
        """Waits for the store, and goes on with what was begun."""
        try:
            answers = self._scripts.run_some(self._calls, repeats=self._repeats, begun=begun)
        finally:
            if begun is not None:
                self.end(begun)
        found, rest = self._take(answers)
        if rest is not None:
            rest()
        return found

    def run_and_keep(self) -> T:
        """For a step that could not be begun: the next one can be."""
        found = self.run()
        self.keep()
        return found

    def end(self, begun: Begun) -> None:
        """Nothing is awaited of it any more."""
        self._scripts.end(begun)

    def keep(self) -> None:
        """Sees to it that the next such step can be begun. It may take as long as a script."""
        if self._calls:
            self._scripts.keep(self._calls)
