"""Brings the loopback interface of a new network name space up."""

import fcntl
import socket
import struct

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
    request = struct.pack("16sh14x", b"lo", IFF_UP)
    fcntl.ioctl(handle, SIOCSIFFLAGS, request)
