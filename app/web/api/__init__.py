"""The HTTP API, one file per noun; `router` holds them all under `/api/v1`."""

from fastapi import APIRouter

from app.web.api import (
    approvals,
    audit,
    calibration,
    diagnose,
    events,
    incidents,
    knowledge,
    pause,
    remediations,
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
    remediations,
    diagnose,
    calibration,
    knowledge,
    targets,
    pause,
    shadow,
    audit,
    slack,
):
    router.include_router(module.router)
