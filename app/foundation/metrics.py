"""Every number that `/metrics` shows, in one list, named as Prometheus advises; `docs/operate.md` explains each.

Labels are words of our own (states, effects, types, strategies, channels, route templates), never of an event.
Gauges tell what is stored: `app/pipeline/measure.py` looks when somebody asks.
"""

from prometheus_client import Counter, Gauge, Histogram, Info

_MINUTES = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400)

BUILD = Info("mendline_build", "The version that runs.")
WORKER = Info("mendline_worker", "The name under which this process works.")
READY = Gauge("mendline_ready", "1 once models and knowledge are loaded.")
PARTS = Gauge("mendline_part_ok", "1 while this part or file can be used.", ["part"])

# Events in
EVENTS = Counter("mendline_events_total", "Events stored.")
DUPLICATES = Counter("mendline_events_duplicate_total", "Events that had been delivered before.")
REFUSED = Counter(
    "mendline_events_refused_total",
    "Requests that brought events and were refused, and elements of batches that were left out, by reason.",
    ["reason"],
)
INBOX_WAITING = Gauge("mendline_inbox_waiting_events", "Events that wait for their commit.")
COMMIT_SIZE = Histogram(
    "mendline_inbox_commit_events",
    "Events per group commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_SECONDS = Histogram("mendline_inbox_commit_seconds", "Time of one group commit.")
INCIDENTS = Counter("mendline_incidents_total", "Incidents opened or reopened.", ["how"])
INCIDENTS_OPEN = Gauge("mendline_incidents_open", "Incidents that are open, by state.", ["state"])

# Diagnosing
DIAGNOSES = Counter("mendline_diagnoses_total", "Diagnoses made.", ["type"])
UNDIAGNOSED = Counter("mendline_diagnoses_failed_total", "Incidents that could not be worked on.")
SCORERS_FAILED = Counter("mendline_scorer_failures_total", "Scorers that failed on an incident.", ["scorer"])
DIAGNOSE_SECONDS = Histogram(
    "mendline_diagnose_seconds",
    "Time of one diagnosis.",
    buckets=(0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
CASES = Gauge("mendline_cases", "Cases in the index.")
RUNBOOK_MISTAKES = Gauge(
    "mendline_runbook_mistakes", "Mistakes in runbook files that keep them from being in force."
)
LLM_ASKS = Counter(
    "mendline_llm_asks_total", "Questions to the language model, by how they ended.", ["ended"]
)
LLM_TOKENS = Counter(
    "mendline_llm_tokens_total", "Tokens of the language model, by direction.", ["direction"]
)
LLM_COST = Counter("mendline_llm_cost_dollars_total", "Cost of the language model, where its price is known.")

# Deciding
DECISIONS = Counter("mendline_decisions_total", "Decisions, by effect.", ["effect"])
HELD = Counter(
    "mendline_held_total", "Plans that a gate did not let run alone, by what it said.", ["gate", "said"]
)
PAUSED = Gauge("mendline_paused", "1 while all automatic repair is paused.")

# Repairing
START_SECONDS = Histogram(
    "mendline_decision_to_act_seconds",
    "From a decision to act until its repair has the target.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 1800),
)
OUTCOMES = Counter(
    "mendline_outcomes_total", "Outcomes, by strategy and how they ended.", ["strategy", "ended"]
)
REPAIR_SECONDS = Histogram(
    "mendline_repair_seconds", "From a begun repair to its outcome.", ["strategy"], buckets=_MINUTES
)

# People
APPROVALS_WAITING = Gauge("mendline_approvals_waiting", "Approvals that wait for a person.")
APPROVAL_OLDEST = Gauge(
    "mendline_approval_oldest_seconds", "How long the oldest approval has waited; 0 while none does."
)
ANSWER_SECONDS = Histogram(
    "mendline_answer_seconds", "From a question to people until its answer.", ["answer"], buckets=_MINUTES
)
MESSAGES = Counter(
    "mendline_messages_total",
    "Tries to tell people, by channel and result (delivered, late, lost).",
    ["channel", "result"],
)
MESSAGES_WAITING = Gauge("mendline_messages_waiting", "Messages on their way to people.")

# Requests
REQUEST_SECONDS = Histogram(
    "mendline_http_request_seconds",
    "Time until the answer was sent, by method, route and status.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
