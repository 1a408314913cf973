"""How clients reach Kafka: TLS and SASL, as the settings say for all of them."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any

from shared.errors import ConfigError
from shared.runtime.settings import CommonSettings, load


@lru_cache(maxsize=1)
def options() -> dict[str, Any]:
    """Named arguments of each of aiokafka's clients. Raises ConfigError."""
    settings = load(CommonSettings)
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return {}
    return {
        "security_protocol": protocol,
        "ssl_context": _tls(settings) if "SSL" in protocol else None,
        **(_login(settings) if "SASL" in protocol else {}),
    }


def _tls(settings: CommonSettings) -> ssl.SSLContext:
    """Which certificates are trusted, and this client's own. Raises ConfigError."""
    try:
        context = ssl.create_default_context(
            cafile=settings.kafka_ca_file or None
        )
        if settings.kafka_cert_file:
            context.load_cert_chain(
                settings.kafka_cert_file, settings.kafka_key_file or None
            )
    except OSError as error:
        raise ConfigError(
            "KAFKA_CA_FILE, KAFKA_CERT_FILE or KAFKA_KEY_FILE cannot be used: "
            f"{error.strerror or error}"
        ) from error
    return context


def _login(settings: CommonSettings) -> dict[str, str]:
    return {
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }
