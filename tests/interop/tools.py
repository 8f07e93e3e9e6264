"""The tools of others: found on this machine, or installed from their registries into a folder under build/.

Each function answers with what runs the tool, or raises unittest.SkipTest with a sentence that says what is missing and how to get it.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("TOCSIN_INTEROP_CACHE", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop"))
INSTALL_SECONDS_MAX = 600
SENTENCE_LENGTH_MAX = 400
# What the suites were written against; newer ones are tried by changing them here.
PYTHON_PACKAGES = ("pagerduty==7.2.0", "pdpyras==5.4.1")
JAVASCRIPT_PACKAGES = ("@pagerduty/pdjs@2.2.4",)


def command(*names, why):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise unittest.SkipTest(f"{' or '.join(names)} is not on this machine: {why}")


def install(what, *arguments, **options):
    """Runs an installer; its end of output becomes the sentence when it fails."""
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unittest.SkipTest(f"{what} cannot be had: {error}") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        said = said[max(said.find("Error: "), 0):]  # where Terraform's warnings end
        raise unittest.SkipTest(f"{what} cannot be had: {os.path.basename(arguments[0])} {arguments[1]}: {said[:SENTENCE_LENGTH_MAX]}")


def once(name, packages, installer):
    """A folder of the cache that holds these packages; `installer` fills it when it does not hold them yet."""
    folder = os.path.join(CACHE, name)
    stamp = os.path.join(folder, "installed")
    if not os.path.exists(stamp) or open(stamp, encoding="ascii").read() != " ".join(packages):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        installer(folder)
        with open(stamp, "w", encoding="ascii") as file:
            file.write(" ".join(packages))
    return folder


def python_packages():
    """Makes PagerDuty's Python SDKs importable."""
    folder = once("python", PYTHON_PACKAGES, lambda folder: install(
        "PagerDuty's Python SDK", sys.executable, "-m", "pip", "install", "-q", "--target", folder, *PYTHON_PACKAGES))
    if folder not in sys.path:
        sys.path.insert(0, folder)


def javascript_packages():
    """(node, the folder that holds node_modules)."""
    node = command("node", "nodejs", why="install Debian's nodejs and npm")
    npm = command("npm", why="install Debian's npm")
    folder = once("javascript", JAVASCRIPT_PACKAGES, lambda folder: install(
        "PagerDuty's JavaScript SDK", npm, "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, *JAVASCRIPT_PACKAGES))
    return node, folder


def go_module(what, folder):
    """The go command, once it has what the module in this folder needs."""
    go = command("go", why="install Go 1.19 or newer (Debian's golang-go)")
    install(what, go, "mod", "download", cwd=folder)
    return go


PROVIDER = """terraform {
  required_providers {
    pagerduty = { source = "PagerDuty/pagerduty" }
  }
}
"""


@functools.cache
def terraform():
    """(terraform or tofu, its environment): PagerDuty's provider is found by it, or is the program that TERRAFORM_PROVIDER names."""
    program = command("terraform", "tofu", why="install Terraform or OpenTofu")
    folder = os.path.join(CACHE, "terraform")
    os.makedirs(folder, exist_ok=True)
    environment = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    provider = os.environ.get("TERRAFORM_PROVIDER")
    if provider:
        link, settings = os.path.join(folder, "terraform-provider-pagerduty"), os.path.join(folder, "cli.tfrc")
        if not os.access(provider, os.X_OK):
            raise unittest.SkipTest(f"TERRAFORM_PROVIDER names no program: {provider}")
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(os.path.abspath(provider), link)
        with open(settings, "w", encoding="utf-8") as file:
            file.write('provider_installation {\n  dev_overrides { "PagerDuty/pagerduty" = "%s" }\n  direct {}\n}\n' % os.path.abspath(folder))
        return program, {**environment, "TF_CLI_CONFIG_FILE": settings}
    environment["TF_PLUGIN_CACHE_DIR"] = os.path.abspath(folder)
    with tempfile.TemporaryDirectory(prefix="tocsin-terraform-") as probe:
        with open(os.path.join(probe, "main.tf"), "w", encoding="utf-8") as file:
            file.write(PROVIDER)
        try:
            install("PagerDuty's Terraform provider", program, "init", "-no-color", "-input=false", cwd=probe, env={**os.environ, **environment})
        except unittest.SkipTest as sentence:
            raise unittest.SkipTest(f"{sentence} (TERRAFORM_PROVIDER=<path of its binary> is the other way)") from sentence
    return program, environment
