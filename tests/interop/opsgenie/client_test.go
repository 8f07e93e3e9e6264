// Opsgenie's Go SDK at work. ../test_opsgenie.py starts the pager with Ada, Bob and what they watch, and says where things are:
//
//	TOCSIN_HOST   of a node, or of the TLS in front of it     TOCSIN_KEY     of the integration
//	                                                          TOCSIN_TOKEN   the account's token
package opsgenie

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opsgenie/opsgenie-go-sdk-v2/alert"
	"github.com/opsgenie/opsgenie-go-sdk-v2/client"
	"github.com/opsgenie/opsgenie-go-sdk-v2/heartbeat"
	"github.com/opsgenie/opsgenie-go-sdk-v2/schedule"
	"github.com/sirupsen/logrus"
)

const alias = "disk of db1"

var ctx = context.Background()

func configure(key string) *client.Config {
	return &client.Config{ApiKey: os.Getenv(key), OpsGenieAPIURL: client.ApiUrl(os.Getenv("TOCSIN_HOST")), RetryCount: 2,
		LogLevel: logrus.FatalLevel}
}

func alerts(t *testing.T) *alert.Client {
	t.Helper()
	made, err := alert.NewClient(configure("TOCSIN_KEY"))
	must(t, err)
	return made
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, what string, got, want interface{}) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, and not %v", what, got, want)
	}
}

// done waits for the end of a request as the SDK does, and expects that it was carried out.
func done(t *testing.T, result *alert.AsyncAlertResult, err error) *alert.RequestStatusResult {
	t.Helper()
	must(t, err)
	is(t, "the result", result.Result, "Request will be processed")
	if result.RequestId == "" || result.RateLimitState != "OK" {
		t.Fatalf("the answer lacks its id or its rate limit: %+v", result.ResultMetadata)
	}
	status, err := result.RetrieveStatus(ctx)
	must(t, err)
	if !status.IsSuccess {
		t.Fatalf("%s was not carried out: %s", status.Action, status.Status)
	}
	return status
}

func shown(t *testing.T, c *alert.Client) *alert.GetAlertResult {
	t.Helper()
	got, err := c.Get(ctx, &alert.GetAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias})
	must(t, err)
	return got
}

func TestAnAlertLivesAndEnds(t *testing.T) {
	c := alerts(t)
	created, err := c.Create(ctx, &alert.CreateAlertRequest{Message: "The disk is full", Alias: alias, Description: "All of it",
		Tags: []string{"db", "eu"}, Details: map[string]string{"host": "db1"}, Entity: "db1", Source: "probe", Priority: alert.P2,
		Responders: []alert.Responder{{Type: alert.UserResponder, Username: "ada@example.com"}}, Note: "look at it"})
	status := done(t, created, err)
	is(t, "the status", status.Status, "Created alert")
	is(t, "the alias", status.Alias, alias)
	one := shown(t, c)
	is(t, "the id", one.Id, status.AlertID)
	is(t, "the priority", one.Priority, alert.P2)
	is(t, "the tags", strings.Join(one.Tags, " "), "db eu")
	is(t, "the detail", one.Details["host"], "db1")
	is(t, "the description", one.Description, "All of it")
	is(t, "the entity", one.Entity, "db1")
	if one.CreatedAt.IsZero() || one.Count != 1 || one.Status != "open" || len(one.Responders) == 0 {
		t.Fatalf("the alert lacks something: %+v", one)
	}

	again, err := c.Create(ctx, &alert.CreateAlertRequest{Message: "The disk is full", Alias: alias})
	done(t, again, err)
	is(t, "the count", shown(t, c).Count, 2)

	acked, err := c.Acknowledge(ctx, &alert.AcknowledgeAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, User: "Ada", Note: "on it"})
	done(t, acked, err)
	is(t, "acknowledged", shown(t, c).Acknowledged, true)
	unacked, err := c.Unacknowledge(ctx, &alert.UnacknowledgeAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias})
	done(t, unacked, err)
	is(t, "acknowledged", shown(t, c).Acknowledged, false)
	snoozed, err := c.Snooze(ctx, &alert.SnoozeAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, EndTime: time.Now().Add(time.Hour)})
	done(t, snoozed, err)
	is(t, "snoozed", shown(t, c).Snoozed, true)

	tagged, err := c.AddTags(ctx, &alert.AddTagsRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Tags: []string{"night"}})
	done(t, tagged, err)
	untagged, err := c.RemoveTags(ctx, &alert.RemoveTagsRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Tags: "db,eu"})
	done(t, untagged, err)
	is(t, "the tags", strings.Join(shown(t, c).Tags, " "), "night")
	detailed, err := c.AddDetails(ctx, &alert.AddDetailsRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias,
		Details: map[string]string{"rack": "r1"}})
	done(t, detailed, err)
	stripped, err := c.RemoveDetails(ctx, &alert.RemoveDetailsRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Keys: "host"})
	done(t, stripped, err)
	raised, err := c.UpdatePriority(ctx, &alert.UpdatePriorityRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Priority: alert.P1})
	done(t, raised, err)
	renamed, err := c.UpdateMessage(ctx, &alert.UpdateMessageRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Message: "Fuller"})
	done(t, renamed, err)
	described, err := c.UpdateDescription(ctx, &alert.UpdateDescriptionRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, Description: "Worse"})
	done(t, described, err)
	one = shown(t, c)
	is(t, "the priority", one.Priority, alert.P1)
	is(t, "the message", one.Message, "Fuller")
	is(t, "the description", one.Description, "Worse")
	is(t, "the details", len(one.Details), 1)

	closed, err := c.Close(ctx, &alert.CloseAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias, User: "Ada", Note: "deleted logs"})
	done(t, closed, err)
	one = shown(t, c)
	is(t, "the status", one.Status, "closed")
	is(t, "who closed it", one.Report.CloseTime > 0, true)
	once, err := c.Close(ctx, &alert.CloseAlertRequest{IdentifierType: alert.ALIAS, IdentifierValue: alias})
	must(t, err)
	status, err = once.RetrieveStatus(ctx)
	must(t, err)
	is(t, "closing it twice", status.IsSuccess, false)
}

