"""From commands and schedules to tasks."""
