"""Systems: one client per kind of system that repairs act on, and the register of targets.

A client is bounded (time, size), raises `FarSideError`, which says whether trying
again can help, and knows nothing of incidents. Targets are registered in `targets.yaml`:
how to reach them, who owns them, which strategies are allowed and with what defaults. Text
from an event never reaches a client: it can only name a target that is registered.
Tests:     `tests/systems`.
"""
