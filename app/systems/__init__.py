"""Systems: one client per kind of system that repairs act on, and the register of targets.

Comes in:  `targets.yaml`, and rows that came by API or command: how each target is reached, who
           owns it, which strategies are allowed there and with what defaults. The file holds.
Goes out:  bounded calls (time, size) that raise `FarSideError`, which says whether trying again
           can help.
Rules:     a client knows nothing of incidents. Text from an event never reaches a client: it can
           only name a target that is registered. What is told of an address is its host, of a
           command its program's name and exit code. Secrets are named where they stand.
Add a system: a connection in `connections.py`, a client beside it, its case in `reach.py`, a
           test against a real one.
Tests:     `tests/systems`.
"""
