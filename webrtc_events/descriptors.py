"""How many files and sockets this process may have open."""

import resource

__all__ = ["raise_descriptor_limit"]

_ENOUGH = 65_536


def raise_descriptor_limit() -> int:
    """Asks for as many as the system lets this process have, within reason; returns how many it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _ENOUGH if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS has a lower limit of its own.
        return soft
    return wanted
