"""Steps of a game that do nothing where they do not apply.

The store goes through the subscriptions of an event in a random order, which a game cannot repeat. So which
steps are drawn must not depend on the state, as it does with a `precondition` of Hypothesis: it gives up a
game that draws other steps when it is played again.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["when"]

_Step = Callable[..., None]


def when(holds: Callable[[Any], Any]) -> Callable[[_Step], _Step]:
    """The step is done only if that holds."""

    def limited(step: _Step) -> _Step:
        @wraps(step)
        def done(machine: Any, *given: Any, **drawn: Any) -> None:
            if holds(machine):
                step(machine, *given, **drawn)

        return done

    return limited
