"""Applies an OpenAPI Overlay 1.0 to a document.

Targets are JSONPaths of `$`, `.name`, `['name']` and `[n]`, each naming one node.
Source: OpenAPI Overlay Specification 1.0.0, section 4.4.3 (actions).
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["OverlayError", "apply_overlay"]

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^']*)'\]|\[([0-9]+)\]")


class OverlayError(ValueError):
    """An action that cannot be applied; names its target."""


def apply_overlay(document: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A changed copy of `document`; the actions are applied in their order.

    `update` merges objects and appends to lists; `remove: true` takes the target away.

    Raises:
        OverlayError: a target that is malformed or names nothing.
    """
    changed = copy.deepcopy(dict(document))
    for action in actions:
        _apply(changed, action)
    return changed


def _apply(document: dict[str, Any], action: Mapping[str, Any]) -> None:
    target: str = action["target"]
    steps = _steps(target)
    if action.get("remove"):
        if not steps:
            raise OverlayError(f"{target}: the whole document cannot be removed")
        parent = _find(document, steps[:-1], target)
        _find(parent, steps[-1:], target)
        del parent[steps[-1]]
    elif "update" in action:
        _merge(_find(document, steps, target), copy.deepcopy(action["update"]), target)


def _steps(target: str) -> list[str | int]:
    if not target.startswith("$"):
        raise OverlayError(f"{target}: a target starts with $")
    steps: list[str | int] = []
    position = 1
    while position < len(target):
        match = _STEP.match(target, position)
        if match is None:
            raise OverlayError(f"{target}: not understood at {target[position:]!r}")
        name, quoted, index = match.groups()
        steps.append(int(index) if index is not None else quoted if quoted is not None else name)
        position = match.end()
    return steps


def _find(node: Any, steps: list[str | int], target: str) -> Any:
    for step in steps:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            raise OverlayError(f"{target}: there is no such node") from None
    return node


def _merge(node: Any, update: Any, target: str) -> None:
    if isinstance(node, list):
        node.append(update)
    elif isinstance(node, dict) and isinstance(update, dict):
        for name, value in update.items():
            _merge_member(node, name, value, target)
    else:
        raise OverlayError(f"{target}: only objects and lists can be updated")


def _merge_member(node: dict[str, Any], name: str, value: Any, target: str) -> None:
    present = node.get(name)
    if isinstance(present, dict) and isinstance(value, dict):
        _merge(present, value, target)
    elif isinstance(present, list) and isinstance(value, list):
        present += value
    else:
        node[name] = value
