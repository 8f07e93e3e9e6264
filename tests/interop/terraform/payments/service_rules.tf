# Urgency by support hours, alert grouping, and a level whose people take turns.

resource "pagerduty_escalation_policy" "desk" {
  name      = "Payments desk"
  num_loops = 0

  rule {
    escalation_delay_in_minutes = 30
    escalation_rule_assignment_strategy {
      type = "round_robin"
    }
    dynamic "target" {
      for_each = ["ada", "brian", "claude"]
      content {
        type = "user_reference"
        id   = pagerduty_user.engineer[target.value].id
      }
    }
  }
}

resource "pagerduty_service" "desk" {
  name                    = "Payments desk"
  escalation_policy       = pagerduty_escalation_policy.desk.id
  auto_resolve_timeout    = "null"
  acknowledgement_timeout = 600

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
  alert_grouping_parameters {
    type = "time"
    config {
      timeout = 5
    }
  }
}

resource "pagerduty_service" "terminals" {
  name              = "Payments terminals"
  escalation_policy = pagerduty_escalation_policy.desk.id

  incident_urgency_rule {
    type    = "constant"
    urgency = "severity_based"
  }
  alert_grouping_parameters {
    type = "content_based"
    config {
      aggregate   = "all"
      fields      = ["component", "custom_details.shop"]
      time_window = 900
    }
  }
}

resource "pagerduty_service" "webshop" {
  name              = "Payments webshop"
  escalation_policy = pagerduty_escalation_policy.desk.id
  alert_grouping_parameters {
    type = "intelligent"
  }
}

resource "pagerduty_service" "vouchers" {
  name                   = "Payments vouchers"
  escalation_policy      = pagerduty_escalation_policy.desk.id
  alert_grouping         = "time"
  alert_grouping_timeout = 10
}
