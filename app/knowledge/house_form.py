"""The house form: how a runbook is written down, with its front matter and its sections in order."""

import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import yaml
from pydantic import BaseModel

from app.knowledge.playbook import Action
from app.knowledge.runbook import SECTIONS
from app.knowledge.taxonomy import Taxonomy


def written(front: Mapping[str, Any], title: str, sections: Mapping[str, str]) -> str:
    """The file's text."""
    head = yaml.safe_dump(
        dict(front), default_flow_style=None, sort_keys=False, allow_unicode=True, width=10_000
    )
    body = "\n\n".join(f"## {heading}\n\n{sections[heading]}" for heading in SECTIONS)
    return f"---\n{head}---\n# {title}\n\n{body}\n"


def fenced(text: str, kind: str = "") -> str:
    """Foreign text in a block that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{kind}\n{text}\n{fence}"


def action_blocks(actions: Sequence[Action]) -> str:
    """A playbook's actions as they stand in a runbook."""
    fields = [action.model_dump(mode="json", exclude_defaults=True) for action in actions]
    blocks = [yaml.safe_dump(one, default_flow_style=None, sort_keys=False, width=10_000) for one in fields]
    return "\n\n".join(fenced(block.rstrip("\n"), "action") for block in blocks)


def begun(
    name: str,
    taxonomy: Taxonomy,
    params: Mapping[str, type[BaseModel]],
    today: date,
    *,
    types: Sequence[str] = (),
    strategy: str = "",
    owner: str = "",
) -> str:
    """A new runbook; what a person must write is marked, and `lint` lists it."""
    chosen = strategy or "escalate_to_human"
    front = {
        "id": name,
        "types": list(types) or ["(fill in one or more of the types above)"],
        "signals": ["(fill in a regular expression that occurs in the message)"],
        "strategy": chosen,
        "params": {},
        "risk": "low",
        "approval": "auto",
        "owner": owner or "(fill in the team that answers for it)",
        "reviewed": today,
    }
    sections = {
        "Symptoms": "(fill in what one sees)\n\n" + fenced("(fill in one or two real log lines)"),
        "Confirm": "(fill in one check that tells it from its look-alikes)",
        "Fix": "1. (fill in the first step)",
        "Verify": "(fill in which signal recovers and within what time)",
        "Roll back": "(fill in how to take the fix back or that there is nothing to take back)",
        "Escalate": "(fill in when to call whom)",
        "Seen in": "Nothing yet.",
    }
    text = written(front, "(fill in what happened in one sentence)", sections)
    text = text.replace(
        f"strategy: {chosen}\n",
        f"{_told('strategies', params)}strategy: {chosen}\n{_parameters(params, chosen)}",
    )
    return text if types else text.replace("types: ", f"{_told('types', taxonomy.types)}types: ", 1)


def _told(what: str, names: Mapping[str, Any]) -> str:
    told = textwrap.wrap(f"{what}: {', '.join(names)}", 100)
    return "".join(f"# {line}\n" for line in told)


def _parameters(params: Mapping[str, type[BaseModel]], strategy: str) -> str:
    model = params.get(strategy)
    fields = model.model_fields if model else {}
    named = [name if field.is_required() else f"{name}: {field.default}" for name, field in fields.items()]
    return f"# its parameters: {', '.join(named)}\n" if named else ""
