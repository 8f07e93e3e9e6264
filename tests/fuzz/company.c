/* See company.h. */
#include "tests/fuzz/company.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/input.h"


static const struct step {
    const char *method, *target;
    const char *body; /* JSON with ' for ", and ` for '; NULL: none */
} steps[] = {
    /* People: Alice is P000002, Bob P000003. */
    {"POST", "/users", "{'user':{'type':'user','name':'Alice','email':'alice@example.org'}}"},
    {"POST", "/users", "{'user':{'type':'user','name':'Bob','email':'bob@example.org'}}"},
    {"POST", "/users/P000002/contact_methods",
     "{'contact_method':{'type':'sms_contact_method','label':'Work','address':'5550100'}}"},
    /* Who is paged for what. */
    {"POST", "/escalation_policies",
     "{'escalation_policy':{'type':'escalation_policy','name':'Database people','escalation_rules':[{"
     "'escalation_delay_in_minutes':5,'targets':[{'id':'P000002','type':'user_reference'}]}]}}"},
    {"POST", "/escalation_policies",
     "{'escalation_policy':{'type':'escalation_policy','name':'Others','escalation_rules':[{"
     "'escalation_delay_in_minutes':5,'targets':[{'id':'P000003','type':'user_reference'}]}]}}"},
    {"POST", "/services",
     "{'service':{'type':'service','name':'Database','escalation_policy':{'id':'P000005','type':"
     "'escalation_policy_reference'}}}"},
    {"POST", "/services/P000009/integrations",
     "{'integration':{'type':'events_api_v2_inbound_integration','name':'Monitoring'}}"},
    {"POST", "/v2/enqueue",
     "{'routing_key':'" COMPANY_KEY "','event_action':'trigger','dedup_key':'disk','payload':{'summary':'Disk full',"
     "'source':'db1','severity':'critical'}}"},
    {"POST", "/schedules",
     "{'schedule':{'name':'Primary','time_zone':'Europe/Paris','schedule_layers':[{'start':'2026-09-01T00:00:00Z',"
     "'rotation_virtual_start':'2026-09-01T00:00:00Z','rotation_turn_length_seconds':604800,'users':[{'user':{'id':"
     "'P000002'}},{'user':{'id':'P000003'}}]}]}}"},
    {"PUT", "/schedules/P00000J", "{'schedule':{'description':'the rota'}}"},
    {"POST", "/schedules/P00000J/overrides",
     "{'overrides':[{'start':'2026-09-23T12:00:00Z','end':'2026-09-24T12:00:00Z','user':{'id':'P000003'}}]}"},
    {"POST", "/schedules/P00000J/swaps",
     "{'swap':{'user':{'id':'P000002'},'start':'2026-10-01T00:00:00Z','end':'2026-10-02T00:00:00Z','note':'Dentist'}}"},
    {"POST", "/schedules/P00000J/calendar_feed", NULL},
    {"POST", "/users/P000002/calendar_feed", NULL},
    {"POST", "/users/P000002/contact_methods",
     "{'contact_method':{'type':'email_contact_method','label':'Mail','address':'alice@example.org'}}"},
    {"POST", "/users/P000002/notification_rules",
     "{'notification_rule':{'type':'assignment_notification_rule','start_delay_in_minutes':5,'contact_method':{'id':"
     "'P000004','type':'sms_contact_method'},'urgency':'high'}}"},
    {"POST", "/users/P000002/oncall_handoff_notification_rules",
     "{'oncall_handoff_notification_rule':{'handoff_type':'oncall','notify_advance_in_minutes':180,'contact_method':{"
     "'id':'P000004','type':'sms_contact_method_reference'}}}"},
    {"POST", "/users/P000002/tokens", "{'token':{'name':'laptop'}}"},
    {"POST", "/tokens", "{'token':{'name':'ci','role':'user'}}"},
    /* A team, and a service with rules. */
    {"POST", "/teams", "{'team':{'type':'team','name':'Storage','description':'disks'}}"},
    {"POST", "/services",
     "{'service':{'name':'Shop','escalation_policy':{'id':'P000007'},'incident_urgency_rule':{'type':'use_support_hours',"
     "'during_support_hours':{'type':'constant','urgency':'high'},'outside_support_hours':{'type':'constant','urgency':"
     "'low'}},'support_hours':{'type':'fixed_time_per_day','time_zone':'Europe/Berlin','start_time':'09:00:00','end_time':"
     "'17:00:00','days_of_week':[1,2,3,4,5]},'alert_grouping_parameters':{'type':'content_based','config':{'aggregate':"
     "'all','fields':['class'],'time_window':86400}}}}"},
    {"PUT", "/teams/P000010/users/P000002", "{'role':'manager'}"},
    {"PUT", "/teams/P000010/escalation_policies/P000007", NULL},
    {"POST", "/services/P000011/integrations",
     "{'integration':{'type':'events_api_v2_inbound_integration','name':'Prometheus','vendor':{'id':'PV00005'}}}"},
    /* Events that are held back. */
    {"POST", "/maintenance_windows",
     "{'maintenance_window':{'type':'maintenance_window','services':[{'id':'P000011','type':'service_reference'}],"
     "'start_time':'2026-09-22T14:00:00Z','end_time':'2026-09-22T16:00:00Z','recurrence':{'type':'daily','time_zone':"
     "'Etc/UTC'}}}"},
    {"POST", "/mutes", /* from tomorrow on: as long as there is one, events wait for its verdict */
     "{'mute':{'matchers':[{'name':'rack','value':'r1','isRegex':false,'isEqual':true}],'reason':'ticket 7','start_time':"
     "'2026-09-22T14:00:00Z','end_time':'2026-09-23T14:00:00Z'}}"},
    {"POST", "/incidents/P00000B/notes", "{'note':{'content':'Which disk?'}}"},
    {"POST", "/event_orchestrations", "{'orchestration':{'name':'All','team':{'id':'P000010'}}}"},
    {"PUT", "/event_orchestrations/services/P000011",
     "{'orchestration_path':{'sets':[{'id':'start','rules':[{'label':'noise','conditions':[{'expression':"
     "'event.summary matches part `noise`'}],'actions':{'suspend':300}}]}],'catch_all':{'actions':{}}}}"},
    {"PUT", "/event_orchestrations/services/P000011/active", "{'active':true}"},
    /* What incidents have beside themselves. */
    {"POST", "/v2/change/enqueue",
     "{'routing_key':'" COMPANY_KEY "','payload':{'summary':'Build 7','source':'ci','timestamp':'2026-09-21T12:00:00.000+0000'},"
     "'links':[{'href':'https://example.org'}]}"},
    {"POST", "/incidents/P00000B/responder_requests",
     "{'requester_id':'P000002','message':'Please look','responder_request_targets':[{'responder_request_target':{'id':"
     "'P000003','type':'user_reference'}}]}"},
    {"POST", "/incidents/P00000B/status_updates/subscribers",
     "{'subscribers':[{'subscriber_id':'P000003','subscriber_type':'user'}]}"},
    {"POST", "/incidents/P00000B/notes", "{'note':{'content':'On it'}}"},
    /* Jobs that ping. */
    {"POST", "/api/v3/checks/",
     "{'service':'P000009','name':'backup','schedule':'30 2 * * *','tz':'Europe/Berlin','grace':3600}"},
    {"POST", "/v2/heartbeats", "{'name':'watchdog','interval':10,'intervalUnit':'minutes','enabled':true,'service':'P000011'}"},
    {"POST", "/drills",
     "{'drill':{'name':'SMS','interval_s':3600,'contact_method':{'type':'sms_contact_method','address':'5550123',"
     "'country_code':41}}}"},
    {"POST", "/ping/" COMPANY_CHECK "/fail", "it broke"},
    {"PUT", "/event_orchestrations/P000016/router",
     "{'orchestration_path':{'sets':[{'id':'start','rules':[{'label':'shop','conditions':[{'expression':"
     "'event.source matches `shop`'}],'actions':{'route_to':'P000011'}}]}],'catch_all':{'actions':{'route_to':"
     "'unrouted'}}}}"},
    {"POST", "/v2/enqueue",
     "{'routing_key':'" COMPANY_SHOP_KEY "','event_action':'trigger','dedup_key':'noise','payload':{'summary':'noise','source':"
     "'shop','severity':'info'}}"},
    {"POST", "/incidents",
     "{'incident':{'type':'incident','title':'Slow','service':{'id':'P000011','type':'service_reference'},'incident_key':"
     "'slow'}}"},
    /* Bob does little but what a team lets him. */
    {"PUT", "/users/P000003", "{'user':{'role':'limited_user'}}"},
    {"PUT", "/teams/P000010/users/P000003", "{'role':'responder'}"},
    {"POST", "/users/P000003/tokens", "{'token':{'name':'phone'}}"},
    {"POST", "/v2/enqueue",
     "{'routing_key':'" COMPANY_ORCHESTRATION_KEY "','event_action':'trigger','dedup_key':'till','payload':{'summary':'Till',"
     "'source':'shop','severity':'error','class':'c'}}"},
};

