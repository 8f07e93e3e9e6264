# Primary and secondary are two schedules: in one, the second layer would hide the first.

resource "pagerduty_schedule" "primary" {
  name        = "Payments primary"
  description = "Weekly, handed over on Mondays at ten"
  time_zone   = "America/New_York"
  teams       = [pagerduty_team.payments.id]

  layer {
    name                         = "Weekly"
    start                        = "2026-01-05T10:00:00-05:00"
    rotation_virtual_start       = "2026-01-05T10:00:00-05:00"
    rotation_turn_length_seconds = 604800
    users                        = [for key in ["ada", "brian", "barbara"] : pagerduty_user.engineer[key].id]
  }
}

resource "pagerduty_schedule" "secondary" {
  name      = "Payments secondary"
  time_zone = "America/New_York"

  layer {
    name                         = "Weekly"
    start                        = "2026-01-05T10:00:00-05:00"
    rotation_virtual_start       = "2026-01-05T10:00:00-05:00"
    rotation_turn_length_seconds = 604800
    users                        = [for key in ["brian", "barbara", "ada"] : pagerduty_user.engineer[key].id]
  }

  layer {
    name                         = "Lunch"
    start                        = "2026-01-05T00:00:00-05:00"
    rotation_virtual_start       = "2026-01-05T00:00:00-05:00"
    rotation_turn_length_seconds = 86400
    users                        = [pagerduty_user.manager.id]

    restriction {
      type              = "daily_restriction"
      start_time_of_day = "12:00:00"
      duration_seconds  = 3600
    }
    restriction {
      type              = "weekly_restriction"
      start_day_of_week = 5
      start_time_of_day = "16:00:00"
      duration_seconds  = 7200
    }
  }
}

resource "pagerduty_escalation_policy" "payments" {
  name        = "Payments"
  description = "Primary, then secondary, then the manager"
  num_loops   = 2
  teams       = [pagerduty_team.payments.id]

  rule {
    escalation_delay_in_minutes = 10
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
