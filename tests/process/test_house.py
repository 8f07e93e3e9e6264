"""The rules of the house, held against the tree as it is; each rule is first shown what it must not let pass."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOP_LEVEL = {"Makefile", "README.md", "LICENSE", "node", "consensus", "storage", "notify", "tests", "ops"}
WITH_README = ("", "node", "consensus", "consensus/machine", "consensus/machine/oncall", "storage", "notify", "tests",
               "ops")
LINES_MAX = 800

# Folder, longest first: which of our folders it may include, and which libraries it must not.
NETWORK = ("uv.h", "curl/", "microhttpd.h", "gnutls/")
ARROWS = (
    ("consensus/machine/oncall/", ("consensus/machine/oncall/", "consensus/machine/schema/schema.pb-c.h", "consensus/machine/schedules/shift_rows.h",
                                   "consensus/machine/limits.h", "consensus/machine/base/span.h"), NETWORK + ("time.h", "stdio.h", "fcntl.h")),
    ("consensus/machine/", ("consensus/machine/",), NETWORK + ("lmdb.h", "raft.h", "jansson.h", "ini.h", "nettle/", "pthread.h",
                                                               "time.h", "locale.h", "math.h", "ctype.h", "wchar.h", "regex.h")),
    ("consensus/", ("consensus/",), ("lmdb.h", "curl/", "microhttpd.h", "jansson.h", "ini.h")),
    ("storage/", ("storage/", "consensus/machine/"), NETWORK + ("raft.h", "jansson.h", "ini.h")),
    ("notify/", ("notify/", "consensus/machine/"), ("lmdb.h", "raft.h", "microhttpd.h", "ini.h")),
    ("node/", ("node/", "notify/", "storage/", "consensus/"), ("lmdb.h",)),
)
ONCALL = "consensus/machine/oncall/"
# Without bounds, with hidden shared state, or through a shell.
BANNED = ("sprintf vsprintf strcpy strncpy stpcpy strcat strncat gets scanf sscanf fscanf strtok atoi atol atoll atof alloca "
          "rand srand random srandom system popen tmpnam tempnam mktemp localtime gmtime ctime asctime inet_ntoa inet_addr "
          "gethostbyname setlocale").split()
# What could differ between two nodes that apply the same entry.
IMPURE_CALLS = ("time clock clock_gettime gettimeofday localtime_r gmtime_r mktime timegm strftime rand_r drand48 lrand48 "
                "getrandom getentropy arc4random strtod strtof strtold setlocale newlocale uselocale localeconv strcoll strxfrm "
                "toupper tolower isalpha isalnum isupper islower isspace ispunct isprint mbstowcs mbrtowc regcomp getenv getpid "
                "gethostname socket open fopen").split()
IMPURE_WORDS = "float double _Complex".split()


def tree():
    """{path: text} of the project's files: what git tracks, or all there is where it came without git."""
    try:
        listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
        paths = [path for path in listed.stdout.decode().split("\0") if path]
    except (FileNotFoundError, subprocess.CalledProcessError):
        paths = [os.path.relpath(os.path.join(folder, name), ROOT) for folder, _, names in os.walk(ROOT) for name in names]
        paths = [path for path in paths if not re.match(r"(build(-[^/]*)?|\.git)/|(.*/)?__pycache__/", path)]
    files = {}
    for path in paths:
        if os.path.isfile(os.path.join(ROOT, path)):  # deleted in the tree, perhaps, and not yet in the index
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                files[path] = file.read()
    return files


def code_lines(text, keep_strings=False):
    """(number, line) of C code without comments and, unless kept, without what stands in quotes."""
    def blank(match):
        token = match.group()
        if token.startswith("/"):
            return " " + "\n" * token.count("\n")
        return token if keep_strings else token[0] * 2
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return enumerate(re.sub(token, blank, text, flags=re.DOTALL).split("\n"), 1)


def in_c(files, *folders):
    return {path: text for path, text in files.items() if path.endswith((".c", ".h")) and path.startswith(folders)}