func TestAnAlertChangesHands(t *testing.T) {
	c := alerts(t)
	created, err := c.Create(ctx, &alert.CreateAlertRequest{Message: "Load"})
	id := done(t, created, err).AlertID
	assigned, err := c.AssignAlert(ctx, &alert.AssignRequest{IdentifierType: alert.ALERTID, IdentifierValue: id,
		Owner: alert.User{Username: "bob@example.com"}})
	done(t, assigned, err)
	got, err := c.Get(ctx, &alert.GetAlertRequest{IdentifierType: alert.ALERTID, IdentifierValue: id})
	must(t, err)
	is(t, "the owner", got.Owner, "bob@example.com")
	escalated, err := c.EscalateToNext(ctx, &alert.EscalateToNextRequest{IdentifierType: alert.ALERTID, IdentifierValue: id,
		Escalation: alert.Escalation{Name: "Second line"}})
	done(t, escalated, err)
	asked, err := c.AddResponder(ctx, &alert.AddResponderRequest{IdentifierType: alert.TINYID, IdentifierValue: got.TinyId,
		Responder: alert.Responder{Type: alert.UserResponder, Username: "ada@example.com"}})
	done(t, asked, err)
	teamed, err := c.AddTeam(ctx, &alert.AddTeamRequest{IdentifierType: alert.ALERTID, IdentifierValue: id, Team: alert.Team{Name: "Storage"}})
	done(t, teamed, err)
	told, err := c.ListAlertRecipients(ctx, &alert.ListAlertRecipientRequest{IdentifierType: alert.ALERTID, IdentifierValue: id})
	must(t, err)
	if len(told.AlertRecipients) == 0 || !strings.HasSuffix(told.AlertRecipients[0].User.Username, "@example.com") {
		t.Fatalf("nobody was told: %+v", told.AlertRecipients)
	}
	_, err = c.AssignAlert(ctx, &alert.AssignRequest{IdentifierType: alert.ALERTID, IdentifierValue: id, Owner: alert.User{Username: "eve@example.com"}})
	if err == nil || !strings.Contains(err.Error(), "There is no user eve@example.com") {
		t.Fatalf("a stranger was taken for an owner: %v", err)
	}
	deleted, err := c.Delete(ctx, &alert.DeleteAlertRequest{IdentifierType: alert.ALERTID, IdentifierValue: id, Source: "suite"})
	done(t, deleted, err)
	if _, err = c.Get(ctx, &alert.GetAlertRequest{IdentifierType: alert.ALERTID, IdentifierValue: id}); err == nil {
		t.Fatal("what was deleted is still there")
	}
	if _, err = c.ExecuteCustomAction(ctx, &alert.ExecuteCustomActionAlertRequest{IdentifierType: alert.ALERTID, IdentifierValue: id,
		Action: "reboot"}); err == nil || !strings.Contains(err.Error(), "not kept here") {
		t.Fatalf("a custom action was not refused: %v", err)
	}
}

