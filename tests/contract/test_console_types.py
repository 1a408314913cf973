"""The console's types are those of the API."""

from __future__ import annotations

from embedded.settings import ROOT
from tools.openapi import digest, document


def test_the_types_of_the_console_are_made_from_the_document_of_now() -> (
    None
):
    types = (ROOT / "console" / "src" / "api" / "schema.ts").read_text()
    assert types.splitlines()[-1].split()[-1] == digest(document()), (
        "run `make console-types`"
    )
