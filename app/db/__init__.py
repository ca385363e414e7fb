"""The database: one engine, sessions at the edge, one time type, migrations.

SQLite by default (WAL, full sync, one writer at a time), Postgres when
`MENDLINE_DB__URL` is one. Rows live in their room's `tables.py`, queries in its
`store.py`; this room knows neither. `reading` and `writing` are the two kinds of
session: who may write says so in the code, and on SQLite takes the one write lock
first, so that two writers queue here and not in the driver's polling.
"""
