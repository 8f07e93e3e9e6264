"""A port of loopback that nobody listens on, for a process that is started next."""

import random
import socket

# Below what Linux gives to connections by itself (net.ipv4.ip_local_port_range begins at 32768): a connection that is made
# meanwhile would take it.
FIRST, LAST = 16384, 32767


def free_port():
    while True:
        port = random.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
