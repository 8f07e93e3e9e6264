"""A daemon that must not start says why in one sentence, ends, and has changed nothing."""

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from cluster import BUILD, PATIENCE_SECONDS, ROOT, free_port, wait_for

TOCSIND = os.path.join(BUILD, "tocsind")
# A start is counted before anything else; lock files are LMDB's and hold nothing that lasts.
COUNTED = ("boot", "state.mdb-lock", "log.mdb-lock")


def contents(directory):
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name not in COUNTED:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


@contextlib.contextmanager
def listening(port):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        yield


class Ports(unittest.TestCase):
    """Nodes that find their ports taken fail tests that are right."""

    def test_nobody_is_given_a_port_that_somebody_has_been_given(self):
        here = [free_port() for _ in range(400)]
        self.assertEqual(len(set(here)), len(here))
        asks = "from free_port import free_port; print(*(free_port() for _ in range(400)))"
        there = subprocess.run([sys.executable, "-c", asks], cwd=os.path.join(ROOT, "ops"), capture_output=True, text=True,
                               check=True).stdout.split()
        self.assertEqual(len(there), 400)
        self.assertFalse(set(here) & set(map(int, there)))


class BadStart(unittest.TestCase):
    """Given a data directory of node 1 of the cluster `dev`, made once and copied for each story."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="tocsin-test-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.pristine = os.path.join(cls.scratch.name, "pristine")
        story = cls()
        story.prepare()
        try:
            story.arguments["data_dir"] = cls.pristine
            with story.running("--bootstrap"):
                pass
        finally:
            story.doCleanups()

    def setUp(self):
        self.prepare()
        shutil.copytree(self.pristine, self.arguments["data_dir"])

    def prepare(self):
        directory = tempfile.TemporaryDirectory(prefix="tocsin-test-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.http_port, self.peer_port = free_port(), free_port()
        self.arguments = {"id": 1, "data_dir": os.path.join(self.directory, "data"), "http_host": "127.0.0.1",
                          "peer_host": "127.0.0.1", "cluster": "dev", "minute_ms": 60000, "node_more": "", "more": ""}

    # ---- the daemon

    def write_config(self, **changes):
        path = os.path.join(self.directory, "tocsind.conf")
        values = {**self.arguments, **changes}
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""[node]
id = {values['id']}
data_dir = {values['data_dir']}
http_listen = {values['http_host']}:{self.http_port}
{values['node_more']}
[cluster]
name = {values['cluster']}
minute_ms = {values['minute_ms']}
[member.{values['id']}]
address = {values['peer_host']}:{self.peer_port}
{values['more']}
""")
        return path

    def refused(self, words, path=None, options=(), **changes):
        """Starts the daemon, which must end with one sentence that has the words; whatever was in the data directory still is."""
        path = path or self.write_config(**changes)
        before = contents(self.directory)
        done = subprocess.run([TOCSIND, "--config", path, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, check=False)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertEqual("", done.stdout)
        sentences = [line for line in done.stderr.splitlines() if line.startswith("tocsind: ")]
        self.assertEqual(1, len(sentences), done.stderr)
        self.assertEqual(sentences[0], done.stderr.splitlines()[-1])
        for word in words if isinstance(words, tuple) else (words,):
            self.assertIn(word, sentences[0])
        self.assertEqual(before, contents(self.directory))
        return done.stderr

    def ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @contextlib.contextmanager
    def running(self, *options):
        process = subprocess.Popen([TOCSIND, "--config", self.write_config(), *options], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: self.ready() or process.poll() is not None, "the start of the node")
            self.assertIsNone(process.poll(), "the node ended")
            yield process
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
            self.assertEqual(0, process.returncode, errors)

    # ---- the configuration

    def test_no_configuration_file(self):
        self.refused(("nowhere.conf", "No such file"), path=os.path.join(self.directory, "nowhere.conf"))

    def test_a_folder_as_configuration(self):
        self.refused("cannot be read", path=self.directory)

    def test_no_option_at_all_shows_the_usage(self):
        done = subprocess.run([TOCSIND], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("Usage: tocsind --config FILE", done.stderr)

    def test_mistakes_are_named_by_file_and_line(self):
        for line, words in (
                ("htp_listen = 127.0.0.1:1", '[node] has no key "htp_listen"'),
                ("id = 1", "given twice"),
                ("request_wait_ms = soon", "request_wait_ms must be a whole number"),
                ("request_wait_ms = 99", "from 100 to 60000"),
                ("request_wait_ms = 99999999999999999999", "from 100 to 60000"),
                ("allow_plain_tcp = perhaps", "must be yes or no"),
                ("log_level =", "log_level has no value"),
                ("neither section nor key", "neither [section] nor key = value"),
                ("[nodes]\nid = 1", "there is no section [nodes]"),
        ):
            with self.subTest(line=line):
                place = f"tocsind.conf:{6 if line.startswith('[') else 5}: "
                self.refused((place, words), node_more=line)

    def test_mistakes_of_the_whole_are_named_by_file(self):
        for changes, words in (
                ({"node_more": "log_level = loud"}, "log_level must be error, warning, info or debug"),
                ({"more": "[member.2]\naddress = 127.0.0.1:1"}, "a cluster begins with 1, 3 or 5 members"),
                ({"more": "[twilio]\naccount_sid = AC0"}, "[twilio] needs account_sid, auth_token_file and from"),
                ({"node_more": "public_url = tocsin.example"}, "public_url must be http:// or https://"),
        ):
            with self.subTest(words=words):
                self.refused(("tocsind.conf: ", words), **changes)

    def test_a_secret_that_is_not_there(self):
        self.refused(("cannot read the secret in /nowhere/token", "No such file"),
                     more="[twilio]\naccount_sid = AC0\nfrom = +15550100\nauth_token_file = /nowhere/token")

    def test_outside_loopback_only_on_purpose(self):
        self.refused("outside loopback and would be reached without TLS", http_host="0.0.0.0")
        self.refused("outside loopback and would be reached without TLS", peer_host="192.0.2.1")

    def test_a_short_minute_only_on_loopback(self):
        self.refused("minute_ms below 60000 is for development on loopback only", http_host="0.0.0.0", minute_ms=1000,
                     node_more="allow_plain_tcp = yes")

    # ---- the data directory

    def test_a_stale_configuration(self):
        self.refused('belongs to "dev 1" (cluster, node id), the configuration says "dev 2"', id=2)
        self.refused('belongs to "dev 1" (cluster, node id), the configuration says "production 1"', cluster="production")

    def test_an_empty_data_directory_is_not_taken_for_a_new_cluster(self):
        empty = os.path.join(self.directory, "empty")
        os.mkdir(empty)
        self.refused(("is empty: start with --bootstrap", "must not come back under its old id"), data_dir=empty)
        self.assertEqual([], os.listdir(empty))

    def test_a_log_whose_owner_is_unknown_is_not_bootstrapped_over(self):
        os.unlink(os.path.join(self.arguments["data_dir"], "node"))
        self.refused("holds a log but not whose it is", options=("--bootstrap",))

    def test_a_data_directory_that_is_none(self):
        file = os.path.join(self.directory, "file")
        open(file, "wb").close()
        self.refused("cannot be read and written", data_dir=file)
        self.refused("Not a directory", data_dir=os.path.join(file, "below"))
        self.refused("No such file or directory", data_dir=os.path.join(self.directory, "no", "parent"))

    @unittest.skipIf(os.geteuid() == 0, "root may read and write everything")
    def test_a_data_directory_of_somebody_else(self):
        os.chmod(self.arguments["data_dir"], 0o500)
        self.addCleanup(os.chmod, self.arguments["data_dir"], 0o700)
        self.refused("cannot be read and written")

    def test_a_damaged_log(self):
        with open(os.path.join(self.arguments["data_dir"], "log.mdb"), "r+b") as file:
            file.write(b"\xa5" * os.fstat(file.fileno()).st_size)
        self.refused(("log.mdb", "damaged"))

    def test_a_log_that_is_cut_off(self):
        with open(os.path.join(self.arguments["data_dir"], "log.mdb"), "r+b") as file:
            file.truncate(4096)
        self.refused("log.mdb")

    def test_a_second_process_on_the_same_data_directory(self):
        with self.running():
            self.http_port, first = free_port(), self.http_port
            self.refused_beside("another process")
            self.http_port = first
            self.assertTrue(self.ready())

    def refused_beside(self, words):
        """As refused, while somebody else writes to the directory."""
        done = subprocess.run([TOCSIND, "--config", self.write_config()], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, check=False)
        self.assertEqual(1, done.returncode, done.stderr)
        self.last_error = done.stderr.splitlines()[-1]
        self.assertIn(words, self.last_error)

    # ---- the network

    def test_ports_in_use(self):
        for port, words in ((self.http_port, f"cannot listen on 127.0.0.1:{self.http_port}"),
                            (self.peer_port, f"cannot listen on the peer address 127.0.0.1:{self.peer_port}")):
            with self.subTest(words=words), listening(port):
                self.refused_beside(words)
                self.assertIn("address already in use", self.last_error.lower())
        with self.running():  # and nothing was lost
            self.assertTrue(self.ready())


if __name__ == "__main__":
    unittest.main()
