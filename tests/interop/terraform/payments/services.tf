resource "pagerduty_service" "api" {
  name                    = "Payments API"
  description             = "Takes the money"
  escalation_policy       = pagerduty_escalation_policy.payments.id
  auto_resolve_timeout    = 14400
  acknowledgement_timeout = 1800
  alert_creation          = "create_alerts_and_incidents"
}

resource "pagerduty_service" "ledger" {
  name                    = "Payments ledger"
  escalation_policy       = pagerduty_escalation_policy.payments.id
  auto_resolve_timeout    = "null"
  acknowledgement_timeout = "null"
}

resource "pagerduty_service_integration" "api_events" {
  name    = "Events"
  type    = "events_api_v2_inbound_integration"
  service = pagerduty_service.api.id
}

data "pagerduty_vendor" "prometheus" {
  name = "prometheus"
}

resource "pagerduty_service_integration" "ledger_prometheus" {
  name    = data.pagerduty_vendor.prometheus.name
  vendor  = data.pagerduty_vendor.prometheus.id
  service = pagerduty_service.ledger.id
}
