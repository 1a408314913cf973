"""Questions about prices."""
