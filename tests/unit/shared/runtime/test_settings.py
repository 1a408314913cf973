"""Settings: every wrong value is said with its variable, secrets are not shown."""

from __future__ import annotations

from typing import Any

import pytest

from services.extractor.settings import ExtractorSettings
from services.gateway.settings import GatewaySettings
from shared.errors import ConfigError
from shared.runtime.settings import CommonSettings, Role, load, role_dsn


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "POSTGRES_USER",
        "POSTGRES_PASSWORD",
        "POSTGRES_DB",
        "POSTGRES_PORT",
        "MODE",
        "COIN_IDS",
        "RSS_FEEDS",
        "KAFKA_BOOTSTRAP_SERVERS",
        "ALLOW_PRIVATE_URLS",
        "COINPAPRIKA_API_URL",
    ):
        monkeypatch.delenv(name, raising=False)


def common(**values: Any) -> CommonSettings:
    return load(CommonSettings, _env_file=None, **values)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p@db:5432/x",
            "postgresql://u:p@127.0.0.1:6543/x",
        ),
        ("postgres://u:p@other:1/x", "postgresql://u:p@other:1/x"),
        (
            "postgresql+psycopg2://u:p%40@localhost/x",
            "postgresql://u:p%40@localhost/x",
        ),
        (
            "",
            "postgresql://postgres:p%40ss%2F@127.0.0.1:6543/ingestion_db",
        ),
    ],
)
def test_the_database_url_works_as_users_write_it(
    url: str, expected: str
) -> None:
    assert (
        common(
            database_url=url,
            postgres_port=6543,
            postgres_password="p@ss/",
        ).dsn()
        == expected
    )
    assert (
        common(
            database_url=url,
            postgres_port=6543,
            postgres_password="p@ss/",
        )
        .sqlalchemy_url()
        .startswith("postgresql+psycopg2://")
    )


def test_in_docker_the_host_db_is_itself() -> None:
    assert (
        common(
            database_url="postgresql://u:p@db:5432/x", mode="docker"
        ).dsn()
        == "postgresql://u:p@db:5432/x"
    )


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:p@h/x",
        "postgresql://u:p@h",
        "postgresql:///x",
        "nonsense",
        "postgresql://u:p@h:port/x",
    ],
)
def test_a_database_url_that_is_none_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL: "):
        common(database_url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coin_ids", "btc"),
        ("coin_ids", '["*", "btc-bitcoin"]'),
        ("coin_ids", '["a b"]'),
        ("rss_feeds", "{}"),
        ("rss_feeds", '[{"name": "a"}]'),
        ("rss_feeds", '[{"name": "a", "url": "file:///etc/passwd"}]'),
        (
            "rss_feeds",
            '[{"name": "a", "url": "http://x"}, {"name": "a", "url": "http://y"}]',
        ),
        ("allow_private_urls", "perhaps"),
        ("coinpaprika_api_url", "ftp://x"),
    ],
)
def test_a_wrong_value_is_said_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(ConfigError, match=name.upper()):
        load(ExtractorSettings, _env_file=None)


def test_defaults_are_the_promised_ones() -> None:
    settings = load(ExtractorSettings, _env_file=None)
    assert (
        settings.coinpaprika_api_url == "https://api.coinpaprika.com/v1"
    )
    assert settings.coin_ids == ["btc-bitcoin", "eth-ethereum"]
    assert settings.rss_feeds
    assert (
        load(GatewaySettings, _env_file=None).api_key.get_secret_value()
        == "test-api-key"
    )


def test_secrets_are_masked() -> None:
    shown = str(
        common(
            postgres_password="hush-hush",
            database_url="postgresql://u:hush-hush@h/x",
        ).masked()
    )
    assert "hush-hush" not in shown
    assert "@h/x" in shown


def test_services_connect_as_roles_of_their_own() -> None:
    url = "postgresql://us%40er:p%2F@h:1/x"
    settings = common(database_url=url, reader_password="a/b")
    assert (
        role_dsn(settings, Role.READER)
        == "postgresql://us%40er_reader:a%2Fb@h:1/x"
    )
    derived = role_dsn(settings, Role.LOADER)
    assert derived.startswith("postgresql://us%40er_loader:")
    assert "p%2F" not in derived
    assert derived == role_dsn(common(database_url=url), Role.LOADER)


def test_addresses_are_shown_without_secrets() -> None:
    settings = load(
        ExtractorSettings,
        _env_file=None,
        rss_feeds=[
            {"name": "a", "url": "http://u:hush@h/f?token=s3cr3t"}
        ],
    )
    shown = str(settings.masked())
    assert "hush" not in shown
    assert "s3cr3t" not in shown
    assert "h/f" in shown
