"""Real Kafka and PostgreSQL, migrated once; tables emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine

from services.loader.database import build_engine
from services.loader.migrate import migrate
from services.loader.settings import LoaderSettings
from tests.support.infra import (
    Infrastructure,
    empty_tables,
    infrastructure,
)


@pytest.fixture(scope="package")
def infra(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Infrastructure]:
    with infrastructure(
        tmp_path_factory.mktemp("infra") / "state"
    ) as found:
        migrate(loader_settings(found))
        yield found


def loader_settings(infra: Infrastructure) -> LoaderSettings:
    return LoaderSettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        mode="native",
    )


@pytest.fixture
def engine(infra: Infrastructure) -> Iterator[Engine]:
    empty_tables(infra.dsn)
    engine = build_engine(loader_settings(infra).sqlalchemy_url())
    yield engine
    engine.dispose()


class Query:
    """`query("SELECT …", argument)` → list of tuples, over a connection of its own."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True

    def __call__(
        self, sql: str, *arguments: Any
    ) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def query(infra: Infrastructure) -> Iterator[Query]:
    query = Query(infra.dsn)
    yield query
    query.close()
