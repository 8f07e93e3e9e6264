"""TLS in front of the nodes, as a reverse proxy stands there: PagerDuty's SDKs speak nothing but https.

    client ── TLS ──> Front ── TCP ──> each node in turn, connection by connection
"""

import itertools
import os
import socket
import ssl
import subprocess
import threading
import unittest

NAMES = ("localhost", "pager.example.com")
CHUNK_SIZE_BYTES = 65536


def make_certificate(folder):
    """(certificate, key) for NAMES, signed by itself."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    names = ",".join(f"DNS:{name}" for name in NAMES) + ",IP:127.0.0.1"
    try:
        done = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                               "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
                              capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise unittest.SkipTest("openssl is not on this machine: install Debian's openssl") from error
    if done.returncode != 0:
        raise AssertionError(f"openssl: {done.stderr}")
    return certificate, key


def pump(source, sink):
    """Until either side ends; then the other is told."""
    try:
        while data := source.recv(CHUNK_SIZE_BYTES):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Front:
    def __init__(self, folder):
        self.certificate, key = make_certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}"

    def serve(self, addresses):
        """addresses: (host, port) of the nodes."""
        self.nodes = itertools.cycle(addresses)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self.connect, args=(connection, next(self.nodes)), daemon=True).start()

    def connect(self, connection, address):
        try:
            client = self.context.wrap_socket(connection, server_side=True)
            node = socket.create_connection(address)
        except OSError:
            connection.close()
            return
        threading.Thread(target=pump, args=(client, node), daemon=True).start()
        pump(node, client)
        node.close()
        client.close()

    def close(self):
        self.listener.close()
