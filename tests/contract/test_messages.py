"""Golden messages: what lies in the topics must stay readable, and newer messages must be too."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.normalizer.mapping.registry import NORMALIZER_VERSION
from services.normalizer.unify import unify
from shared.configuration.settings import configuration_decoder
from shared.http.notifications import notification_decoder
from shared.messages import serialization
from shared.messages.points import Points
from shared.messages.serialization import UndecodableError, decode, encode
from shared.messages.topics import TOPICS
from shared.monitoring.service_state import service_state_decoder
from tests.contract import mapping_golden

GOLDEN = Path(__file__).parent / "golden"
DECODERS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "StartIngestion",
            "CancelRun",
            "RepairRun",
            "RequeueDeadLetters",
            "DiscardDeadLetters",
            "StartReplay",
            "PublishReplay",
            "DiscardReplay",
            "MoveCheckpoint",
            "FindFeeds",
        ),
        serialization.command_decoder,
    ),
    **dict.fromkeys(
        (
            "FetchStream",
            "RepairPages",
            "RequeueRecords",
            "ForwardMessages",
            "ReplayPages",
            "SetCursor",
            "LookForFeeds",
        ),
        serialization.task_decoder,
    ),
    "RawPage": serialization.raw_page_decoder,
    "ReplayPage": serialization.replay_page_decoder,
    "UnifiedPage": serialization.unified_page_decoder,
    "Checkpoint": serialization.checkpoint_decoder,
    "ServiceState": service_state_decoder,
    "KeyState": configuration_decoder,
    "Setting": configuration_decoder,
    "Notification": notification_decoder,
    **dict.fromkeys(
        (
            "RunPlanned",
            "TaskStarted",
            "TaskFinished",
            "TaskFailed",
            "TaskStopped",
            "PagesRepaired",
            "RunCancelled",
            "DataGap",
            "RunEnded",
            "DeliveryTried",
            "KeysUsed",
        ),
        serialization.run_event_decoder,
    ),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().strip()


@pytest.mark.parametrize("name", DECODERS)
def test_a_message_is_read_and_written_as_it_lies_in_the_topics(
    name: str,
) -> None:
    assert encode(decode(DECODERS[name], golden(name))) == golden(name)


def test_a_unified_page_of_version_1_holds_the_same_data_points() -> None:
    decoder = DECODERS["UnifiedPage"]
    older = decode(decoder, golden("UnifiedPage-1"))
    newer = decode(decoder, golden("UnifiedPage"))
    assert older.events
    assert Points.of(older.events) == newer.points
    assert newer.points.rows() == older.events


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("open", ["1"]),
        ("record_index", [0]),
        ("id", ["0" * 32, "0" * 31 + "g"]),
        ("id", ["0" * 32, "0" * 31]),
    ],
)
def test_columns_that_do_not_belong_together_are_refused(
    field: str, value: object
) -> None:
    page = json.loads(golden("UnifiedPage"))
    page["points"] = {"id": ["0" * 32] * 2, "value_hash": [1, 2]}
    decode(DECODERS["UnifiedPage"], encode(page))
    page["points"][field] = value
    with pytest.raises(UndecodableError, match=r"values for|hex digits"):
        decode(DECODERS["UnifiedPage"], encode(page))


@pytest.mark.parametrize("name", DECODERS)
def test_fields_of_a_newer_version_are_ignored(name: str) -> None:
    newer = encode({**json.loads(golden(name)), "a_new_field": {"x": 1}})
    assert decode(DECODERS[name], newer) == decode(
        DECODERS[name], golden(name)
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"type": "Unheard"}',
        b"{}",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "StartIngestion",
        "FetchStream",
        "RawPage",
        "UnifiedPage",
        "TaskFailed",
    ],
)
def test_what_is_no_message_is_said_and_nothing_else_happens(
    name: str, value: bytes | None
) -> None:
    with pytest.raises(UndecodableError):
        decode(DECODERS[name], value)


def test_an_id_that_is_none_is_refused_before_it_reaches_postgres() -> (
    None
):
    with pytest.raises(UndecodableError, match="run_id"):
        decode(
            DECODERS["StartIngestion"],
            b'{"type":"StartIngestion","run_id":"not-a-uuid"}',
        )


@pytest.mark.parametrize(
    "moment", ["NaN", "99999-01-01T00:00:00Z", "2024-99-99"]
)
def test_a_replay_from_a_time_that_is_none_is_refused(
    moment: str,
) -> None:
    selection = {"start": moment}
    command = {
        "type": "StartReplay",
        "run_id": str(uuid.uuid4()),
        "selection": selection,
    }
    with pytest.raises(UndecodableError, match="StartReplay"):
        decode(DECODERS["StartReplay"], encode(command))


@pytest.mark.parametrize("decoder", ["RawPage", "UnifiedPage"])
def test_a_message_of_more_values_than_memory_holds_is_refused(
    decoder: str,
) -> None:
    value = b'{"type":"x","context":[' + b"{}," * 900_000 + b"{}]}"
    with pytest.raises(UndecodableError, match="values"):
        decode(DECODERS[decoder], value)


def test_the_normalizer_makes_of_the_golden_page_what_it_always_did() -> (
    None
):
    """When this changes, raise NORMALIZER_VERSION, say so in the changelog.

    And write the golden page anew.
    """
    _, unified = unify(
        golden("RawPage"),
        partition=2,
        offset=41,
        broker_ms=1_700_000_000_123,
    )
    assert encode(unified) == golden("UnifiedPage")


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(value: bytes) -> None:
    with pytest.raises(UndecodableError):
        unify(value, partition=0, offset=0, broker_ms=0)


def test_a_page_copies_its_raw_page_to_the_letter() -> None:
    assert bytes(
        decode(DECODERS["UnifiedPage"], golden("UnifiedPage")).raw
    ) == golden("RawPage")
    assert msgspec.json.decode(golden("UnifiedPage"))[
        "raw"
    ] == json.loads(golden("RawPage"))


def test_topics_along_the_path_have_the_same_partitions() -> None:
    assert {
        topic.partitions
        for topic in TOPICS
        if topic.name
        in (
            "ingest.tasks",
            "ingest.raw",
            "ingest.unified",
            "ingest.checkpoints",
        )
    } == {12}


@pytest.mark.parametrize("name", mapping_golden.pages())
def test_a_mapping_changes_only_with_its_version(name: str) -> None:
    """When this fails.

    Raise NORMALIZER_VERSION, add it to docs/mapping-versions.md, and run `python -m
    tests.contract.mapping_golden`.
    """
    assert (
        int(mapping_golden.VERSION.read_text()),
        mapping_golden.yields_file(name).read_text(),
    ) == (
        NORMALIZER_VERSION,
        mapping_golden.yields(mapping_golden.pages()[name]).decode(),
    )


def test_the_mapping_version_stands_in_the_table_of_versions() -> None:
    table = GOLDEN.parents[2] / "docs" / "mapping-versions.md"
    assert f"\n| {NORMALIZER_VERSION} |" in table.read_text()
