"""The dispatcher's steps with the store, awaited with its sinks; what may take longer is its thread's."""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from webrtc_events.core.clock import Clock
from webrtc_events.delivery.store_calls import StoreAnswer, StoreThread
from webrtc_events.sinks.client import SinkClient
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.script_steps import Rest, ScriptStep

__all__ = ["StoreLoop"]

T = TypeVar("T")


class _UnderWay(Generic[T]):
    """A step that was begun. `until_s`: if nothing comes of it until then, nothing will."""

    def __init__(
        self, step: ScriptStep[T], begun: Begun, take: Callable[[StoreAnswer[T]], None], until_s: float
    ) -> None:
        self.step = step
        self.begun = begun
        self.take = take
        self.until_s = until_s
        self.watched = begun.descriptors
        self.rest: Rest | None = None

    def finish(self) -> T:
        """For clean answers; `rest` is set if the store must be asked something more."""
        try:
            found, self.rest = self.step.finish(self.begun)
        finally:
            self.step.end(self.begun)
        return found


class StoreLoop(StoreThread):
    """Steps are begun in the caller's thread, and answered while `sink` is polled there.

    What cannot be begun without a wait, and what comes of it but clean answers, is left to the thread, which
    goes on with it as with every call: so a store that does not answer holds up no sink.
    """

    def __init__(self, sink: SinkClient[Any], clock: Clock) -> None:
        super().__init__(sink.wake, clock)
        self._sink = sink
        self._under_way: list[_UnderWay[Any]] = []

    def step(self, plan: Callable[[], ScriptStep[T]], take: Callable[[StoreAnswer[T]], None]) -> None:
        begun = StoreAnswer(partial(self._begin, plan, take))
        if begun.error is not None:
            self._answers.append((StoreAnswer(begun.get), take))
            self._sink.wake()

    def collect(self) -> None:
        now_s = self._now_s()
        for under_way in [*self._under_way]:
            if now_s >= under_way.until_s:
                # This thread may have been held up itself.
                self._receive(under_way)
                if now_s >= under_way.until_s and under_way in self._under_way:
                    under_way.begun.give_up()
                    self._over(under_way)
        super().collect()

    def close(self, grace_s: float) -> bool:
        """What is still under way in the loop is dropped: it has had its time."""
        under_way, self._under_way = self._under_way, []
        for dropped in under_way:
            self._forget(dropped)
            dropped.step.end(dropped.begun)
        return super().close(grace_s)

    def _begin(self, plan: Callable[[], ScriptStep[T]], take: Callable[[StoreAnswer[T]], None]) -> None:
        step = plan()
        begun = step.begin()
        if begun is None:
            self.start(step.run_and_keep, take)
            return
        under_way = _UnderWay(step, begun, take, self._now_s() + step.timeout_s)
        self._watch(under_way)
        begun.send()
        if not begun.is_sent or begun.is_over:
            self._forget(under_way)
            self._under_way.remove(under_way)
            self.start(partial(step.run, begun), take)

    def _watch(self, under_way: _UnderWay[Any]) -> None:
        try:
            for fd in under_way.watched:
                self._sink.watch(fd, partial(self._readable, under_way))
        except BaseException:
            self._forget(under_way)
            under_way.step.end(under_way.begun)
            raise
        self._under_way.append(under_way)

    def _readable(self, under_way: _UnderWay[Any]) -> None:
        """Something came, if only a part of an answer: a long one may take its time."""
        under_way.until_s = self._now_s() + under_way.step.timeout_s
        self._receive(under_way)

    def _receive(self, under_way: _UnderWay[Any]) -> None:
        """Takes what has come of it."""
        received = StoreAnswer(under_way.begun.receive)
        if received.error is not None:
            # Not the protocol of the store.
            self._forget(under_way)
            self._under_way.remove(under_way)
            under_way.step.end(under_way.begun)
            self._answer(received, under_way.take)
        elif under_way.begun.is_over:
            self._over(under_way)
        else:
            self._forget_but(under_way, under_way.begun.descriptors)

    def _over(self, under_way: _UnderWay[Any]) -> None:
        # Before the thread may close it.
        self._forget(under_way)
        self._under_way.remove(under_way)
        if not under_way.begun.is_clean:
            self.start(partial(under_way.step.run, under_way.begun), under_way.take)
            return
        answer = StoreAnswer(under_way.finish)
        if under_way.rest is not None:
            self.start(partial(_do_rest, under_way.rest, answer), under_way.take)
        else:
            self._answer(answer, under_way.take)

    def _answer(self, answer: StoreAnswer[Any], take: Callable[[StoreAnswer[Any]], None]) -> None:
        self._answers.append((answer, take))
        self._sink.interrupt()

    def _forget(self, under_way: _UnderWay[Any]) -> None:
        self._forget_but(under_way, [])

    def _forget_but(self, under_way: _UnderWay[Any], still: list[int]) -> None:
        for fd in under_way.watched:
            if fd not in still:
                self._sink.forget(fd)
        under_way.watched = still


def _do_rest(rest: Rest, answer: StoreAnswer[T]) -> T | None:
    rest()
    return answer.get()