def product(files):
    return in_c(files, *(folder for folder, _, _ in ARROWS))


def against_the_arrows(files):
    faults = []
    for path, text in product(files).items():
        _, ours, not_these = next(arrow for arrow in ARROWS if path.startswith(arrow[0]))
        for number, line in code_lines(text, keep_strings=True):
            include = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
            if include and include[1] == '"' and not include[2].startswith(ours):
                faults.append(f"{path}:{number}: includes {include[2]}")
            if include and path.startswith("consensus/machine/") and not path.startswith(ONCALL) and include[2].startswith(ONCALL):
                faults.append(f"{path}:{number}: the machine does no rendering: {include[2]}")
            if include and include[1] == "<" and include[2].startswith(not_these):
                faults.append(f"{path}:{number}: includes the library header {include[2]}")
    return faults


def calls_of(names, files):
    # A field of that name (ports->random) is not the function.
    pattern = re.compile(r"(?<![\w.>*])(?:%s)\s*\(" % "|".join(names))
    return [f"{path}:{number}: {line.strip()}" for path, text in files.items() for number, line in code_lines(text)
            if pattern.search(line)]


def banned_calls(files):
    return calls_of(BANNED, product(files))


def impurities(files):
    machine = in_c(files, "consensus/machine/")
    schema = {path: text for path, text in files.items() if path.startswith("consensus/machine/") and path.endswith(".proto")}
    pattern = re.compile(r"\b(?:%s|(?:uv|pthread)_\w+)\b" % "|".join(IMPURE_WORDS))
    return calls_of(IMPURE_CALLS, machine) + [
        f"{path}:{number}: {line.strip()}" for path, text in {**machine, **schema}.items() for number, line in code_lines(text)
        if pattern.search(line)]


def too_long(files):
    return [f"{path} has {text.count(chr(10))} lines" for path, text in files.items() if text.count("\n") > LINES_MAX]


def strays(files):
    return sorted({path.split("/")[0] for path in files} - TOP_LEVEL - {path.split("/")[0] for path in files if path.startswith(".")})


def without_readme(files):
    return [folder or "the top level" for folder in WITH_README if os.path.join(folder, "README.md") not in files]


def configuration_keys(files):
    """{(section, key): default or None} of the tables in node/config.c."""
    text = files["node/config.c"]
    keys = {(section, name): standard for section, name, standard in
            re.findall(r'\{"(\w+)", "(\w+)", TYPE_\w+, AT\([^)]*\), (?:NULL|"([^"]*)"),', text)}
    keys.update({("guardian", name): "" for name in re.findall(r'\{"(\w+)", TOCSIN__CHANNEL__', text)})
    own = (("member", "address"), ("member", "public_url"), ("outer", "preset"), ("outer", "url"), ("outer", "key_file"))
    return {**keys, **dict.fromkeys(own, "")}


def example_faults(files):
    """A line of the example is a comment ("# ..."), a section, a key, or a key that is off and shows its default ("#key = ...")."""
    keys, shown, section, faults = configuration_keys(files), set(), None, []
    for number, line in enumerate(files["ops/tocsind.conf.example"].splitlines(), 1):
        place = f"ops/tocsind.conf.example:{number}"
        if heading := re.match(r"#?\[(\w+)(?:\.\w+)?\]$", line):
            section = heading[1]
        elif pair := re.match(r"(#?)(\w+) = (.+)$", line):
            key = section, pair[2]
            shown.add(key)
            if key not in keys:
                faults.append(f"{place}: [{section}] has no key {pair[2]}")
            elif pair[1] and keys[key] and pair[3] != keys[key]:
                faults.append(f"{place}: the default of {pair[2]} is {keys[key]}")
        elif line and not line.startswith("# "):
            faults.append(f"{place}: neither comment nor section nor key")
    return faults + [f"[{section}] {name} is missing in the example" for section, name in keys if (section, name) not in shown]


