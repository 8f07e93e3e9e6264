// PagerDuty's Go client at work. ../test_go.py starts the pager, and says where things are:
//
//	TOCSIN_URL     of a node               TOCSIN_PHONES  file of what phones got
//	TOCSIN_TOKEN   the account's token
package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
)

const (
	address  = "ada@payments.example"
	people   = 60
	patience = 30 * time.Second
)

var (
	ctx    = context.Background()
	client = pagerduty.NewClient(os.Getenv("TOCSIN_TOKEN"), pagerduty.WithAPIEndpoint(os.Getenv("TOCSIN_URL")),
		pagerduty.WithV2EventsAPIEndpoint(os.Getenv("TOCSIN_URL")))
	ada     *pagerduty.User
	team    *pagerduty.Team
	rota    *pagerduty.Schedule
	policy  *pagerduty.EscalationPolicy
	service *pagerduty.Service
	key     string
)

// The first thing that goes wrong ends the run: nothing works without the team.
func TestMain(m *testing.M) {
	if err := describeTeam(); err != nil {
		fmt.Fprintln(os.Stderr, "the team was not taken:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func describeTeam() (err error) {
	if team, err = client.CreateTeamWithContext(ctx, &pagerduty.Team{Name: "Payments"}); err != nil {
		return err
	}
	if ada, err = client.CreateUserWithContext(ctx, pagerduty.User{Name: "Ada Lovelace", Email: address, Role: "limited_user"}); err != nil {
		return err
	}
	if err = client.AddUserToTeamWithContext(ctx, pagerduty.AddUserToTeamOptions{TeamID: team.ID, UserID: ada.ID, Role: "responder"}); err != nil {
		return err
	}
	phone, err := client.CreateUserContactMethodWithContext(ctx, ada.ID, pagerduty.ContactMethod{
		Type: "sms_contact_method", Label: "Mobile", Address: "2025550101", CountryCode: 1})
	if err != nil {
		return err
	}
	if _, err = client.CreateUserNotificationRuleWithContext(ctx, ada.ID, pagerduty.NotificationRule{Type: "assignment_notification_rule",
		Urgency: "high", ContactMethod: pagerduty.ContactMethod{ID: phone.ID, Type: phone.Type}}); err != nil {
		return err
	}
	if rota, err = client.CreateScheduleWithContext(ctx, pagerduty.Schedule{Name: "Payments primary", TimeZone: "Europe/Paris",
		ScheduleLayers: []pagerduty.ScheduleLayer{{Name: "Always", Start: "2026-01-05T10:00:00+01:00",
			RotationVirtualStart: "2026-01-05T10:00:00+01:00", RotationTurnLengthSeconds: 604800,
			Users: []pagerduty.UserReference{{User: pagerduty.APIObject{ID: ada.ID, Type: "user_reference"}}}}}}); err != nil {
		return err
	}
	level := pagerduty.EscalationRule{Delay: 30, Targets: []pagerduty.APIObject{{ID: rota.ID, Type: "schedule_reference"}}}
	if policy, err = client.CreateEscalationPolicyWithContext(ctx, pagerduty.EscalationPolicy{Name: "Payments",
		EscalationRules: []pagerduty.EscalationRule{level}}); err != nil {
		return err
	}
	if service, err = client.CreateServiceWithContext(ctx, pagerduty.Service{Name: "Payments API",
		EscalationPolicy: pagerduty.EscalationPolicy{APIObject: pagerduty.APIObject{ID: policy.ID, Type: "escalation_policy_reference"}}}); err != nil {
		return err
	}
	integration, err := client.CreateIntegrationWithContext(ctx, service.ID, pagerduty.Integration{
		APIObject: pagerduty.APIObject{Type: "events_api_v2_inbound_integration"}, Name: "Events"})
	if err != nil {
		return err
	}
	key = integration.IntegrationKey
	return nil
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %v", what, patience)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whether Ada's phone got a text about the incident.
func paged(t *testing.T, number uint) bool {
	t.Helper()
	texts, err := os.ReadFile(os.Getenv("TOCSIN_PHONES"))
	must(t, err)
	for _, line := range strings.SplitAfter(string(texts), "\n") {
		if !strings.HasSuffix(line, "\n") {
			break // the rest of it is on its way
		}
		var page struct{ Channel, To, Text string }
		must(t, json.Unmarshal([]byte(line), &page))
		if page.Channel == "sms" && page.To == "+12025550101" && strings.Contains(page.Text, fmt.Sprintf("#%d ", number)) {
			return true
		}
	}
	return false
}

// The dedup key of an event and the incident that it opened.
func trigger(t *testing.T, summary string) (string, *pagerduty.Incident) {
	t.Helper()
	answer, err := client.ManageEventWithContext(ctx, &pagerduty.V2Event{RoutingKey: key, Action: "trigger",
		Payload: &pagerduty.V2Payload{Summary: summary, Source: "db1", Severity: "critical"}})
	must(t, err)
	var found *pagerduty.Incident
	until(t, "the incident", func() bool {
		list, err := client.ListIncidentsWithContext(ctx, pagerduty.ListIncidentsOptions{DateRange: "all", ServiceIDs: []string{service.ID}})
		must(t, err)
		for i := range list.Incidents {
			if list.Incidents[i].Title == summary {
				found = &list.Incidents[i]
			}
		}
		return found != nil
	})
	return answer.DedupKey, found
}

func TestATriggerPagesWhoIsOnCall(t *testing.T) {
	onCall, err := client.ListOnCallsWithContext(ctx, pagerduty.ListOnCallOptions{ScheduleIDs: []string{rota.ID}})
	must(t, err)
	if len(onCall.OnCalls) != 1 || onCall.OnCalls[0].User.ID != ada.ID {
		t.Fatalf("on call: %+v", onCall.OnCalls)
	}
	_, incident := trigger(t, "Card payments fail")
	until(t, "the page", func() bool { return paged(t, incident.IncidentNumber) })
}

func TestAnIncidentIsAcknowledgedAnnotatedAndResolved(t *testing.T) {
	_, incident := trigger(t, "Ledger out of balance")
	for _, status := range []string{"acknowledged", "resolved"} {
		answer, err := client.ManageIncidentsWithContext(ctx, address, []pagerduty.ManageIncidentsOptions{{ID: incident.ID, Status: status}})
		must(t, err)
		if len(answer.Incidents) != 1 || answer.Incidents[0].Status != status {
			t.Fatalf("%s: %+v", status, answer.Incidents)
		}
		note, err := client.CreateIncidentNoteWithContext(ctx, incident.ID, pagerduty.IncidentNote{
			Content: "It is " + status, User: pagerduty.APIObject{Summary: address}})
		must(t, err)
		if note.Content != "It is "+status {
			t.Fatalf("note: %+v", note)
		}
	}
	notes, err := client.ListIncidentNotesWithContext(ctx, incident.ID)
	must(t, err)
	if len(notes) != 2 {
		t.Fatalf("notes: %+v", notes)
	}
	entries, err := client.ListIncidentLogEntriesWithContext(ctx, incident.ID, pagerduty.ListIncidentLogEntriesOptions{Limit: 100})
	must(t, err)
	kinds := map[string]bool{}
	for _, entry := range entries.LogEntries {
		kinds[entry.Type] = true
	}
	for _, kind := range []string{"trigger_log_entry", "acknowledge_log_entry", "annotate_log_entry", "resolve_log_entry"} {
		if !kinds[kind] {
			t.Errorf("no %s in %v", kind, kinds)
		}
	}
	alerts, err := client.ListIncidentAlertsWithContext(ctx, incident.ID, pagerduty.ListIncidentAlertsOptions{})
	must(t, err)
	if len(alerts.Alerts) != 1 || alerts.Alerts[0].Severity != "critical" {
		t.Fatalf("alerts: %+v", alerts.Alerts)
	}
	alert, err := client.GetIncidentAlertWithContext(ctx, incident.ID, alerts.Alerts[0].ID)
	must(t, err)
	if alert.IncidentAlert.ID != alerts.Alerts[0].ID {
		t.Fatalf("alert: %+v", alert)
	}
}

func TestEventsAcknowledgeAndResolve(t *testing.T) {
	dedupKey, incident := trigger(t, "Queue is long")
	for _, step := range []struct{ action, status string }{{"acknowledge", "acknowledged"}, {"resolve", "resolved"}} {
		_, err := client.ManageEventWithContext(ctx, &pagerduty.V2Event{RoutingKey: key, Action: step.action, DedupKey: dedupKey})
		must(t, err)
		until(t, "the incident "+step.status, func() bool {
			now, err := client.GetIncidentWithContext(ctx, incident.ID)
			must(t, err)
			return now.Status == step.status
		})
	}
}

func TestATeamAndAnIntegrationAreChangedWithoutWrapper(t *testing.T) {
	changed, err := client.UpdateTeamWithContext(ctx, team.ID, &pagerduty.Team{Name: "Payments and refunds"})
	must(t, err)
	if changed.Name != "Payments and refunds" {
		t.Fatalf("team: %+v", changed)
	}
	integration, err := client.CreateIntegrationWithContext(ctx, service.ID, pagerduty.Integration{
		APIObject: pagerduty.APIObject{Type: "events_api_v2_inbound_integration"}, Name: "Spare"})
	must(t, err)
	integration.Name = "Second"
	integration, err = client.UpdateIntegrationWithContext(ctx, service.ID, *integration)
	must(t, err)
	if integration.Name != "Second" {
		t.Fatalf("integration: %+v", integration)
	}
	must(t, client.DeleteIntegrationWithContext(ctx, service.ID, integration.ID))
}

func TestListsOfSeveralPages(t *testing.T) {
	for i := 0; i < people; i++ {
		_, err := client.CreateUserWithContext(ctx, pagerduty.User{Name: fmt.Sprintf("Person %d", i), Email: fmt.Sprintf("person%d@many.example", i)})
		must(t, err)
	}
	found := map[string]bool{}
	for offset, more := uint(0), true; more; {
		page, err := client.ListUsersWithContext(ctx, pagerduty.ListUsersOptions{Query: "many.example", Limit: 7, Offset: offset})
		must(t, err)
		for _, user := range page.Users {
			found[user.ID] = true
		}
		more, offset = page.More, offset+page.Limit
	}
	if len(found) != people {
		t.Fatalf("%d of %d people", len(found), people)
	}
}

func TestAnOverrideTakesOver(t *testing.T) {
	deputy, err := client.CreateUserWithContext(ctx, pagerduty.User{Name: "Deputy", Email: "deputy@payments.example"})
	must(t, err)
	since := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Second)
	_, err = client.CreateOverrideWithContext(ctx, rota.ID, pagerduty.Override{Start: since.Format(time.RFC3339),
		End: since.Add(8 * time.Hour).Format(time.RFC3339), User: pagerduty.APIObject{ID: deputy.ID, Type: "user_reference"}})
	must(t, err)
	list, err := client.ListOverridesWithContext(ctx, rota.ID, pagerduty.ListOverridesOptions{
		Since: since.Add(-time.Hour).Format(time.RFC3339), Until: since.Add(24 * time.Hour).Format(time.RFC3339)})
	must(t, err)
	if len(list.Overrides) != 1 || list.Overrides[0].User.ID != deputy.ID {
		t.Fatalf("overrides: %+v", list.Overrides)
	}
	onCall, err := client.ListOnCallUsersWithContext(ctx, rota.ID, pagerduty.ListOnCallUsersOptions{
		Since: since.Add(time.Hour).Format(time.RFC3339), Until: since.Add(2 * time.Hour).Format(time.RFC3339)})
	must(t, err)
	if len(onCall) != 1 || onCall[0].ID != deputy.ID {
		t.Fatalf("on call: %+v", onCall)
	}
}

func TestTheTeam(t *testing.T) {
	members, err := client.ListMembersPaginated(ctx, team.ID)
	must(t, err)
	if len(members) != 1 || members[0].User.ID != ada.ID || members[0].Role != "responder" {
		t.Fatalf("members: %+v", members)
	}
}

func TestAMaintenanceWindow(t *testing.T) {
	start := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	window, err := client.CreateMaintenanceWindowWithContext(ctx, address, pagerduty.MaintenanceWindow{StartTime: start.Format(time.RFC3339),
		EndTime: start.Add(time.Hour).Format(time.RFC3339), Description: "New disks",
		Services: []pagerduty.APIObject{{ID: service.ID, Type: "service_reference"}}})
	must(t, err)
	read, err := client.GetMaintenanceWindowWithContext(ctx, window.ID, pagerduty.GetMaintenanceWindowOptions{})
	must(t, err)
	if read.Description != "New disks" || len(read.Services) != 1 {
		t.Fatalf("window: %+v", read)
	}
	must(t, client.DeleteMaintenanceWindowWithContext(ctx, window.ID))
}

func TestWhatIsRefusedSaysWhy(t *testing.T) {
	var refusal pagerduty.APIError
	err := client.DeleteScheduleWithContext(ctx, rota.ID)
	if !errors.As(err, &refusal) || refusal.StatusCode != 400 || refusal.APIError.ErrorObject.Code != 2001 {
		t.Fatalf("refused with: %v", err)
	}
	_, err = client.GetUserWithContext(ctx, "PNOBODY", pagerduty.GetUserOptions{})
	if !errors.As(err, &refusal) || !refusal.NotFound() {
		t.Fatalf("refused with: %v", err)
	}
}
