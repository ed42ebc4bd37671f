"""Asks once before a change: a page with one form, which works without script."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import render_template

__all__ = ["Question", "ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`button` says what happens: "End the subscription". `back` is where "Cancel" leads.

    `facts` names what is changed. `fields` are sent along with the answer.
    """

    title: str
    text: str
    button: str
    back: str
    facts: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


def ask(question: Question) -> str:
    """A page whose form is posted to its own address, with the session's token."""
    return render_template("confirm.html", question=question)
