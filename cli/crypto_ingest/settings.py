"""Where the API is, and its key.

Options come first, then the environment (CRYPTO_INGEST_URL, CRYPTO_INGEST_KEY), then the file
`~/.config/crypto-ingest/config.toml` (`url = "…"`, `key = "…"`), then what `make up` starts.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from crypto_ingest.errors import WRONG_USE, CommandError

URL = "http://localhost:8000"
DEV_KEY = "test-api-key"


@dataclass(frozen=True)
class Settings:
    """`url` without a path at its end."""

    url: str
    key: str


def config_file() -> Path:
    """The file, whether or not it is there."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "crypto-ingest" / "config.toml"


def load(url: str | None, key: str | None) -> Settings:
    """Raises CommandError for a file that cannot be read and an address that is none."""
    kept = _kept(config_file())
    found = (url or kept.get("url") or URL).rstrip("/")
    if not found.startswith(("http://", "https://")):
        raise CommandError(
            f"{found!r} is no address: write it as http://localhost:8000",
            WRONG_USE,
        )
    return Settings(
        found.removesuffix("/api/v1"), key or kept.get("key") or DEV_KEY
    )


def _kept(path: Path) -> dict[str, str]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}", WRONG_USE) from error
    unknown = sorted(set(found) - {"url", "key"})
    if unknown or not all(
        isinstance(each, str) for each in found.values()
    ):
        raise CommandError(
            f'{path}: it holds url = "…" and key = "…" alone', WRONG_USE
        )
    return found
