"""What the stack without Docker needs to know."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from shared.csvfile.places.settings import PlaceSettings

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ("127.0.0.1", "localhost")


class StackSettings(PlaceSettings):
    """Ports, places, and how many of each service run."""

    api_port: int = Field(default=8000, ge=1, le=65535)
    api_key: SecretStr = SecretStr("test-api-key")
    state_dir: Path = Path(".local")
    java: str = (
        ""  # a path to `java`, for where the bundled one does not run
    )
    compose_file: str = ""  # compose's own variable: which files it takes
    kafka_heap: str = Field(default="512m", pattern=r"^\d+[mMgG]$")
    # Empty: a quarter of this machine's memory.
    postgres_shared_buffers: str = Field(
        default="", pattern=r"^(\d+(kB|MB|GB))?$"
    )
    extractors: int = Field(default=1, ge=1, le=8)
    normalizers: int = Field(default=1, ge=1, le=8)
    # 0: no webhook is told anything.
    notifiers: int = Field(default=1, ge=0, le=8)
    loaders: int = Field(default=1, ge=1, le=8)
    gateways: int = Field(default=1, ge=1, le=8)

    @field_validator("metrics_port")
    @classmethod
    def _tens(cls, value: int) -> int:
        if value % 10:
            raise ValueError(
                "must be a multiple of 10: each instance has a port, ten for each service"
            )
        return value

    @property
    def state(self) -> Path:
        return (ROOT / self.state_dir).resolve()

    @property
    def logs(self) -> Path:
        return self.state / "log"

    def counts(self) -> dict[str, int]:
        """Instances by service."""
        counts = {
            "extractor": self.extractors,
            "normalizer": self.normalizers,
            "loader": self.loaders,
            "gateway": self.gateways,
            "notifier": self.notifiers,
        }
        return {name: count for name, count in counts.items() if count}

    def embedded_postgres(self) -> bool:
        """Whether DATABASE_URL means the server that this stack starts."""
        url = self.dsn()
        return any(
            f"@{host}:{self.postgres_port}/" in url for host in LOCAL
        )

    def embedded_kafka(self) -> bool:
        """Whether KAFKA_BOOTSTRAP_SERVERS means the brokers that this stack starts."""
        own = {
            f"{host}:{self.kafka_port + number}"
            for host in LOCAL
            for number in range(self.kafka_brokers)
        }
        return set(self.kafka_bootstrap_servers.split(",")) <= own
