"""Whether keys are there: one command for all where the store has no slots, as most often none of them is."""

from collections.abc import Sequence
from itertools import chain

from webrtc_events.store.redis.client import Client
from webrtc_events.store.redis.exchange import Answers, Command

__all__ = ["which_exist"]


def which_exist(
    client: Client, groups: Sequence[Sequence[str]], beside: Sequence[Command] = ()
) -> tuple[Answers, Answers]:
    """Of each group whether any of its keys is there, and what the other commands are answered.

    The keys of a group share a slot. An exception is in place of what could not be found out.
    """
    if client.nodes.has_slots:
        return _ask_each(client, groups, beside)
    found, *answers = client.run([(("EXISTS", *chain.from_iterable(groups)), {}), *beside])
    if found == 0:
        return [False] * len(groups), answers
    # Some are, or it is a node of a cluster that was taken for a single server.
    return _ask_each(client, groups)[0], answers


def _ask_each(
    client: Client, groups: Sequence[Sequence[str]], beside: Sequence[Command] = ()
) -> tuple[Answers, Answers]:
    answers = client.run([*((("EXISTS", *group), {}) for group in groups), *beside])
    found = [answer if isinstance(answer, Exception) else answer > 0 for answer in answers[: len(groups)]]
    return found, answers[len(groups) :]
