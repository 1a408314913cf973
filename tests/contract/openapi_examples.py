"""Examples for the OpenAPI document, from a running API.

`make demo`, then `python -m tests.contract.openapi_examples > services/gateway/examples.json`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

URL = "http://127.0.0.1:8000/api/v1"
KEY = "test-api-key"
MOST = 3  # entries of a list within an example
QUESTIONS = {
    "/agreement": {"symbol": "btc", "interval": "1d", "limit": 2},
    "/checkpoints": {"source": "csv", "limit": 1},
    "/coverage": {"symbol": "btc", "to": "2025-01-04", "limit": 1},
    "/data": {"symbol": "btc", "kind": "candle", "limit": 1},
    "/instruments": {"q": "btc", "limit": 1},
    "/latest": {"symbol": "btc"},
    "/ohlcv": {"symbol": "btc", "interval": "1w", "limit": 2},
    "/price": {"symbol": "btc", "at": "2024-01-15T12:00:00Z"},
    "/raw": {"source": "csv", "limit": 1},
    "/series": {"kind": "candle", "limit": 1},
    "/stats": {"limit": 1},
}


def main() -> None:
    found: dict[str, Any] = {}
    with httpx.Client(
        base_url=URL, headers={"x-api-key": KEY}, trust_env=False
    ) as api:
        for path, params in QUESTIONS.items():
            answer = api.get(path, params=params)
            answer.raise_for_status()
            found[path] = _short(answer.json())
    json.dump(found, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value[:MOST]]
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return value


if __name__ == "__main__":
    main()
