"""The text that `serve` prints when it is ready: addresses, and commands to paste."""

import textwrap
from importlib.metadata import version

from webrtc_events.local.stack.first_steps import demo_command, first_steps
from webrtc_events.local.stack.local_stack import LocalStack

__all__ = ["banner"]

# Up to the arrival of the invitation; the start page has the rest.
_STEPS = 3


def banner(stack: LocalStack) -> str:
    endpoints = stack.endpoints
    places = {
        "console": endpoints.console,
        "softphone": stack.softphone or "",
        "start page": f"{endpoints.api}/",
        "API": f"{endpoints.public}  (Swagger UI: /ui/)" if "public" in stack.apis else "",
        "API 0.3": f"{endpoints.public_v0_3}  (Swagger UI: /ui/)" if stack.serves_v0_3 else "",
        "gateway side": f"{endpoints.network}  (Swagger UI: /ui/)" if "network" in stack.apis else "",
        "sink's inbox": f"{endpoints.sink}/",
        "metrics": stack.metrics or "",
        "issuer": stack.issuer,
        "sink's CA": str(stack.ca),
        "store": stack.store,
        "data": str(stack.data),
    }
    lines = [
        f"webrtc-events {version('webrtc-events')} is ready. See what happens at {endpoints.console}",
        "",
    ]
    lines += [f"  {name:<14}{place}" for name, place in places.items() if place]
    lines.append("")
    if stack.complete:
        lines += ["Or in another terminal:", ""]
        for step in first_steps(stack)[:_STEPS]:
            lines += [step.says, textwrap.indent(step.command, "  "), ""]
        lines += [
            "Or run all of it at once, for every type of event, with checks:",
            f"  {demo_command(stack)}",
            "",
        ]
    return "\n".join([*lines, "Ctrl-C stops everything in order.", ""])