class House(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = tree()

    def hold(self, rule, *broken):
        """The rule sees what is wrong in each broken file, and nothing in the tree."""
        self.assertGreater(len(self.files), 100, "the tree was not found")
        for path, text in broken:
            with self.subTest(broken=path, text=text[:60]):
                self.assertEqual(1, len(rule({path: text})))
        faults = rule(self.files)
        self.assertEqual([], faults, "\n" + "\n".join(faults))

    def test_includes_follow_the_arrows(self):
        self.hold(against_the_arrows,
                  ("consensus/machine/x.c", '#include "consensus/driver/driver.h"'), ("consensus/machine/x.h", "#include <uv.h>"),
                  ("consensus/machine/x.c", "#include <time.h>"), ("consensus/machine/oncall/x.c", '#include "consensus/machine/apply.h"'),
                  ("consensus/machine/x.c", '#include "consensus/machine/oncall/render.h"'), ("consensus/x.c", '#include "storage/files.h"'),
                  ("consensus/x.c", "#include <lmdb.h>"), ("storage/x.c", '#include "consensus/driver/driver.h"'),
                  ("storage/x.c", "#include <curl/curl.h>"), ("notify/channels/x.c", '#include "node/log.h"'),
                  ("notify/x.c", '# include "consensus/transport/wire.h"'), ("node/x.c", '#include "tests/support/memory_store.h"'),
                  ("node/api/x.c", '#include "render.h"'))

    def test_no_function_without_bounds_or_with_hidden_state(self):
        self.hold(banned_calls, *(("node/x.c", f"    a = {name}(b);") for name in BANNED),
                  ("storage/x.h", "static inline void f(void) { strcpy (a, b); }"), ("notify/x.c", '"/*"; gets(a); "*/";'))
        allowed = '/* rand()\n system() */ snprintf(a); // gets(\n f("strcpy("); ports->random(x); ports.system(y);'
        self.assertEqual([], banned_calls({"node/x.c": allowed}))

    def test_the_machine_depends_on_nothing_but_its_entries(self):
        self.hold(impurities, *(("consensus/machine/x.c", f"    a = {name}(b);") for name in IMPURE_CALLS),
                  *(("consensus/machine/x.c", f"    {word} ratio;") for word in IMPURE_WORDS),
                  ("consensus/machine/x.h", "uv_loop_t *loop;"), ("consensus/machine/x.c", "pthread_mutex_t lock;"),
                  ("consensus/machine/x.proto", "  double ratio = 1;"))

    def test_no_file_is_longer_than_one_can_read(self):
        self.hold(too_long, ("ops/x", "line\n" * (LINES_MAX + 1)))
        self.assertEqual([], too_long({"ops/x": "line\n" * LINES_MAX}))

    def test_the_top_level_holds_what_it_should(self):
        self.hold(strays, ("NOTES.md", ""), ("scripts/x", ""), ("build/tocsind", ""))

    def test_every_folder_says_what_it_is_for(self):
        self.assertEqual([], without_readme(self.files))
        for folder in WITH_README:
            self.assertEqual([folder or "the top level"],
                             without_readme({path: text for path, text in self.files.items()
                                             if path != os.path.join(folder, "README.md")}))

    def test_the_example_shows_every_key_of_the_configuration(self):
        self.assertGreater(len(configuration_keys(self.files)), 30, "the tables in node/config.c were not found")
        self.hold(example_faults)
        example = self.files["ops/tocsind.conf.example"]
        table, broken = self.files["node/config.c"], {
            "a key more in the table": (example, '{"node", "colour", TYPE_TEXT, AT(colour), NULL, 0, 0, "of it"},'),
            "an unknown key": (example + "colour = red\n", ""), "a key without a value": (example + "from = \n", ""),
            "another default": (example.replace("#heartbeat_ms = 100", "#heartbeat_ms = 99"), "")}
        for _, name in configuration_keys(self.files):
            broken[f"without {name}"] = re.sub(rf"(?m)^#?{name} = .*\n", "", example), ""
        for what, (text, more) in broken.items():
            with self.subTest(broken=what):
                self.assertTrue(example_faults({"ops/tocsind.conf.example": text, "node/config.c": table + more}))


if __name__ == "__main__":
    unittest.main()
