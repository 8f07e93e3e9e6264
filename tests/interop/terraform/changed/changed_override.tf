# A month later. Terraform merges what is here into the resources of the same name.

resource "pagerduty_user" "engineer" {
  job_title = "Senior engineer"
  time_zone = "Europe/London"
}

resource "pagerduty_schedule" "primary" {
  description = "Weekly, handed over on Mondays at noon"

  layer {
    name                         = "Weekly"
    start                        = "2026-01-05T12:00:00-05:00"
    rotation_virtual_start       = "2026-01-05T12:00:00-05:00"
    rotation_turn_length_seconds = 604800
    users                        = [for key in ["barbara", "ada"] : pagerduty_user.engineer[key].id]
  }
}

resource "pagerduty_escalation_policy" "payments" {
  num_loops = 1

  rule {
    escalation_delay_in_minutes = 5
    target {
      type = "schedule_reference"
      id   = pagerduty_schedule.primary.id
    }
  }
  rule {
    escalation_delay_in_minutes = 10
    target {
      type = "schedule_reference"
      id   = pagerduty_schedule.secondary.id
    }
  }
  rule {
    escalation_delay_in_minutes = 15
    target {
      type = "user_reference"
      id   = pagerduty_user.manager.id
    }
  }
}

resource "pagerduty_service" "ledger" {
  name                    = "Payments ledger, double entry"
  acknowledgement_timeout = 3600
}

resource "pagerduty_service" "batch" {
  alert_grouping_parameters {
    type = "content_based"
    config {
      aggregate = "any"
      fields    = ["class", "group"]
    }
  }
}
