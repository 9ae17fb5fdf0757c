"""Becomes another user and asks at a Unix socket; prints how many bytes came.

Usage: another_user.py UID PATH, as root.
"""

import os
import socket
import sys

os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
asking = socket.socket(socket.AF_UNIX)
asking.connect(sys.argv[2])
print(len(asking.recv(4096)))
