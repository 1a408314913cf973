"""Prints the OpenAPI document that the console's types are made from (`make console-types`)."""

from __future__ import annotations

import hashlib
import json
import sys

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health


def document() -> str:
    """As JSON, without examples: they are no types."""
    settings = GatewaySettings(_env_file=None)
    found = create_app(settings, Health(None)).openapi()
    for path in found["paths"].values():
        for response in path.get("get", {}).get("responses", {}).values():
            for each in response.get("content", {}).values():
                each.pop("example", None)
    return json.dumps(found, indent=1, sort_keys=True)


def digest(text: str) -> str:
    """What the console's types say they were made from."""
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    if "--digest" in sys.argv:
        print(f"// Of the OpenAPI document {digest(document())}")
    else:
        print(document())
