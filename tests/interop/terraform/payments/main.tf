# What the team of a payments service tells its pager: tests/interop/README.md says what is asked of it.

terraform {
  required_providers {
    pagerduty = { source = "PagerDuty/pagerduty" }
  }
}

variable "pager_url" { type = string }

# The token comes from PAGERDUTY_TOKEN.
provider "pagerduty" {
  api_url_override = var.pager_url
}
