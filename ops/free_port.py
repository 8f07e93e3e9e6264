"""A port of loopback that nobody listens on, for a process that is started next."""

import atexit
import random
import socket

# Below what Linux gives to connections by itself (net.ipv4.ip_local_port_range begins at 32768): a connection that is made
# meanwhile would take it.
FIRST, LAST = 16384, 32767

# Until the process that asked ends, nobody else who asks gets the port, though nothing may listen there yet: each is held as an
# abstract address of unix(7), which leaves no file behind.
_held = []


def _hold(port):
    """None when it is somebody's."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0tocsin-port-{port}")
        return name
    except OSError:
        name.close()
        return None


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


@atexit.register
def _let_go():
    while _held:
        _held.pop().close()


def free_port():
    while True:
        port = random.randint(FIRST, LAST)
        name = _hold(port)
        if name is None:
            continue
        if _is_free(port):
            _held.append(name)
            return port
        name.close()
