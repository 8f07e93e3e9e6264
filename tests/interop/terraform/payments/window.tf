# New disks for the ledger, years ahead: a window that began could not be changed.

resource "pagerduty_maintenance_window" "disks" {
  description = "New disks"
  start_time  = "2035-02-03T01:00:00-05:00"
  end_time    = "2035-02-03T05:00:00-05:00"
  services    = [pagerduty_service.ledger.id, pagerduty_service.batch.id]
}
