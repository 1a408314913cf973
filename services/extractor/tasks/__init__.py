"""One handler for each type of task, and what holds tasks up or ends them."""
