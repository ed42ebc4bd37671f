"""A script that becomes another program, which ends when its parent does.

Arguments: the parent's process id, the descriptor of an inherited lock file or -1, then
the program and its arguments. Between fork and exec only this file runs, in a fresh
interpreter, so no lock of a threaded parent can be caught half-way, as with `preexec_fn`.
The process id is written into the lock file: while the lock is held, it names its holder.

Linux only ends the child with the *thread* that started it, so start it from the main
thread. Elsewhere the child outlives a killed parent, and whoever comes next ends it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, lock, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It died before the line above could see it.
            sys.exit(1)
    if lock >= 0:
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    os.execv(command[0], command)  # noqa: S606 - the very purpose: no shell, an absolute path.


if __name__ == "__main__":
    main(sys.argv[1:])
