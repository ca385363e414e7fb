"""What every room may lean on: time, ids, records, errors, logging, metrics, lanes.

Nothing here knows the product. The list is closed (`tests/architecture` holds it): a
new file needs a reason in DECISIONS.md, because a room called "foundation" otherwise
becomes a room called "everything".
"""
