"""Bodies as JSON in which each field stands once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
REFUSED = "refused: "  # before a reason that is told as it is
MAX_SHOWN = 50  # characters of a name
_FIELD = re.compile(
    rb'"\s*+:'
)  # where one begins; there may be more within texts
MAX_FIELDS = 20_000  # a cursor of a feed has the largest number of them


class JsonBodyRoute(APIRoute):
    """A route whose body is refused where a field is given twice: which of them is meant?"""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return once


class _Request(Request):
    async def json(self) -> Any:
        """Raises JSONDecodeError, which FastAPI knows; UnicodeDecodeError."""
        body = await self.body()
        if sum(1 for _ in _FIELD.finditer(body)) > MAX_FIELDS:
            raise _refusal(f"has more than {MAX_FIELDS} fields")
        try:
            return json.loads(body, object_pairs_hook=_each_once)
        except RecursionError:
            raise _refusal("lies too deep in itself") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError:  # as Python says it of a number
            raise _refusal("holds a number of too many digits") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _refusal(f"has `{name[:MAX_SHOWN]}` twice")
    return found


def _refusal(reason: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(f"{REFUSED}{reason}", "", 0)
