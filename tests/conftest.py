"""Settings of all tiers."""

from hypothesis import settings

# Machines are noisy: a slow example is no finding.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
