locals {
  engineers = {
    ada    = { name = "Ada Lovelace", email = "ada@payments.example", number = "2025550101" }
    brian  = { name = "Brian Kernighan", email = "brian@payments.example", number = "2025550102" }
    barbara = { name = "Barbara Liskov", email = "barbara@payments.example", number = "2025550103" }
  }
}

resource "pagerduty_user" "engineer" {
  for_each    = local.engineers
  name        = each.value.name
  email       = each.value.email
  role        = "limited_user"
  job_title   = "Engineer"
  description = "Managed by Terraform"
  time_zone   = "America/New_York"
  color       = "green"
}

resource "pagerduty_user" "manager" {
  name      = "Margaret Hamilton"
  email     = "margaret@payments.example"
  role      = "user"
  job_title = "Manager"
}

resource "pagerduty_user_contact_method" "phone" {
  for_each     = local.engineers
  user_id      = pagerduty_user.engineer[each.key].id
  type         = "phone_contact_method"
  country_code = "+1"
  address      = each.value.number
  label        = "Mobile"
}

resource "pagerduty_user_contact_method" "sms" {
  for_each     = local.engineers
  user_id      = pagerduty_user.engineer[each.key].id
  type         = "sms_contact_method"
  country_code = "+1"
  address      = each.value.number
  label        = "Mobile"
}

resource "pagerduty_user_contact_method" "manager_mail" {
  user_id = pagerduty_user.manager.id
  type    = "email_contact_method"
  address = "margaret.private@payments.example"
  label   = "At home"
}

resource "pagerduty_user_notification_rule" "sms_at_once" {
  for_each               = local.engineers
  user_id                = pagerduty_user.engineer[each.key].id
  start_delay_in_minutes = 0
  urgency                = "high"
  contact_method {
    type = "sms_contact_method"
    id   = pagerduty_user_contact_method.sms[each.key].id
  }
}

resource "pagerduty_user_notification_rule" "call_after_three_minutes" {
  for_each               = local.engineers
  user_id                = pagerduty_user.engineer[each.key].id
  start_delay_in_minutes = 3
  urgency                = "high"
  contact_method {
    type = "phone_contact_method"
    id   = pagerduty_user_contact_method.phone[each.key].id
  }
}

resource "pagerduty_user_notification_rule" "low" {
  for_each               = local.engineers
  user_id                = pagerduty_user.engineer[each.key].id
  start_delay_in_minutes = 0
  urgency                = "low"
  contact_method {
    type = "sms_contact_method"
    id   = pagerduty_user_contact_method.sms[each.key].id
  }
}

resource "pagerduty_user_notification_rule" "manager_mail" {
  user_id                = pagerduty_user.manager.id
  start_delay_in_minutes = 0
  urgency                = "high"
  contact_method {
    type = "email_contact_method"
    id   = pagerduty_user_contact_method.manager_mail.id
  }
}

resource "pagerduty_user_handoff_notification_rule" "ahead" {
  for_each                  = local.engineers
  user_id                   = pagerduty_user.engineer[each.key].id
  handoff_type              = "oncall"
  notify_advance_in_minutes = 180
  contact_method {
    type = "sms_contact_method"
    id   = pagerduty_user_contact_method.sms[each.key].id
  }
}

resource "pagerduty_team" "payments" {
  name        = "Payments"
  description = "Takes the money"
}

resource "pagerduty_team_membership" "engineer" {
  for_each = local.engineers
  team_id  = pagerduty_team.payments.id
  user_id  = pagerduty_user.engineer[each.key].id
  role     = "responder"
}

resource "pagerduty_team_membership" "manager" {
  team_id = pagerduty_team.payments.id
  user_id = pagerduty_user.manager.id
  role    = "manager"
}
