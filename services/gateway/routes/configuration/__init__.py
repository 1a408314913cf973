"""What is configured at run time: feeds, coins, pauses, schedules; and who asked for what."""
