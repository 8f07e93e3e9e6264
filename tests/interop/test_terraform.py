"""Terraform (or OpenTofu) with PagerDuty's provider: a payments team describes itself, is read back exactly, changes, leaves."""

import datetime
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse
import zoneinfo

import tools
from pager import Pager

HERE = os.path.dirname(os.path.abspath(__file__))
PAYMENTS = os.path.join(HERE, "terraform", "payments")
CHANGED = os.path.join(HERE, "terraform", "changed")
README = os.path.join(os.path.dirname(os.path.dirname(HERE)), "README.md")
README_URL = "http://127.0.0.1:7100"
VERB_SECONDS_MAX = 300
NUMBERS = {"Ada Lovelace": "+12025550101", "Brian Kernighan": "+12025550102", "Barbara Liskov": "+12025550103"}
PRIMARY = ["Ada Lovelace", "Brian Kernighan", "Barbara Liskov"]
SECONDARY = ["Brian Kernighan", "Barbara Liskov", "Ada Lovelace"]
ROTATION_START = datetime.datetime(2026, 1, 5, 10, tzinfo=zoneinfo.ZoneInfo("America/New_York"))

# What `terraform import` wants where it is not the id alone.
IMPORT_IDS = {
    "pagerduty_user_contact_method": "{user_id}:{id}",
    "pagerduty_user_notification_rule": "{user_id}:{id}",
    "pagerduty_user_handoff_notification_rule": "{user_id}.{id}",
    "pagerduty_service_integration": "{service}.{id}",
    "pagerduty_event_orchestration_integration": "{event_orchestration}:{id}",
}

# The provider reads this only into a state that has it already: after an import it is written once more.
NOT_IMPORTED = {"alert_grouping_parameters"}


