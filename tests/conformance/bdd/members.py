"""Members of requests, answers and notifications, named by dotted paths."""

from typing import Any

__all__ = ["has_member", "member", "repeats", "set_member"]


def member(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name]
    return value


def has_member(value: Any, path: str) -> bool:
    try:
        member(value, path)
    except KeyError:
        return False
    return True


def set_member(value: dict[str, Any], path: str, new: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        value = value.setdefault(name, {})
    value[last] = new


def repeats(resource: Any, request: Any) -> bool:
    """Whether all that was asked for is in the resource, but for the credential."""
    asked = {name: value for name, value in request.items() if name != "sinkCredential"}
    return {name: resource.get(name) for name in asked} == asked
