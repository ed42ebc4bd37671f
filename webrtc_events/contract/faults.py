"""What breaks a schema, in words for the person who sent it: all of it at once.

A validator says one thing at a time, cuts lists short, and repeats itself where a
discriminator has a value checked twice. No text here repeats a value of the instance, which
may be a secret.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

__all__ = ["Fault", "KnownMembers", "faults_of", "is_large", "read_only_fault", "summary", "unknown_fault"]

Path = Sequence[str | int]

KnownMembers = Callable[[Path], frozenset[str] | None]
"""The members that a schema knows of the object at a path; None: they may have any name."""

_MAX_FAULTS = 1000
_LARGE = 5000
_SHOWN_CHARACTERS = 300
"""Of a path or a message: names of members are the sender's, and may be long."""
_SHOWN_NAMES = 12
_UNKNOWN_RULE = "additionalProperties"
_READ_ONLY_RULE = "readOnly"
_SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where an instance breaks its schema.

    `path` is a JSON path such as `$.config.subscriptionMaxEvents`, `rule` the schema
    keyword, `message` for people. None of them repeats a value of the instance.
    """

    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def faults_of(errors: Iterable[ValidationError], instance: Any, known: KnownMembers) -> Iterator[Fault]:
    """Each fault once, in the validator's order; all that is missing in an object is one fault.

    At most the first 1,000 errors are looked at.
    """
    found = [leaf for error in islice(errors, _MAX_FAULTS) for leaf in _leaves(error)]
    missing: dict[str, list[str]] = {}
    for error in found:
        if isinstance(error.kind, ValidationErrorKind.Required):
            missing.setdefault(_json_path(error.instance_path), []).append(error.kind.property)
    seen: set[Fault] = set()
    for error in found:
        path = _json_path(error.instance_path)
        message = _message(error, missing.get(path, []), instance, known)
        fault = Fault(_shortened(path), str(error.kind.name), message)
        if fault not in seen:
            seen.add(fault)
            yield fault


def unknown_fault(path: Path, names: Sequence[str]) -> Fault:
    """The object at `path` has members of these names, and its schema none."""
    return Fault(_shortened(_json_path(path)), _UNKNOWN_RULE, _unknown_text(names))


def read_only_fault(path: Path, names: Sequence[str]) -> Fault:
    """The object at `path` has members of these names, which are for answers alone."""
    return Fault(
        _shortened(_json_path(path)), _READ_ONLY_RULE, f"{_named(names)} {_is_or_are(names)} read only"
    )


def is_large(instance: Any) -> bool:
    """Whether it has more values than any request that is meant well. Counts no further than that."""
    left = [instance]
    count = 0
    while left and count <= _LARGE:
        value = left.pop()
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += 1 + len(members)
        left += islice(members, _LARGE)
    return count > _LARGE


def summary(faults: Sequence[Fault]) -> str:
    """All of them in one text; of very many the first."""
    shown = [str(fault) for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        shown.append(f"and {len(faults) - _SHOWN_FAULTS} more")
    return "; ".join(shown)


def _named(names: Sequence[str]) -> str:
    """`"a", "b" and "c"`; of very many the first."""
    shown = [f'"{_shortened(name)}"' for name in names[:_SHOWN_NAMES]]
    if len(names) > _SHOWN_NAMES:
        shown.append(f"{len(names) - _SHOWN_NAMES} more")
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Of a failed `oneOf`, what is wrong with the one branch whose JSON type fits."""
    if isinstance(error.kind, ValidationErrorKind.OneOfNotValid):
        fitting = [branch for branch in error.kind.context if not _is_of_other_type(branch, error)]
        if len(fitting) == 1:
            for leaf in fitting[0]:
                yield from _leaves(leaf)
            return
    yield error


def _is_of_other_type(branch: Sequence[ValidationError], parent: ValidationError) -> bool:
    return any(_is_about_type(error, parent) for error in branch)


def _is_about_type(error: ValidationError, parent: ValidationError) -> bool:
    return isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == parent.instance_path


def _types(branches: Sequence[Sequence[ValidationError]], parent: ValidationError) -> list[str]:
    """The types that the branches want, if that is what is wrong with each."""
    if not all(_is_of_other_type(branch, parent) for branch in branches):
        return []
    wanted = [
        name
        for branch in branches
        for error in branch
        if isinstance(error.kind, ValidationErrorKind.Type) and _is_about_type(error, parent)
        for name in error.kind.types
    ]
    return list(dict.fromkeys(f'"{name}"' for name in wanted))


def _message(error: ValidationError, missing: Sequence[str], instance: Any, known: KnownMembers) -> str:
    match error.kind:
        case ValidationErrorKind.Required():
            lacking = list(dict.fromkeys(missing))
            text = f"{_named(lacking)} {_is_or_are(lacking)} missing"
            unknown = _unknown(error.instance_path, instance, known)
            return f"{text}; {_unknown_text(unknown)}" if unknown else text
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return _unknown_text(names)
        case ValidationErrorKind.Enum(options=options):
            # From the contract, so shown whole.
            shown = ", ".join(map(_option, options))
            return f"the value is not {shown}" if len(options) == 1 else f"the value is not one of {shown}"
        case ValidationErrorKind.OneOfNotValid(context=branches) if types := _types(branches, error):
            return f"the value is not of type {' or '.join(types)}"
    return _shortened(str(error.message))


def _unknown(path: Path, instance: Any, known: KnownMembers) -> list[str]:
    """Members that a name may have been meant for."""
    for step in path:
        instance = instance[step]
    names = known(path)
    return [] if names is None else [name for name in instance if name not in names]


def _unknown_text(names: Sequence[str]) -> str:
    return f"{_named(names)} {_is_or_are(names)} not known here"


def _is_or_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _option(option: Any) -> str:
    return f'"{option}"' if isinstance(option, str) else str(option)


def _json_path(steps: Path) -> str:
    return "$" + "".join(map(_json_path_step, steps))


def _json_path_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"['{step}']"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
