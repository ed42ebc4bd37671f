"""Runs a command with what the units of systemd leave it: `confined.py SYSCALLS FAMILIES COMMAND...`.

SYSCALLS is a file with the names of the system calls that are allowed, one a line; FAMILIES are
numbers of address families, by comma. Memory is never both writable and executable, and no program
gets more rights than this one has. Linux 6.3 or later, with libseccomp.
"""

import ctypes
import os
import socket
import sys
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_MDWE = 65
_REFUSE_EXEC_GAIN = 1
_ALLOW = 0x7FFF0000
_EPERM = 0x00050000 | 1
_EQUAL = 4


class _Compare(ctypes.Structure):
    """scmp_arg_cmp"""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def main(syscalls: str, families: str, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_MDWE, _REFUSE_EXEC_GAIN)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_EPERM)))
    names = [name for name in Path(syscalls).read_text().split() if name != "socket"]
    allowed = [(name, []) for name in names]
    allowed += [("socket", [_Compare(0, _EQUAL, int(family), 0)]) for family in families.split(",")]
    for name, compares in allowed:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        array = (_Compare * len(compares))(*compares)
        if number >= 0 and seccomp.seccomp_rule_add_array(
            rules, ctypes.c_uint32(_ALLOW), number, len(compares), array
        ):
            raise OSError(f"no rule for {name}")
    if seccomp.seccomp_load(rules) != 0:
        raise OSError("seccomp_load")
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    except PermissionError:
        os.execv(command[0], command)  # noqa: S606 - no shell, an absolute path.
    raise OSError("what is not allowed is not refused")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
