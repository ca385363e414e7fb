"""Every number that `/metrics` shows, in one list, named as Prometheus advises."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("mendline_events_total", "Events stored.")
DUPLICATES = Counter("mendline_events_duplicate_total", "Events that had been delivered before.")
REFUSED = Counter("mendline_events_refused_total", "Events not taken, by reason.", ["reason"])
COMMIT_SIZE = Histogram(
    "mendline_inbox_commit_events",
    "Events per group commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_SECONDS = Histogram("mendline_inbox_commit_seconds", "Time of one group commit.")
INCIDENTS = Counter("mendline_incidents_total", "Incidents opened or reopened.", ["how"])
DIAGNOSES = Counter("mendline_diagnoses_total", "Diagnoses made.", ["type"])
DIAGNOSE_SECONDS = Histogram(
    "mendline_diagnose_seconds",
    "Time of one diagnosis.",
    buckets=(0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
DECISIONS = Counter("mendline_decisions_total", "Decisions, by effect.", ["effect"])
OUTCOMES = Counter(
    "mendline_outcomes_total", "Outcomes, by strategy and how they ended.", ["strategy", "ended"]
)
LLM_ASKS = Counter(
    "mendline_llm_asks_total", "Questions to the language model, by how they ended.", ["ended"]
)
LLM_TOKENS = Counter(
    "mendline_llm_tokens_total", "Tokens of the language model, by direction.", ["direction"]
)
LLM_COST = Counter("mendline_llm_cost_dollars_total", "Cost of the language model, where its price is known.")
APPROVALS_WAITING = Gauge("mendline_approvals_waiting", "Approvals that wait for a person.")
MESSAGES = Counter(
    "mendline_messages_total",
    "Tries to tell people, by channel and result (delivered, late, lost).",
    ["channel", "result"],
)
PAUSED = Gauge("mendline_paused", "1 while all automatic repair is paused.")
CASES = Gauge("mendline_cases", "Cases in the index.")
READY = Gauge("mendline_ready", "1 once models and knowledge are loaded.")
