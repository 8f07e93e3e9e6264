/*
 * Vendors: the products whose alerts an integration may carry. Terraform looks them up by name, and an integration of one takes its type.
 *
 * Each is a label and nothing more: what counts is that the product can send PagerDuty's events to an address of ours. The numbers are what
 * clients keep: a row may be added, never renumbered.
 */
#include <string.h>

#include "node/api/render.h"
#include "node/api/services/catalog.h"

#define EVENTS_V2 "events_api_v2"
#define EVENTS_V1 "generic_events_api"

static const struct vendor {
    const char *id, *name, *generic_service_type, *website_url;
} vendors[] = {
    {"PV00001", "Prometheus", EVENTS_V2, "https://prometheus.io"},
    {"PV00002", "Grafana", EVENTS_V2, "https://grafana.com"},
    {"PV00003", "Datadog", EVENTS_V2, "https://www.datadoghq.com"},
    {"PV00004", "Amazon CloudWatch", "aws_cloudwatch", "https://aws.amazon.com/cloudwatch"},
    {"PV00005", "Nagios", "nagios", "https://www.nagios.org"},
    {"PV00006", "Icinga2", EVENTS_V2, "https://icinga.com"},
    {"PV00007", "Zabbix", EVENTS_V2, "https://www.zabbix.com"},
    {"PV00008", "Checkmk", EVENTS_V2, "https://checkmk.com"},
    {"PV00009", "Sensu", EVENTS_V2, "https://sensu.io"},
    {"PV0000A", "New Relic", EVENTS_V2, "https://newrelic.com"},
    {"PV0000B", "Dynatrace", EVENTS_V2, "https://www.dynatrace.com"},
    {"PV0000C", "Splunk", EVENTS_V2, "https://www.splunk.com"},
    {"PV0000D", "Sentry", EVENTS_V2, "https://sentry.io"},
    {"PV0000E", "Honeycomb", EVENTS_V2, "https://www.honeycomb.io"},
    {"PV0000F", "Elastic", EVENTS_V2, "https://www.elastic.co"},
    {"PV0000G", "Pingdom", "pingdom", "https://www.pingdom.com"},
    {"PV0000H", "UptimeRobot", EVENTS_V2, "https://uptimerobot.com"},
    {"PV0000J", "Uptime Kuma", EVENTS_V2, "https://uptime.kuma.pet"},
    {"PV0000K", "Healthchecks.io", EVENTS_V2, "https://healthchecks.io"},
    {"PV0000M", "Monit", EVENTS_V2, "https://mmonit.com/monit"},
    {"PV0000N", "PRTG", EVENTS_V2, "https://www.paessler.com/prtg"},
    {"PV0000P", "Netdata", EVENTS_V2, "https://www.netdata.cloud"},
    {"PV0000Q", "VictoriaMetrics", EVENTS_V2, "https://victoriametrics.com"},
    {"PV0000R", "GitHub", EVENTS_V2, "https://github.com"},
    {"PV0000S", "GitLab", EVENTS_V2, "https://gitlab.com"},
    {"PV0000T", "Jenkins", EVENTS_V2, "https://www.jenkins.io"},
    {"PV0000V", "Azure Monitor", EVENTS_V2, "https://azure.microsoft.com"},
    {"PV0000W", "Google Cloud Monitoring", EVENTS_V2, "https://cloud.google.com"},
    {"PV0000X", "Email", "generic_email", ""},
    {"PV0000Y", "Events API v1", EVENTS_V1, ""},
    {"PV0000Z", "Events API v2", EVENTS_V2, ""},
};
#define VENDORS_COUNT (sizeof vendors / sizeof *vendors)

static const struct vendor *vendor_find(uint64_t id)
{
    for (size_t i = 0; i < VENDORS_COUNT && id != 0; i++) {
        if (id_parse(vendors[i].id) == id) {
            return &vendors[i];
        }
    }
    return NULL;
}

const char *vendor_service_type(uint64_t id)
{
    const struct vendor *vendor = vendor_find(id);

    return vendor != NULL ? vendor->generic_service_type : NULL;
}

json_t *reference_vendor(struct http_request *request, uint64_t id)
{
    const struct vendor *vendor = vendor_find(id);

    if (id == 0) {
        return json_null();
    }
    return render_head(id, "vendor_reference", vendor != NULL ? vendor->name : NULL,
                       vendor != NULL ? render_self(request, "/vendors/%s", vendor->id) : json_null());
}

static json_t *render_vendor(struct http_request *request, const struct vendor *vendor)
{
    json_t *object = reference_vendor(request, id_parse(vendor->id));

    json_object_set_new(object, "type", json_string("vendor"));
    json_object_set_new(object, "name", json_string(vendor->name));
    json_object_set_new(object, "generic_service_type", json_string(vendor->generic_service_type));
    json_object_set_new(object, "website_url", json_text(vendor->website_url));
    json_object_set_new(object, "logo_url", json_null());
    json_object_set_new(object, "thumbnail_url", json_null());
    json_object_set_new(object, "description", json_null());
    json_object_set_new(object, "integration_guide_url", json_null());
    return object;
}

void vendors_list(struct http_request *request)
{
    struct page page;

    if (!page_parse(request, &page)) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < VENDORS_COUNT; i++) {
        if (page_take(&page)) {
            json_array_append_new(list, render_vendor(request, &vendors[i]));
        }
    }
    json_t *answer = json_pack("{s:o}", "vendors", list);
    page_finish(&page, answer);
    api_json(request, 200, answer);
}

void vendor_read(struct http_request *request)
{
    const struct vendor *vendor = vendor_find(id_parse(api_call_of(request)->parameters[0]));

    if (vendor == NULL) {
        api_not_found(request);
        return;
    }
    api_json(request, 200, json_pack("{s:o}", "vendor", render_vendor(request, vendor)));
}
