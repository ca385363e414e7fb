"""Events in: bytes and headers become stored `Event` records.

Comes in:  a request body, from `POST /api/v1/events` or from a webhook.
Goes out:  `Accepted` per event, after the commit that made it durable.
Words:     a *source* is who told us; a *report* is what it said, in our words; an *event*
           is a report with an id, a receipt time and a template.
One order: `ingest` does verify, parse, redact, normalise for all sources alike, then hands
           the events to the inbox, which commits many at once.
Add a source: `mendline new source` writes one file in `sources/` with `verify` and `parse`, its line
           in `sources/__init__.py`, its secret and a test; three recorded payloads are yours to add.
Tests:     `tests/intake`, and `tests/contracts/test_sources.py` for every source.
"""
