"""Starts a program as systemd does for a socket unit: with a listening socket as descriptor 3.

Usage: socket_unit.py PROGRAM ARGUMENT...

The socket is at a port of the system's choice; the first argument that asks for such a port
gets the number. The program replaces this one, so that it is the process that is named.
"""

import os
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
os.dup2(listener.fileno(), 3, inheritable=True)

arguments = sys.argv[1:]
arguments[arguments.index("127.0.0.1:0")] = "127.0.0.1:%d" % listener.getsockname()[1]
environment = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execve(arguments[0], arguments, environment)
