"""Holds a network namespace with nothing but loopback until its standard input ends; then nothing in it lives on.

See network.py. Its input also ends when the tests are killed, and they must not leave servers behind.
"""

import fcntl
import os
import signal
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914
IFF_UP = 1



def others():
    """Processes in this network, but for this one."""
    ours = os.readlink("/proc/self/ns/net")
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(name) != os.getpid() and os.readlink(f"/proc/{name}/ns/net") == ours:
                yield int(name)
        except OSError:
            pass  # it has ended, or is not ours


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
print("up", flush=True)
sys.stdin.read()
for pid in others():
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