static const struct api_answer *ask(struct api_fixture *api, const struct step *step)
{
    char *body = NULL;
    if (step->body != NULL) {
        body = fuzz_must(strdup(step->body));
        for (char *at = body; *at != '\0'; at++) {
            *at = *at == '\'' ? '"' : *at == '`' ? '\'' : *at;
        }
    }
    struct api_question question = {.method = step->method, .target = step->target, .body = body};
    question.headers[0] = (struct http_parameter){"X-Api-Key", API_FIXTURE_TOKEN};
    question.headers[1] = (struct http_parameter){"From", "alice@example.org"};
    const struct api_answer *answer = api_fixture_ask(api, &question);
    free(body);
    return answer;
}

struct api_fixture *company_new(void)
{
    struct api_fixture *api = api_fixture_new();

    api_fixture_begin_members(api);

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct api_answer *answer = ask(api, &steps[i]);
        if (answer->status >= 300) {
            fuzz_broken(answer->text, steps[i].target, answer->status);
        }
        if (i + 1 == 8) {
            api_fixture_add_token(api, "observertoken", TOCSIN__ROLE__ROLE_OBSERVER, 0);
            api_fixture_add_token(api, "usertoken", TOCSIN__ROLE__ROLE_USER, 0);
        }
    }
    return api;
}

struct api_fixture *company_copy(const struct api_fixture *company)
{
    struct api_fixture *api = api_fixture_new();

    memory_store_free(api->store);
    api->store = memory_store_copy(company->store);
    api->view = memory_store_view(api->store);
    api->sequence = company->sequence;
    api->random_next = company->random_next;
    return api;
}
