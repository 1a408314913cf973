"""The real Kafka that the fakes are compared with."""

from tests.integration.conftest import infra

__all__ = ["infra"]
