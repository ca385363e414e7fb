"""The HTTP API, one file per noun; `router` holds them all under `/api/v1`."""

from fastapi import APIRouter

from app.web.api import (
    approvals,
    calibration,
    diagnose,
    events,
    incidents,
    knowledge,
    pause,
    remediations,
    webhooks,
)

router = APIRouter(prefix="/api/v1")
for module in (events, webhooks, incidents, approvals, remediations, diagnose, calibration, knowledge, pause):
    router.include_router(module.router)
