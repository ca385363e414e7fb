"""Web: the doors over HTTP: `/api/v1`, the pages, `/healthz`, `/readyz`, `/metrics`.

Comes in:  requests with an API key (`Authorization: Bearer …`) or a signed-in session.
Goes out:  JSON, problem+json for every error, or server-rendered pages.
Words:     a *role* belongs to a key and includes *scopes*; each endpoint needs one.
Rules:     endpoints are thin: check who asks, call one verb or query, shape the answer. No
           business rule here and none in a template. FastAPI is known here and in `main`.
           `problems` alone turns errors into answers.
Add an endpoint: in a module of `api/` or `pages/`, with the scope that it needs, and a test.
Tests:     `tests/web`, `tests/flow`, and schemathesis against the running server.
"""
