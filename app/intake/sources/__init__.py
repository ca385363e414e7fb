"""The webhook sources, by id. `POST /api/v1/events` is our own form and needs no adapter."""

from typing import Any

from app.intake.settings import IntakeSettings
from app.intake.source import Source
from app.intake.sources.alertmanager import Alertmanager
from app.intake.sources.github import Github

SOURCES = (
    Github,
    Alertmanager,
)


def open_sources(settings: IntakeSettings) -> dict[str, Source]:
    """The webhooks whose secret is set; the others stay shut."""
    found: dict[str, Source] = {}
    source: Any  # each takes its own Params
    for source in SOURCES:
        secret = getattr(settings, f"{source.id}_secret")
        if secret.get_secret_value():
            found[source.id] = source(source.Params(secret=secret))
    return found
