resource "pagerduty_service" "api" {
  name                    = "Payments API"
  description             = "Takes the money"
  escalation_policy       = pagerduty_escalation_policy.payments.id
  auto_resolve_timeout    = 14400
  acknowledgement_timeout = 1800
  alert_creation          = "create_alerts_and_incidents"

  incident_urgency_rule {
    type    = "constant"
    urgency = "severity_based"
  }
}

resource "pagerduty_service" "ledger" {
  name                    = "Payments ledger"
  escalation_policy       = pagerduty_escalation_policy.payments.id
  auto_resolve_timeout    = "null"
  acknowledgement_timeout = "null"

  incident_urgency_rule {
    type = "use_support_hours"
    during_support_hours {
      type    = "constant"
      urgency = "high"
    }
    outside_support_hours {
      type    = "constant"
      urgency = "low"
    }
  }

  support_hours {
    type         = "fixed_time_per_day"
    time_zone    = "America/New_York"
    start_time   = "09:00:00"
    end_time     = "17:00:00"
    days_of_week = [1, 2, 3, 4, 5]
  }

  scheduled_actions {
    type       = "urgency_change"
    to_urgency = "high"
    at {
      type = "named_time"
      name = "support_hours_start"
    }
  }
}

# Grouping, one service for each way.

resource "pagerduty_service" "reports" {
  name              = "Payments reports"
  escalation_policy = pagerduty_escalation_policy.payments.id

  alert_grouping_parameters {
    type = "content_based"
    config {
      aggregate   = "all"
      fields      = ["source", "component"]
      time_window = 600
    }
  }
}

resource "pagerduty_service" "batch" {
  name              = "Payments batch"
  escalation_policy = pagerduty_escalation_policy.payments.id

  alert_grouping_parameters {
    type = "time"
    config {
      timeout = 5
    }
  }
}

resource "pagerduty_service" "web" {
  name              = "Payments web"
  escalation_policy = pagerduty_escalation_policy.payments.id

  alert_grouping_parameters {
    type = "intelligent"
    config {
      time_window = 300
    }
  }

  auto_pause_notifications_parameters {
    enabled = true
    timeout = 300
  }
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
