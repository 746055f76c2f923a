# SPDX-License-Identifier: Apache-2.0 OR MIT
"""hold.py flock|ofd|posix shared|exclusive FILE COMMAND...

Run COMMAND while this process holds a lock on FILE; exit 75 if it cannot be had, else as COMMAND.
A posix lock may be on one byte of it, HOLD_BYTE; a shared flock held twice, HOLD_TWICE."""
import fcntl
import os
import struct
import subprocess
import sys

family, kind, path = sys.argv[1:4]
file = os.open(path, os.O_RDWR)
exclusive = kind == "exclusive"
try:
    if family == "flock":
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        if os.environ.get("HOLD_TWICE"):
            fcntl.flock(os.open(path, os.O_RDWR), fcntl.LOCK_SH | fcntl.LOCK_NB)
    elif family == "posix":
        byte = os.environ.get("HOLD_BYTE")
        fcntl.lockf(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB,
                    1 if byte else 0, int(byte or 0))
    else:  # struct flock: l_type, l_whence, l_start, l_len, l_pid
        lock = struct.pack("@hhqqi0q", fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
except (BlockingIOError, PermissionError):
    sys.exit(75)
sys.exit(subprocess.call(sys.argv[4:]))
