"""Settings of all tiers."""

import pytest
from hypothesis import settings

# Machines are noisy: a slow example is no finding.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# `make test` runs in two processes. What starts a stack to break it is one of them, the rest the other; within each, tests share theirs.
BREAKING = ("test_2_faults", "test_5_guarantees", "test_6_chaos", "test_7_mapping")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group("breaking" if item.path.stem in BREAKING else "other"))
