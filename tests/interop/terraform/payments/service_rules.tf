# A level whose people take turns, and grouping in the words that went before the parameters.

resource "pagerduty_escalation_policy" "desk" {
  name      = "Payments desk"
  num_loops = 0

  rule {
    escalation_delay_in_minutes = 30
    escalation_rule_assignment_strategy {
      type = "round_robin"
    }
    dynamic "target" {
      for_each = ["ada", "brian", "barbara"]
      content {
        type = "user_reference"
        id   = pagerduty_user.engineer[target.value].id
      }
    }
  }
}

resource "pagerduty_service" "vouchers" {
  name                   = "Payments vouchers"
  escalation_policy      = pagerduty_escalation_policy.desk.id
  alert_grouping         = "time"
  alert_grouping_timeout = 10
}
