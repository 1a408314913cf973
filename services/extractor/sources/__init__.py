"""One file per source. `base` says what a source must offer."""
