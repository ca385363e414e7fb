"""The HTTP API, one file per noun; `router` holds them all under `/api/v1`."""

from fastapi import APIRouter

from app.web.api import (
    approvals,
    audit,
    calibration,
    deliveries,
    diagnose,
    events,
    incidents,
    knowledge,
    pause,
    remediations,
    runbooks,
    savings,
    shadow,
    slack,
    targets,
    webhooks,
)

router = APIRouter(prefix="/api/v1")
for module in (
    events,
    webhooks,
    incidents,
    approvals,
    deliveries,
    remediations,
    diagnose,
    calibration,
    knowledge,
    runbooks,
    targets,
    pause,
    shadow,
    savings,
    audit,
    slack,
):
    router.include_router(module.router)
