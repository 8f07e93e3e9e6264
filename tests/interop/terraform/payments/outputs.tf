output "api_key" {
  value = pagerduty_service_integration.api_events.integration_key
}
