"""Incidents: events with one cause become one incident, with a state and a timeline.

Comes in:  `Event` records, many at once, inside the inbox's transaction.
Goes out:  `Incident` records; `group` says which one each event belongs to and why.
Words:     a *grouper* gives the key under which events meet; an *episode* is one time
           that the incident was open (a reopened incident begins a new one, and with it a
           new diagnosis); a *transition* is one change of state with actor and reason.
States:    firing, acknowledged, resolved, suppressed; `lifecycle.advance` alone changes them.
Add a grouper: one file in `groupers/` and its place in `GROUPERS`; the first that gives a
           key wins, the others are kept in the incident's `why` as not contributing.
Tests:     `tests/incidents`.
"""