class Workspace:
    """A folder with a configuration and a state."""

    def __init__(self, pager, *sources):
        self.pager = pager
        self.program, environment = tools.terraform()
        self.environment = {**os.environ, **environment, "PAGERDUTY_TOKEN": pager.token, "TF_VAR_pager_url": pager.plain_url}
        self.temporary = tempfile.TemporaryDirectory(prefix="tocsin-terraform-")
        self.folder = self.temporary.name
        for source in sources:
            self.add(source)

    def add(self, source):
        for name in os.listdir(source):
            shutil.copy(os.path.join(source, name), self.folder)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *arguments, expect=(0,)):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=VERB_SECONDS_MAX, check=False)
        if done.returncode not in expect:
            raise AssertionError(f"{os.path.basename(self.program)} {' '.join(arguments)}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
        return done

    def init(self):
        if not os.environ.get("TERRAFORM_PROVIDER"):  # which is used as it is
            self.run("init", "-no-color", "-input=false")

    def apply(self):
        return self.run("apply", "-auto-approve", "-no-color", "-input=false")

    def plan(self):
        """What would change: {address: (actions, {attribute: (before, after)})}, and how many would be imported."""
        self.run("plan", "-no-color", "-input=false", "-out", "plan")
        shown = json.loads(self.run("show", "-json", "plan").stdout)
        changes = {one["address"]: one["change"] for one in shown.get("resource_changes", [])}
        imported = sum("importing" in change for change in changes.values())
        return {address: (change["actions"], differences(change["before"] or {}, change["after"] or {})) for address, change in changes.items()
                if change["actions"] not in (["no-op"], ["read"])}, imported

    def managed(self):
        """[(address, type, values)] of the state."""
        root = json.loads(self.run("show", "-json").stdout).get("values", {}).get("root_module", {})
        return [(one["address"], one["type"], one["values"]) for one in root.get("resources", []) if one["mode"] == "managed"]

    def output(self, name):
        return json.loads(self.run("output", "-json", name).stdout)

    def close(self):
        self.temporary.cleanup()


def differences(before, after):
    return {name: (before.get(name), after.get(name)) for name in {**before, **after} if before.get(name) != after.get(name)}


def on_turn(keys, moment):
    """Whose week it is in a weekly rotation since ROTATION_START, by the wall clock there."""
    start = ROTATION_START.replace(tzinfo=None)
    local = moment.astimezone(ROTATION_START.tzinfo).replace(tzinfo=None)
    return keys[(local - start) // datetime.timedelta(days=7) % len(keys)]


class WithPager(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        tools.terraform()
        cls.pager = Pager()
        cls.addClassCleanup(cls.pager.close)

    def workspace(self, *sources, files=None):
        workspace = Workspace(self.pager, *sources)
        self.addCleanup(workspace.close)
        for name, text in (files or {}).items():
            workspace.write(name, text)
        workspace.init()
        return workspace

    def assert_no_change(self, workspace, when):
        changes, _ = workspace.plan()
        self.assertEqual({}, changes, f"the plan {when} is not empty")


class Life(WithPager):
    """From nothing to nothing: each step stands on the one before."""

    def test_apply_plan_import_change_destroy(self):
        workspace = self.workspace(PAYMENTS)
        workspace.apply()
        self.assert_no_change(workspace, "after apply")
        self.import_everything(workspace)
        self.change(workspace)
        self.destroy(workspace)

    def import_everything(self, workspace):
        """A second team member's checkout, without state."""
        other = self.workspace(PAYMENTS)
        managed = workspace.managed()
        self.assertGreater(len(managed), 25)
        blocks = [f'import {{\n  to = {address}\n  id = "{IMPORT_IDS.get(kind, "{id}").format(**values)}"\n}}\n' for address, kind, values in managed]
        other.write("import.tf", "".join(blocks))
        changes, imported = other.plan()
        differing = {address: names for address, (_, names) in changes.items() if set(names) - NOT_IMPORTED}
        self.assertEqual({}, differing, "what was imported differs from the configuration")
        self.assertEqual(len(managed), imported)
        other.run("apply", "-no-color", "plan")
        self.assert_no_change(other, "after import")

    def change(self, workspace):
        workspace.add(CHANGED)
        changes, _ = workspace.plan()
        self.assertGreater(len(changes), 3)
        workspace.apply()
        self.assert_no_change(workspace, "after a change")
        ledger = self.pager.named("/services", "services", "Payments ledger, double entry")
        self.assertEqual(3600, ledger["acknowledgement_timeout"])
        policy = self.pager.named("/escalation_policies", "escalation_policies", "Payments")
        self.assertEqual([5, 10, 15], [rule["escalation_delay_in_minutes"] for rule in policy["escalation_rules"]])

    def destroy(self, workspace):
        workspace.run("destroy", "-auto-approve", "-no-color", "-input=false")
        self.assertEqual([], workspace.managed())
        for path, plural in (("/users", "users"), ("/teams", "teams"), ("/schedules", "schedules"),
                             ("/escalation_policies", "escalation_policies")):
            self.assertEqual([], self.pager.listed(path, plural), f"{path} after destroy")
        self.assertFalse([one for one in self.pager.listed("/services", "services") if one["name"].startswith("Payments")])


class PaymentsTeam(WithPager):
    """What Terraform wrote, at work."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.team = Workspace(cls.pager, PAYMENTS)
        cls.addClassCleanup(cls.team.close)
        cls.team.init()
        cls.team.apply()

    def test_who_is_on_call_is_who_the_rotation_says(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        expected = {1: on_turn(PRIMARY, now), 3: "Margaret Hamilton"}
        policy = self.pager.named("/escalation_policies", "escalation_policies", "Payments")
        on_call = {one["escalation_level"]: one["user"]["summary"]
                   for one in self.pager.listed(f"/oncalls?escalation_policy_ids[]={policy['id']}", "oncalls")}
        self.assertEqual(expected, {level: on_call[level] for level in expected})

    def test_the_layer_described_last_lies_on_top(self):
        schedule = self.pager.named("/schedules", "schedules", "Payments secondary")
        monday = datetime.datetime.now(ROTATION_START.tzinfo).replace(hour=12, minute=30, second=0, microsecond=0)
        monday += datetime.timedelta(days=7 - monday.weekday())
        for moment, expected in ((monday, "Margaret Hamilton"),
                                 (monday + datetime.timedelta(hours=2), on_turn(SECONDARY, monday + datetime.timedelta(hours=2)))):
            window = {"since": moment.isoformat(), "until": (moment + datetime.timedelta(minutes=1)).isoformat()}
            rendered = self.pager.get(f"/schedules/{schedule['id']}?{urllib.parse.urlencode(window)}")["schedule"]["final_schedule"]
            self.assertEqual([expected], [entry["user"]["summary"] for entry in rendered["rendered_schedule_entries"]], moment)

    def send(self, summary, **payload):
        self.pager.send(self.team.output("orchestration_key"), summary, **payload)

    def test_events_go_where_their_summary_says(self):
        for summary, service in (("ledger is slow", "Payments ledger"), ("card payments are slow", "Payments API")):
            self.send(summary)
            self.assertEqual(service, self.pager.wait_incident(summary)["service"]["summary"])

    def test_an_event_is_raised_by_a_rule(self):
        self.send("A double booking", severity="info")
        incident = self.pager.wait_incident("A double booking")
        self.assertEqual(["Payments ledger", "P1"], [incident["service"]["summary"], incident["priority"]["summary"]])
        alerts = self.pager.listed(f"/incidents/{incident['id']}/alerts", "alerts")
        self.assertEqual(["critical"], [alert["severity"] for alert in alerts])
        notes = self.pager.get(f"/incidents/{incident['id']}/notes")["notes"]
        self.assertEqual(["Call the controller before you touch anything"], [note["content"] for note in notes])

    def test_staging_and_noise_wake_nobody(self):
        self.send("ledger is slow on staging", custom_details={"environment": "staging"})
        self.send("ledger is slow there, too", source="stg-7")
        self.send("keepalive")
        self.send("What nobody knows")
        self.send("card payments came last")  # the others were decided before
        last = self.pager.wait_incident("card payments came last")
        self.pager.wait_page(last, "sms", NUMBERS[on_turn(PRIMARY, datetime.datetime.now(datetime.timezone.utc))])
        titles = {one["title"] for one in self.pager.listed("/incidents?date_range=all", "incidents")}
        quiet = {"ledger is slow on staging", "ledger is slow there, too", "keepalive", "What nobody knows"}
        self.assertEqual(set(), titles & quiet)
        self.assertFalse([page for page in self.pager.deliveries() for summary in quiet if summary in page["text"]])

    def test_what_is_looked_up_is_found(self):
        found = self.team.output("looked_up")
        self.assertEqual({"people": 4, "members": 4}, {name: found.pop(name) for name in ("people", "members")})
        self.assertEqual({name: True for name in found}, found)

    def test_an_event_pages_the_primary_then_the_secondary_then_the_manager(self):
        self.pager.send(self.team.output("api_key"), "Card payments fail")
        incident = self.pager.wait_incident("Card payments fail")
        now = datetime.datetime.now(datetime.timezone.utc)
        for channel in ("sms", "voice"):
            self.pager.wait_page(incident, channel, NUMBERS[on_turn(PRIMARY, now)])
        self.pager.wait_page(incident, "email", "margaret.private@payments.example")


class ReadmeStart(WithPager):
    """The lines of the root README, as a reader would copy them."""

    def test_the_terraform_start_works(self):
        with open(README, encoding="utf-8") as file:
            block = re.search(r"```hcl\n(.*?)```", file.read(), re.DOTALL)
        self.assertIsNotNone(block, "the README shows no Terraform")
        self.assertLessEqual(len(block[1].splitlines()), 10)
        self.assertIn(README_URL, block[1])
        workspace = self.workspace(files={"main.tf": block[1].replace(README_URL, self.pager.plain_url)})
        workspace.apply()
        self.assert_no_change(workspace, "after apply")
        self.assertEqual("Alice", self.pager.get(f"/users/{workspace.output('alice')}")["user"]["name"])



if __name__ == "__main__":
    unittest.main()
