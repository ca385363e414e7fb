"""What every room may lean on: time, ids, records, errors, logging, metrics, traces, lanes.

Gives:     `Clock` (aware UTC, passed in), `new_id` and `derived_id`, `Record` (a frozen value),
           the three fates of an error, `log`, the numbers of `/metrics`, spans, `Lane`.
Words:     a *lane* is a few threads under one name for one kind of heavy work.
Rules:     nothing here knows the product, and nothing here imports another room.
           The list is closed (`tests/architecture` holds it): a new file needs a reason in
           DECISIONS.md, because a room called "foundation" otherwise becomes a room called
           "everything".
Tests:     `tests/foundation`, `tests/architecture`.
"""
