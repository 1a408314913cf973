"""GET /services"""

from __future__ import annotations

from fastapi import APIRouter, Depends

from services.gateway.dependencies import ApiKey, Bus
from services.gateway.problems import documented, unavailable
from services.gateway.requests.known_parameters import check_parameters
from services.gateway.schemas.health import ServiceInstance

router = APIRouter(
    tags=["health"], dependencies=[Depends(check_parameters)]
)


@router.get(
    "/services",
    response_model=list[ServiceInstance],
    responses=documented(401, 403, 422, 503),
    summary="The processes of each service, now and over the last hour",
)
async def services(_key: ApiKey, bus: Bus) -> list[ServiceInstance]:
    """By service and name. One that is gone is listed for an hour.

    Each tells of itself every five seconds, through Kafka.
    """
    if not bus.is_connected:
        detail = "Kafka cannot be reached, and services tell of themselves there: try again"
        raise unavailable(detail)
    return list(bus.services.instances())
