"""DATABASE_URL as people write it."""

from __future__ import annotations

from pathlib import Path

import psycopg2.extensions
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from shared.errors import ConfigError
from shared.runtime.database_url import for_sqlalchemy, normalized
from shared.runtime.settings import CommonSettings, Role, load, role_dsn

PASSWORDS = [
    "Kiesel@7",
    "Kiesel/7",
    "77/Kiesel#x",
    "Kiesel%7",
    "Kiesel%40%7",
    "a:b@c/d?e#f%g",
    "p@ss@host:1/x",
]


def password_of(url: str) -> str:
    """As libpq reads it."""
    found: str = psycopg2.extensions.parse_dsn(url)["password"]
    return found


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_may_hold_any_sign(password: str) -> None:
    url = f"postgresql://postgres:{password}@db:5432/ingestion_db"
    assert password_of(normalized(url, {})) == password
    settings = load(
        CommonSettings, _env_file=None, database_url=url, mode="native"
    )
    assert password_of(settings.dsn()) == password
    assert password_of(role_dsn(settings, Role.READER)) not in (
        "",
        password,
    )
    assert "@127.0.0.1:5432/ingestion_db" in settings.dsn()
    assert password not in str(settings.masked())
    assert "Kiesel" not in str(settings.masked())


@given(
    st.text(
        st.characters(
            codec="ascii",
            exclude_characters="%",
            categories=["L", "N", "P", "S"],
        ),
        min_size=1,
    )
)
def test_what_is_not_quoted_comes_through(password: str) -> None:
    url = f"postgresql://u:{password}@h/n"
    assert password_of(normalized(url, {})) == password


def test_what_is_quoted_stays_as_it_was_meant() -> None:
    url = "postgres://u:a%40b%2Fc@h:6000/n?sslmode=require"
    assert normalized(url, {}) == (
        "postgresql://u:a%40b%2Fc@h:6000/n?sslmode=require"
    )
    assert (
        normalized("postgresql+psycopg2://h/n", {}) == "postgresql://h/n"
    )
    assert normalized("postgresql://u@[::1]:5/n", {}) == (
        "postgresql://u@[::1]:5/n"
    )


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:Geheim@h/n",
        "postgresql://u:Geheim@h",
        "postgresql://u:Geheim@h:99999/n",
        "postgresql://u:Geheim@h:port/n",
        "u:Geheim@h/n",
    ],
)
def test_a_wrong_one_is_refused_and_nothing_of_it_is_printed(
    url: str,
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CommonSettings, _env_file=None, database_url=url)
    assert "DATABASE_URL" in str(caught.value)
    assert "Geheim" not in str(caught.value)


def test_the_env_files_of_a_user_work(tmp_path: Path) -> None:
    for password in ("Kiesel@7", "Kiesel%7", "77/Kiesel#x", "Kiesel/7"):
        path = tmp_path / ".env"
        path.write_text(
            f"POSTGRES_PASSWORD={password}\n"
            f"DATABASE_URL=postgresql://postgres:{password}@db:5432/ingestion_db\n"
        )
        settings = load(CommonSettings, _env_file=path)
        assert password_of(settings.dsn()) == password
        assert settings.postgres_password.get_secret_value() == password


def test_several_hosts_mean_the_one_that_takes_writes() -> None:
    url = normalized("postgres://u:p@ss@a:1,db,[::1]:3/n", {"db": "c:2"})
    assert url == (
        "postgresql://u:p%40ss@a:1,c:2,[::1]:3/n"
        "?target_session_attrs=primary"
    )
    query = make_url(for_sqlalchemy(url)).query
    assert query["host"] == ("a:1", "c:2", "[::1]:3")
    given = (
        "postgresql://u@a,b/n?target_session_attrs=any&sslmode=require"
    )
    assert normalized(given, {}) == given


def test_one_host_is_left_as_it_is() -> None:
    assert for_sqlalchemy("postgresql://u:p@a:1/n?x=1") == (
        "postgresql+psycopg2://u:p@a:1/n?x=1"
    )
    assert for_sqlalchemy("postgresql://a/n") == (
        "postgresql+psycopg2://a/n"
    )
