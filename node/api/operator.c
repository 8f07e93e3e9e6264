/* For operators and load balancers: how the cluster stands, whether this node is alive, whether it can serve. */
#include "node/api/api.h"

static void get_cluster(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;

    api_json(request, 200, ports->cluster(ports->context));
}

static void get_rehearsal(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;

    api_json(request, 200, ports->rehearse_last_gasp(ports->context));
}

static void get_health(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;
    unsigned status = 200;
    json_t *answer = ports->health(ports->context, &status);

    api_json(request, status, answer);
}

static void get_readiness(struct http_request *request)
{
    struct api_ports *ports = &api_call_of(request)->api->ports;
    unsigned status = 200;
    json_t *answer = ports->ready(ports->context, &status);

    api_json(request, status, answer);
}

const struct route routes_operator[] = {
    {"GET", "/cluster", get_cluster, FAMILY_OPERATOR, ROUTE_PUBLIC},
    {"GET", "/cluster/last_gasp/rehearsal", get_rehearsal, FAMILY_OPERATOR, 0},
    {"GET", "/healthz", get_health, FAMILY_OPERATOR, ROUTE_PUBLIC},
    {"GET", "/readyz", get_readiness, FAMILY_OPERATOR, ROUTE_PUBLIC},
    {0},
};
