"""The database: one engine, sessions at the edge, one time type, migrations.

Choices:   SQLite by default (WAL, full sync, one writer at a time), Postgres when
           `MENDLINE_DB__URL` is one.
Gives:     `reading` and `writing`, the two kinds of session: who may write says so in the code.
           On SQLite a writer takes the one write lock first, so that two writers queue here and
           not in the driver's polling; what is done in `reading` is never kept.
Words:     rows live in their room's `tables.py`, queries in its `store.py`; this room knows neither.
Add a column: change the row, then a new file in `migrations/versions`, additive first.
Tests:     `tests/db`, `tests/migrations`; both on both databases.
"""
