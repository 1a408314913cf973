"""The password of the database that this stack makes, where nobody gave one.

Random, and kept in the state folder for its owner. It reaches the services as POSTGRES_PASSWORD.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from embedded.settings import StackSettings
from shared.runtime.settings import load

NAME = "postgres-password"
EXPLICIT = frozenset({"postgres_password", "database_url"})
FORMER_DEFAULT = "postgres"


def provide() -> None:
    """Set POSTGRES_PASSWORD in the environment, unless it or DATABASE_URL is given."""
    settings = load(StackSettings)
    if settings.mode == "docker" or EXPLICIT & settings.model_fields_set:
        return
    path = settings.state / NAME
    if path.exists():
        os.environ["POSTGRES_PASSWORD"] = path.read_text().strip()


def make(settings: StackSettings) -> StackSettings:
    """The settings with a password, which is made where nobody gave one and none was made."""
    path = settings.state / NAME
    is_given = bool(EXPLICIT & settings.model_fields_set)
    if path.exists() or is_given or not settings.embedded_postgres():
        return settings
    _write(path, secrets.token_urlsafe(24))
    provide()
    return load(StackSettings)


def former(settings: StackSettings) -> str | None:
    """The password that the database may have from before this one; None where none is known.

    The one that was made here, when another is given now; when it is that one, the default of older
    releases.
    """
    path = settings.state / NAME
    if not path.exists():
        return None
    made = path.read_text().strip()
    is_made = made == settings.postgres_password.get_secret_value()
    return FORMER_DEFAULT if is_made else made


def _write(path: Path, password: str) -> None:
    path.touch(mode=0o600)
    path.write_text(f"{password}\n")
