"""PagerDuty's Python SDKs, `pagerduty` and its predecessor `pdpyras`: what scripts of an operations team do."""

import datetime
import os
import unittest

import tools
from cluster import wait_for
from pager import Pager

PEOPLE = 60  # more than two pages of the default length


class Story:
    """The same for both SDKs, which a subclass names."""

    @classmethod
    def setUpClass(cls):
        tools.python_packages()
        cls.pager = Pager()
        cls.addClassCleanup(cls.pager.close)
        os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = cls.pager.front.certificate
        cls.describe_team()

    @classmethod
    def describe_team(cls):
        rest = cls.rest()
        cls.ada = rest.rpost("users", json={"type": "user", "name": "Ada Lovelace", "email": "ada@payments.example", "role": "limited_user"})
        cls.sms = rest.rpost(f"users/{cls.ada['id']}/contact_methods", json={
            "type": "sms_contact_method", "label": "Mobile", "address": "2025550101", "country_code": 1})
        rest.rpost(f"users/{cls.ada['id']}/notification_rules", json={
            "type": "assignment_notification_rule", "start_delay_in_minutes": 0, "urgency": "high",
            "contact_method": {"id": cls.sms["id"], "type": "sms_contact_method_reference"}})
        cls.schedule = rest.rpost("schedules", json={"type": "schedule", "name": "Payments primary", "time_zone": "Europe/Paris",
                                                     "schedule_layers": [{
            "name": "Always", "start": "2026-01-05T10:00:00+01:00", "rotation_virtual_start": "2026-01-05T10:00:00+01:00",
            "rotation_turn_length_seconds": 604800, "users": [{"user": {"id": cls.ada["id"], "type": "user_reference"}}]}]})
        cls.policy = rest.rpost("escalation_policies", json={"type": "escalation_policy", "name": "Payments", "escalation_rules": [{
            "escalation_delay_in_minutes": 30, "targets": [{"id": cls.schedule["id"], "type": "schedule_reference"}]}]})
        cls.service = rest.rpost("services", json={"type": "service", "name": "Payments API",
                                                   "escalation_policy": {"id": cls.policy["id"], "type": "escalation_policy_reference"}})
        cls.key = rest.rpost(f"services/{cls.service['id']}/integrations", json={
            "type": "events_api_v2_inbound_integration", "name": "Events"})["integration_key"]

    @classmethod
    def rest(cls):
        return cls.configured(cls.make_rest(cls.pager.token, "ada@payments.example"))

    def events(self):
        return self.configured(self.make_events(self.key))

    @classmethod
    def configured(cls, client):
        client.url = cls.pager.url
        return client

    def trigger(self, summary):
        """(dedup key, the incident once it is open)."""
        key = self.events().trigger(summary, "db1")
        return key, self.pager.wait_incident(summary)

    def test_the_account(self):
        rest = self.rest()
        self.assertEqual("account", rest.api_key_access)
        self.assertIn("urgencies", rest.rget("abilities"))

    def test_a_trigger_pages_who_is_on_call(self):
        rest = self.rest()
        on_call = list(rest.iter_all("oncalls", params={"schedule_ids[]": [self.schedule["id"]]}))
        self.assertEqual([self.ada["id"]], [one["user"]["id"] for one in on_call])
        _, incident = self.trigger("Card payments fail")
        self.pager.wait_page(incident, "sms", "+12025550101")

    def test_an_incident_is_acknowledged_annotated_and_resolved(self):
        rest = self.rest()
        self.trigger("Ledger out of balance")
        incident = next(one for one in rest.iter_all("incidents", params={"statuses[]": ["triggered"], "service_ids[]": [self.service["id"]]})
                        if one["title"] == "Ledger out of balance")
        self.assertTrue(incident["self"].startswith(self.pager.url))
        acknowledged = rest.rput(incident, json={"type": "incident_reference", "status": "acknowledged"})
        self.assertEqual(["acknowledged", self.ada["id"]], [acknowledged["status"], acknowledged["acknowledgements"][0]["acknowledger"]["id"]])
        note = rest.rpost(f"incidents/{incident['id']}/notes", json={"content": "A double booking"})
        self.assertEqual("A double booking", note["content"])
        [resolved] = rest.rput("incidents", json=[{"id": incident["id"], "type": "incident_reference", "status": "resolved"}])
        self.assertEqual("resolved", resolved["status"])
        kinds = [entry["type"] for entry in rest.iter_all(f"incidents/{incident['id']}/log_entries")]
        for kind in ("trigger_log_entry", "acknowledge_log_entry", "annotate_log_entry", "resolve_log_entry"):
            self.assertIn(kind, kinds)

    def test_events_acknowledge_and_resolve(self):
        events = self.events()
        key, incident = self.trigger("Queue is long")
        for act, status in ((events.acknowledge, "acknowledged"), (events.resolve, "resolved")):
            act(key)
            wait_for(lambda status=status: self.rest().rget(incident["self"])["status"] == status, f"the incident {status}")

    def test_an_incident_made_by_hand(self):
        made = self.rest().rpost("incidents", json={"type": "incident", "title": "Auditors are here", "urgency": "high", "service": {
            "id": self.service["id"], "type": "service_reference"}, "body": {"type": "incident_body", "details": "With a warrant"}})
        self.assertEqual("Auditors are here", made["title"])
        self.pager.wait_page(made, "sms", "+12025550101")

    def test_incidents_are_snoozed_merged_and_given_a_priority(self):
        rest = self.rest()
        first, second = (rest.rpost("incidents", json={"type": "incident", "title": title, "service": {
            "id": self.service["id"], "type": "service_reference"}}) for title in ("Cards fail", "Cards fail in Paris"))
        snoozed = rest.rpost(f"{first['self']}/snooze", json={"duration": 3600})
        self.assertEqual("acknowledged", snoozed["status"])
        self.assertIn("unacknowledge", [action["type"] for action in snoozed["pending_actions"]])
        priority = rest.find("priorities", "P2")
        raised = rest.rput(first, json={"type": "incident_reference", "priority": {"id": priority["id"], "type": "priority_reference"}})
        self.assertEqual("P2", raised["priority"]["summary"])
        rest.rput(f"{first['self']}/merge", json=[{"id": second["id"], "type": "incident_reference"}])
        self.assertEqual("resolved", rest.rget(second)["status"])

    def test_lists_of_several_pages(self):
        rest = self.rest()
        made = {rest.rpost("users", json={"type": "user", "name": f"Person {i}", "email": f"person{i}@many.example"})["id"] for i in range(PEOPLE)}
        found = rest.dict_all("users", params={"query": "many.example"})
        self.assertEqual(made, set(found))
        self.assertEqual(PEOPLE, len(rest.list_all("users", params={"query": "many.example"}, page_size=7)))
        self.assertEqual("Person 42", rest.find("users", "person42@many.example", attribute="email")["name"])
        for one in found.values():
            rest.rdelete(one)
        self.assertEqual([], rest.list_all("users", params={"query": "many.example"}))

    def test_what_is_there_is_kept(self):
        rest = self.rest()
        values = {"type": "user", "name": "Grace Hopper", "email": "grace@payments.example", "job_title": "Admiral"}
        first = rest.persist("users", "email", values, update=True)
        again = rest.persist("users", "email", {**values, "job_title": "Rear admiral"}, update=True)
        self.assertEqual(first["id"], again["id"])
        self.assertEqual("Rear admiral", rest.rget(first)["job_title"])

    def test_an_override_takes_over(self):
        rest = self.rest()
        other = rest.rpost("users", json={"type": "user", "name": "Deputy", "email": "deputy@payments.example"})
        since = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
        until = since + datetime.timedelta(hours=8)
        rest.rpost(f"schedules/{self.schedule['id']}/overrides", json=[{
            "start": since.isoformat(timespec="seconds"), "end": until.isoformat(timespec="seconds"),
            "user": {"id": other["id"], "type": "user_reference"}}])
        on_call = rest.list_all("oncalls", params={
            "schedule_ids[]": [self.schedule["id"]], "since": (since + datetime.timedelta(hours=1)).isoformat(),
            "until": (since + datetime.timedelta(hours=2)).isoformat()})
        self.assertEqual([other["id"]], [one["user"]["id"] for one in on_call])

    def test_a_window_keeps_quiet_and_tells_when_it_ends(self):
        rest = self.rest()
        now = datetime.datetime.now(datetime.timezone.utc)
        quiet = rest.rpost("services", json={"type": "service", "name": "Moving house",
                                             "escalation_policy": {"id": self.policy["id"], "type": "escalation_policy_reference"}})
        key = rest.rpost(f"services/{quiet['id']}/integrations", json={
            "type": "events_api_v2_inbound_integration", "name": "Events"})["integration_key"]
        window = rest.rpost("maintenance_windows", json={
            "type": "maintenance_window", "description": "Moving", "start_time": now.isoformat(timespec="seconds"),
            "end_time": (now + datetime.timedelta(hours=1)).isoformat(timespec="seconds"),
            "services": [{"id": quiet["id"], "type": "service_reference"}]})
        wait_for(lambda: rest.rget(quiet)["status"] == "maintenance", "the window's begin")
        self.configured(self.make_events(key)).trigger("Disks are away", "db1")
        self.assertEqual([], [one for one in rest.iter_all("incidents", params={"date_range": "all"}) if one["title"] == "Disks are away"])
        rest.rdelete(window)
        self.pager.wait_page(self.pager.wait_incident("Disks are away"), "sms", "+12025550101")

    def test_a_personal_token_acts_for_its_person(self):
        made = self.rest().post(f"users/{self.ada['id']}/tokens", json={"token": {"name": "Laptop"}}).json()["token"]
        rest = self.configured(self.make_rest(made["secret"], None))
        self.assertEqual(self.ada["id"], rest.rget("users/me")["id"])
        _, incident = self.trigger("Whose is it?")
        taken = rest.rput(incident, json={"type": "incident_reference", "status": "acknowledged"})
        self.assertEqual(self.ada["id"], taken["acknowledgements"][0]["acknowledger"]["id"])
        with self.assertRaises(self.http_error) as caught:
            rest.rdelete(self.service)
        self.assertEqual(403, caught.exception.response.status_code)

    def test_what_is_refused_says_why(self):
        rest = self.rest()
        with self.assertRaises(self.http_error) as caught:
            rest.rdelete(self.schedule)
        self.assertEqual(400, caught.exception.response.status_code)
        self.assertEqual(["Schedule can't be deleted if it's being used by escalation policies"],
                         caught.exception.response.json()["error"]["errors"])
        with self.assertRaises(self.http_error) as caught:
            rest.rget("users/PNOBODY")
        self.assertEqual(404, caught.exception.response.status_code)


class Pagerduty(Story, unittest.TestCase):
    @classmethod
    def make_rest(cls, token, address):
        import pagerduty  # pylint: disable=import-outside-toplevel
        cls.http_error = pagerduty.HttpError
        return pagerduty.RestApiV2Client(token, default_from=address)

    @classmethod
    def make_events(cls, key):
        import pagerduty  # pylint: disable=import-outside-toplevel
        return pagerduty.EventsApiV2Client(key)

    def test_abilities(self):
        self.assertTrue(self.rest().account_has_ability("urgencies"))
        self.assertFalse(self.rest().account_has_ability("sso"))

    def test_a_change_is_kept_beside_the_incidents(self):
        import pagerduty  # pylint: disable=import-outside-toplevel
        now = datetime.datetime.now(datetime.timezone.utc)
        changes = self.configured(pagerduty.EventsApiV2Client(self.key))
        changes.send_change_event(payload={"summary": "Release 42", "source": "ci", "timestamp": now.isoformat()},
                                  links=[{"href": "https://ci.example.com/42", "text": "The build"}])
        found = wait_for(lambda: [one for one in self.pager.listed("/change_events", "change_events") if one["summary"] == "Release 42"],
                         "the change")
        self.assertEqual([self.service["id"]], [service["id"] for service in found[0]["services"]])

    def test_the_history_of_an_hour(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.trigger("Seen in the history")
        entries = list(self.rest().iter_history("log_entries", now - datetime.timedelta(minutes=1), now + datetime.timedelta(hours=1)))
        self.assertTrue(any(entry["incident"]["summary"].endswith("Seen in the history") for entry in entries))


class Pdpyras(Story, unittest.TestCase):
    @classmethod
    def make_rest(cls, token, address):
        import pdpyras  # pylint: disable=import-outside-toplevel
        cls.http_error = pdpyras.PDClientError
        return pdpyras.APISession(token, default_from=address)

    @classmethod
    def make_events(cls, key):
        import pdpyras  # pylint: disable=import-outside-toplevel
        return pdpyras.EventsAPISession(key)


if __name__ == "__main__":
    unittest.main()
