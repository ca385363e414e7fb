"""Mendline: from an error event to a verified repair.

The flow is the tree, left to right: `intake` takes bytes and gives events, `incidents`
groups them, `diagnosis` says what kind of failure it is and how sure it is, `decision`
lets act, asks or escalates, `remediation` repairs, verifies and undoes, `learning` turns
outcomes into knowledge. `pipeline` runs these verbs in order on the durable engine;
`web` and `cli` are the doors; `wiring` alone knows how the parts fit together.
"""

__version__ = "0.1.0"
