# One address for everything that monitoring sends: what is of staging is kept quiet, the rest goes where its summary says.

resource "pagerduty_event_orchestration" "payments" {
  name        = "Payments events"
  description = "Sorts what monitoring sends"
  team        = pagerduty_team.payments.id
}

resource "pagerduty_event_orchestration_integration" "grafana" {
  event_orchestration = pagerduty_event_orchestration.payments.id
  label               = "Grafana"
}

resource "pagerduty_event_orchestration_global" "payments" {
  event_orchestration = pagerduty_event_orchestration.payments.id

  set {
    id = "start"
    rule {
      label = "Staging wakes nobody"
      condition {
        expression = "event.custom_details.environment matches 'staging' or event.source matches regex 'stg-.*'"
      }
      actions {
        suppress = true
      }
    }
    rule {
      label = "Heartbeats of the load balancer are noise"
      condition {
        expression = "event.summary matches 'keepalive'"
      }
      actions {
        drop_event = true
      }
    }
    rule {
      label = "The rest is looked at more closely"
      actions {
        route_to = "details"
      }
    }
  }

  set {
    id = "details"
    rule {
      label = "Money is lost"
      condition {
        expression = "event.summary matches part 'double booking'"
      }
      actions {
        severity = "critical"
        priority = data.pagerduty_priority.p1.id
        annotate = "Call the controller before you touch anything"
      }
    }
  }

  catch_all {
    actions {}
  }
}

resource "pagerduty_event_orchestration_router" "payments" {
  event_orchestration = pagerduty_event_orchestration.payments.id

  set {
    id = "start"
    rule {
      label = "Ledger"
      condition {
        expression = "event.summary matches part 'ledger'"
      }
      condition {
        expression = "event.summary matches part 'booking'"
      }
      actions {
        route_to = pagerduty_service.ledger.id
      }
    }
    rule {
      label = "API"
      condition {
        expression = "event.summary matches part 'payments'"
      }
      actions {
        route_to = pagerduty_service.api.id
      }
    }
    rule {
      label    = "Reports, some day"
      disabled = true
      condition {
        expression = "event.summary matches part 'report'"
      }
      actions {
        route_to = pagerduty_service.reports.id
      }
    }
  }

  catch_all {
    actions {
      route_to = "unrouted"
    }
  }
}

resource "pagerduty_event_orchestration_unrouted" "payments" {
  event_orchestration = pagerduty_event_orchestration.payments.id

  set {
    id = "start"
    rule {
      label = "Says that it belongs nowhere"
      condition {
        expression = "event.severity matches 'critical'"
      }
      actions {
        severity = "warning"
        extraction {
          target   = "event.summary"
          template = "[nobody's] {{event.summary}}"
        }
      }
    }
  }

  catch_all {
    actions {
      severity = "info"
    }
  }
}

resource "pagerduty_event_orchestration_service" "web" {
  service                                = pagerduty_service.web.id
  enable_event_orchestration_for_service = true

  set {
    id = "start"
    rule {
      label = "Flapping probes may recover"
      condition {
        expression = "event.summary matches part 'probe' and not event.severity matches 'critical'"
      }
      actions {
        suspend = 120
      }
    }
    rule {
      label = "The host behind the address"
      condition {
        expression = "event.component exists"
      }
      actions {
        variable {
          name  = "host"
          path  = "event.component"
          value = "host: (.*)"
          type  = "regex"
        }
        extraction {
          target   = "event.custom_details.host"
          template = "{{variables.host}}"
        }
        extraction {
          target = "event.source"
          source = "event.source"
          regex  = "www (.*) service"
        }
      }
    }
  }

  catch_all {
    actions {}
  }
}

output "orchestration_key" {
  value = pagerduty_event_orchestration_integration.grafana.parameters[0].routing_key
}
