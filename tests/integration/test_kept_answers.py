"""Answers that are kept: never older than what was committed, and not sent twice."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gzip
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from services.gateway.requests import kept_answers
from services.gateway.requests.kept_answers import (
    Answer,
    KeptAnswers,
    Visible,
)
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.support.pages import candle

WANTED = {"source": "csv", "dataset": "sample"}


@pytest.fixture
def rows(engine: Engine) -> None:
    load(engine, [candle(day) for day in range(1, 29)])


@pytest.mark.usefixtures("rows")
def test_what_a_client_has_is_not_sent_again(api: httpx.Client) -> None:  # noqa: F811
    first = api.get("/data", params={**WANTED, "limit": 5})
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        again = api.get(
            "/data",
            params={**WANTED, "limit": 5},
            headers={"if-none-match": given},
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["link"] == first.headers["link"]
    other = api.get(
        "/data",
        params={**WANTED, "limit": 5},
        headers={"if-none-match": '"another"'},
    )
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.usefixtures("rows")
def test_a_new_row_is_a_new_answer(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    params = {**WANTED, "limit": 100}
    first = api.get("/data", params=params)
    load(engine, [candle(30)], offset=7)
    again = api.get(
        "/data",
        params=params,
        headers={"if-none-match": first.headers["etag"]},
    )
    assert again.status_code == 200
    assert len(again.json()) == len(first.json()) + 1
    assert again.headers["etag"] != first.headers["etag"]


@pytest.mark.usefixtures("rows")
def test_a_write_that_changes_nothing_asked_for_leaves_the_tag(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    first = api.get("/data", params=WANTED)
    with engine.begin() as transaction:
        transaction.execute(text("CREATE TABLE elsewhere AS SELECT 1"))
        transaction.execute(text("DROP TABLE elsewhere"))
    again = api.get(
        "/data",
        params=WANTED,
        headers={"if-none-match": first.headers["etag"]},
    )
    assert again.status_code == 304


@pytest.mark.usefixtures("rows")
def test_large_answers_are_compressed_for_those_who_take_it(
    api: httpx.Client,  # noqa: F811
) -> None:
    def got(encoding: str, **params: Any) -> httpx.Response:
        with api.stream(
            "GET",
            "/data",
            params={**WANTED, **params},
            headers={"accept-encoding": encoding},
        ) as answer:
            answer.raw = b"".join(answer.iter_raw())  # type: ignore[attr-defined]
            return answer

    plain = got("identity")
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    zipped = got("br, gzip;q=0.5")
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.raw) == plain.raw  # type: ignore[attr-defined]
    assert len(zipped.raw) < len(plain.raw) / 4  # type: ignore[attr-defined]
    assert zipped.headers["etag"] == plain.headers["etag"]
    assert "content-encoding" not in got("gzip;q=0").headers
    assert "content-encoding" not in got("gzip", limit=1).headers


def test_an_answer_is_never_older_than_what_was_committed(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    """While others ask the same all the time."""
    params = {**WANTED, "limit": 1000}
    is_done = False

    def ask() -> None:
        while not is_done:
            api.get("/data", params=params)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for day in range(1, 29):
                load(engine, [candle(day)], offset=day)
                assert len(api.get("/data", params=params).json()) == day
        finally:
            is_done = True
        for each in asking:
            each.result()


class Looks:
    """In place of a database: counts looks, which take a while."""

    def __init__(self) -> None:
        self.count = 0
        self.written = 0

    async def rows(self, _query: str) -> list[dict[str, str]]:
        self.count += 1
        seen = str(self.written)
        await asyncio.sleep(0.01)
        return [{"visible": seen}]


async def test_one_look_serves_all_that_came_before_it() -> None:
    looks = Looks()
    visible = Visible(looks)  # type: ignore[arg-type]
    first = asyncio.create_task(visible.now())
    await asyncio.sleep(0.001)
    looks.written = 1  # while the first look is on its way
    late = [asyncio.create_task(visible.now()) for _ in range(20)]
    assert await first == "0"
    assert set(await asyncio.gather(*late)) == {"1"}
    assert looks.count == 2


async def test_a_look_that_fails_fails_for_the_one_that_took_it() -> None:
    class Failing(Looks):
        async def rows(self, query: str) -> list[dict[str, str]]:
            found = await super().rows(query)
            if self.count == 1:
                raise OSError("no connection")
            return found

    visible = Visible(Failing())  # type: ignore[arg-type]
    results = await asyncio.gather(
        visible.now(), visible.now(), return_exceptions=True
    )
    assert isinstance(results[0], OSError)
    assert results[1] == "0"


async def test_a_look_that_hangs_and_fails_fails_for_all_that_waited() -> (
    None
):
    """Else they would hang one after the other."""

    class Failing(Looks):
        async def rows(self, query: str) -> list[dict[str, str]]:
            await super().rows(query)
            raise OSError("no connection")

    looks = Failing()
    visible = Visible(looks)  # type: ignore[arg-type]
    first = asyncio.create_task(visible.now())
    await asyncio.sleep(0.001)
    late = [asyncio.create_task(visible.now()) for _ in range(20)]
    results = await asyncio.gather(first, *late, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in results)
    assert looks.count == 2


async def test_what_is_kept_has_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_answers, "MAX_BYTES", 10_000)

    async def make(asked: str) -> Answer:
        return Answer(asked.encode() * 100, {})

    answers = KeptAnswers(Visible(Looks()), make)  # type: ignore[arg-type]

    class Asking:
        def __init__(self, query: str) -> None:
            self.headers: dict[str, str] = {}
            self.scope = {"query_string": query.encode()}

    for n in range(100):
        await answers.response(Asking(f"q={n:02}"), f"{n:02}")  # type: ignore[arg-type]
    assert answers.known(b"q=99") == "99"
    assert answers.known(b"q=00") is None
    assert answers.known(b"q=76") == "76"
    assert answers.known(b"q=74") is None
    await answers.response(Asking("q" * 2_000), "large")  # type: ignore[arg-type]
    assert answers.known(b"q" * 2_000) is None