func TestAlertsAreFoundAndPaged(t *testing.T) {
	c := alerts(t)
	for _, message := range []string{"Pages 1", "Pages 2", "Pages 3"} {
		created, err := c.Create(ctx, &alert.CreateAlertRequest{Message: message, Alias: message, Tags: []string{"paged"}})
		done(t, created, err)
	}
	const query = `status: open AND tag: paged AND "pages"`
	counted, err := c.CountAlerts(ctx, &alert.CountAlertsRequest{Query: query})
	must(t, err)
	is(t, "the count", counted.Count, 3)
	var messages []string
	for offset := 0; offset < 3; offset += 2 {
		list, err := c.List(ctx, &alert.ListAlertRequest{Limit: 2, Offset: offset, Sort: alert.Message, Order: alert.Asc, Query: query})
		must(t, err)
		for _, one := range list.Alerts {
			messages = append(messages, one.Message)
		}
	}
	is(t, "the list", strings.Join(messages, ", "), "Pages 1, Pages 2, Pages 3")
	if _, err = c.List(ctx, &alert.ListAlertRequest{Query: "colour: red"}); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Fatalf("a query that means nothing was taken: %v", err)
	}

	for _, note := range []string{"one", "two", "three"} {
		noted, err := c.AddNote(ctx, &alert.AddNoteRequest{IdentifierType: alert.ALIAS, IdentifierValue: "Pages 1", User: "Ada", Note: note})
		done(t, noted, err)
	}
	notes, err := c.ListAlertNotes(ctx, &alert.ListAlertNotesRequest{IdentifierType: alert.ALIAS, IdentifierValue: "Pages 1", Limit: 2})
	must(t, err)
	is(t, "the newest note", notes.AlertLog[0].Note, "three")
	more, err := c.ListAlertNotes(ctx, &alert.ListAlertNotesRequest{IdentifierType: alert.ALIAS, IdentifierValue: "Pages 1", Limit: 2,
		Offset: notes.AlertLog[1].Offset, Direction: alert.NEXT})
	must(t, err)
	is(t, "the oldest note", more.AlertLog[0].Note, "one")
	logs, err := c.ListAlertLogs(ctx, &alert.ListAlertLogsRequest{IdentifierType: alert.ALIAS, IdentifierValue: "Pages 1", Order: alert.Asc, Limit: 100})
	must(t, err)
	is(t, "the first log", logs.AlertLog[0].Log, "Pages 1")
}

func TestAHeartbeatLives(t *testing.T) {
	c, err := heartbeat.NewClient(configure("TOCSIN_TOKEN"))
	must(t, err)
	yes := true
	_, err = c.Add(ctx, &heartbeat.AddRequest{Name: "backup", Description: "each night", Interval: 12, IntervalUnit: heartbeat.Hours, Enabled: &yes,
		AlertMessage: "No backup", AlertTag: []string{"db"}, AlertPriority: "P2"})
	must(t, err)
	pong, err := c.Ping(ctx, "backup")
	must(t, err)
	is(t, "the pong", pong.Message, "PONG - Heartbeat received")
	got, err := c.Get(ctx, "backup")
	must(t, err)
	is(t, "expired", got.Expired, false)
	is(t, "the unit", got.IntervalUnit, "hours")
	is(t, "what its alerts say", got.AlertMessage+got.AlertTags[0]+got.AlertPriority, "No backupdbP2")
	off, err := c.Disable(ctx, "backup")
	must(t, err)
	is(t, "enabled", off.Enabled, false)
	changed, err := c.Update(ctx, &heartbeat.UpdateRequest{Name: "backup", Interval: 1, IntervalUnit: heartbeat.Days, Enabled: &yes})
	must(t, err)
	is(t, "enabled", changed.Enabled, true)
	list, err := c.List(ctx)
	must(t, err)
	is(t, "the list", len(list.Heartbeats), 1)
	_, err = c.Delete(ctx, "backup")
	must(t, err)
	if _, err = c.Get(ctx, "backup"); err == nil {
		t.Fatal("what was deleted is still there")
	}
}

func TestSomebodyIsOnCall(t *testing.T) {
	c, err := schedule.NewClient(configure("TOCSIN_TOKEN"))
	must(t, err)
	yes, no := true, false // the SDK needs one of them
	now, err := c.GetOnCalls(ctx, &schedule.GetOnCallsRequest{Flat: &yes, ScheduleIdentifierType: schedule.Name, ScheduleIdentifier: "Rota"})
	must(t, err)
	if len(now.OnCallRecipients) != 1 || !strings.HasSuffix(now.OnCallRecipients[0], "@example.com") {
		t.Fatalf("nobody is on call: %+v", now)
	}
	next, err := c.GetNextOnCall(ctx, &schedule.GetNextOnCallsRequest{Flat: &no, ScheduleIdentifierType: schedule.Name, ScheduleIdentifier: "Rota"})
	must(t, err)
	if len(next.NextOnCallRecipients) != 1 || next.NextOnCallRecipients[0].Name == now.OnCallRecipients[0] {
		t.Fatalf("nobody is next: %+v", next)
	}
}
