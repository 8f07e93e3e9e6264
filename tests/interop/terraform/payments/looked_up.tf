# What another team's configuration looks up instead of describing it.

data "pagerduty_user" "manager" {
  email = pagerduty_user.manager.email
}

data "pagerduty_users" "team" {
  team_ids   = [pagerduty_team.payments.id]
  depends_on = [pagerduty_team_membership.engineer, pagerduty_team_membership.manager]
}

data "pagerduty_team" "payments" {
  name = pagerduty_team.payments.name
}

data "pagerduty_team_members" "payments" {
  team_id    = pagerduty_team.payments.id
  depends_on = [pagerduty_team_membership.engineer, pagerduty_team_membership.manager]
}

data "pagerduty_schedule" "primary" {
  name = pagerduty_schedule.primary.name
}

data "pagerduty_escalation_policy" "payments" {
  name = pagerduty_escalation_policy.payments.name
}

data "pagerduty_service" "api" {
  name = pagerduty_service.api.name
}

data "pagerduty_service_integration" "api_events" {
  service_name        = pagerduty_service.api.name
  integration_summary = pagerduty_service_integration.api_events.name
}

data "pagerduty_user_contact_method" "manager_mail" {
  user_id = pagerduty_user.manager.id
  label   = pagerduty_user_contact_method.manager_mail.label
  type    = "email_contact_method"
}

data "pagerduty_licenses" "all" {}

output "looked_up" {
  sensitive = true # an integration's key is compared
  value = {
    manager  = data.pagerduty_user.manager.id == pagerduty_user.manager.id
    team     = data.pagerduty_team.payments.id == pagerduty_team.payments.id
    people   = length(data.pagerduty_users.team.users)
    members  = length(data.pagerduty_team_members.payments.members)
    schedule = data.pagerduty_schedule.primary.id == pagerduty_schedule.primary.id
    policy   = data.pagerduty_escalation_policy.payments.id == pagerduty_escalation_policy.payments.id
    service  = data.pagerduty_service.api.id == pagerduty_service.api.id
    key      = data.pagerduty_service_integration.api_events.integration_key == pagerduty_service_integration.api_events.integration_key
    method   = data.pagerduty_user_contact_method.manager_mail.id == pagerduty_user_contact_method.manager_mail.id
    licensed = length(data.pagerduty_licenses.all.licenses) > 0
  }
}

data "pagerduty_priority" "p1" {
  name = "P1"
}
