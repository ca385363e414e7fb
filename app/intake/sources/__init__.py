"""The webhook sources, by id. `POST /api/v1/events` is our own form and needs no adapter."""

from app.intake.sources.alertmanager import Alertmanager
from app.intake.sources.github import Github

SOURCES = (Github, Alertmanager)
