"""Hours of everything at once, with faults; what it took of memory, disk and time."""
