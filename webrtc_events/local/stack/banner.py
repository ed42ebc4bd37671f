"""What `serve` says when it is ready: where things are, and commands to paste."""

import textwrap
from importlib.metadata import version

from webrtc_events.local.stack.first_steps import demo_command, first_steps
from webrtc_events.local.stack.layout import Stack

__all__ = ["banner"]

# Up to the invitation's arrival; the start page has the rest.
_STEPS = 3


def banner(stack: Stack) -> str:
    endpoints = stack.endpoints
    places = {
        "start page": f"{endpoints.api}/",
        "API": f"{endpoints.public}  (Swagger UI: /ui/)" if "public" in stack.apis else "",
        "gateway side": f"{endpoints.network}  (Swagger UI: /ui/)" if "network" in stack.apis else "",
        "sink's inbox": f"{endpoints.sink}/",
        "issuer": stack.issuer,
        "sink's CA": str(stack.ca),
        "store": stack.store,
        "data": str(stack.data),
    }
    lines = [f"webrtc-events {version('webrtc-events')} is ready. Begin at {endpoints.api}/", ""]
    lines += [f"  {name:<14}{place}" for name, place in places.items() if place]
    lines.append("")
    if stack.complete:
        lines += ["Or in another terminal:", ""]
        for step in first_steps(stack)[:_STEPS]:
            lines += [step.says, textwrap.indent(step.command, "  "), ""]
        lines += ["All of it at once, for every type of event, and checked:", f"  {demo_command(stack)}", ""]
    return "\n".join([*lines, "Ctrl-C stops everything in order.", ""])
