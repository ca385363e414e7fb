"""What Slack refuses: the limits and forms of Block Kit, as its references of blocks and elements give them.

Lengths count UTF-16 units, the strictest reading. Only what Mendline may send is known; all else is refused.
"""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

_BLOCKS, _MODAL_BLOCKS, _ACTIONS, _CONTEXT, _FIELDS, _OPTIONS = 50, 100, 25, 10, 10, 100
_TEXT, _FIELD, _HEADER, _LABEL, _ID, _VALUE, _OPTION_VALUE = 3000, 2000, 150, 75, 255, 2000, 150
_KEYS = {
    "header": {"text"},
    "section": {"text", "fields"},
    "context": {"elements"},
    "divider": set(),
    "actions": {"elements"},
    "input": {"label", "element", "optional"},
}
_ELEMENT_KEYS = {
    "button": {"text", "value", "style", "confirm"},
    "static_select": {"placeholder", "options", "confirm"},
    "plain_text_input": {"multiline", "max_length", "focus_on_load"},
}


def length(text: str) -> int:
    """How long a text is for Slack."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def wrong_blocks(blocks: Any, *, modal: bool = False) -> list[str]:
    """All that Slack would refuse of these blocks; empty: it takes them."""
    if not isinstance(blocks, list):
        return ["blocks: a list belongs here"]
    found = [f"blocks: {len(blocks)}, more than {_BLOCKS}"] if len(blocks) > _BLOCKS else []
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and "block_id" in block]
    if len(ids) != len(set(ids)):
        found.append("block_id: one stands twice")
    for number, block in enumerate(blocks):
        found += [f"/blocks/{number}{says}" for says in _wrong_block(block, modal)]
    return found


def wrong_view(view: Any) -> list[str]:
    """All that Slack would refuse of a modal."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["view: a modal belongs here"]
    known = {"type", "callback_id", "private_metadata", "title", "submit", "close", "blocks"}
    found = [f"/{key}: not known" for key in view.keys() - known]
    for key in ("title", "submit", "close"):
        found += [f"/{key}{says}" for says in _wrong_text(view.get(key), 24, "plain_text")]
    if length(view.get("private_metadata", "")) > 3000:
        found.append("/private_metadata: longer than 3000")
    if len(view["blocks"]) > _MODAL_BLOCKS:
        found.append(f"/blocks: more than {_MODAL_BLOCKS}")
    return found + wrong_blocks(view["blocks"], modal=True)


def wrong_metadata(metadata: Any) -> bool:
    """Whether Slack would refuse it: a name and a flat payload belong there."""
    if not isinstance(metadata, dict) or metadata.keys() != {"event_type", "event_payload"}:
        return True
    flat = (str, int, float, bool)
    return not isinstance(metadata["event_type"], str) or not all(
        isinstance(value, flat) for value in metadata["event_payload"].values()
    )


def _wrong_block(block: Any, modal: bool) -> Iterable[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _KEYS or (kind == "input" and not modal):
        yield f": no block {kind!r} may stand here"
        return
    yield from (f"/{key}: not known" for key in block.keys() - _KEYS[kind] - {"type", "block_id"})
    if "block_id" in block and not 1 <= length(block["block_id"]) <= _ID:
        yield f"/block_id: 1 to {_ID} characters"
    if kind == "header":
        yield from _under("text", _wrong_text(block.get("text"), _HEADER, "plain_text"))
    elif kind == "section":
        if not block.get("text") and not block.get("fields"):
            yield ": a text or fields belong here"
        if "text" in block:
            yield from _under("text", _wrong_text(block["text"], _TEXT))
        if "fields" in block and not 1 <= len(block["fields"]) <= _FIELDS:
            yield f"/fields: 1 to {_FIELDS}"
        for number, field in enumerate(block.get("fields", ())):
            yield from _under(f"fields/{number}", _wrong_text(field, _FIELD))
    elif kind == "context":
        yield from _count(block, "elements", _CONTEXT)
        for number, element in enumerate(block.get("elements", ())):
            yield from _under(f"elements/{number}", _wrong_text(element, _TEXT))
    elif kind == "actions":
        yield from _count(block, "elements", _ACTIONS)
        verbs = [element.get("action_id") for element in block.get("elements", ())]
        if len(verbs) != len(set(verbs)):
            yield "/elements: an action_id stands twice"
        for number, element in enumerate(block.get("elements", ())):
            yield from _under(f"elements/{number}", _wrong_element(element, {"button", "static_select"}))
    elif kind == "input":
        yield from _under("label", _wrong_text(block.get("label"), _FIELD, "plain_text"))
        yield from _under("element", _wrong_element(block.get("element"), {"plain_text_input"}))


def _wrong_element(element: Any, allowed: set[str]) -> Iterable[str]:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in allowed:
        yield f": no element {kind!r} may stand here"
        return
    yield from (f"/{key}: not known" for key in element.keys() - _ELEMENT_KEYS[kind] - {"type", "action_id"})
    if not 1 <= length(element.get("action_id", "")) <= _ID:
        yield f"/action_id: 1 to {_ID} characters"
    if kind == "button":
        yield from _under("text", _wrong_text(element.get("text"), _LABEL, "plain_text"))
        if length(element.get("value", "")) > _VALUE:
            yield f"/value: longer than {_VALUE}"
        if element.get("style", "primary") not in ("primary", "danger"):
            yield "/style: primary or danger"
    elif kind == "static_select":
        yield from _under("placeholder", _wrong_text(element.get("placeholder"), 150, "plain_text"))
        yield from _count(element, "options", _OPTIONS)
        for number, option in enumerate(element.get("options", ())):
            yield from _under(f"options/{number}/text", _wrong_text(option.get("text"), _LABEL, "plain_text"))
            if not 1 <= length(option.get("value", "")) <= _OPTION_VALUE:
                yield f"/options/{number}/value: 1 to {_OPTION_VALUE} characters"
    if "confirm" in element:
        for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            yield from _under(f"confirm/{key}", _wrong_text(element["confirm"].get(key), most, "plain_text"))


def _wrong_text(text: Any, most: int, kind: str = "") -> Iterable[str]:
    if not isinstance(text, dict) or text.get("type") not in ({kind} if kind else {"plain_text", "mrkdwn"}):
        yield f": a text of type {kind or 'plain_text or mrkdwn'} belongs here"
        return
    known = {"type", "text", "emoji" if text["type"] == "plain_text" else "verbatim"}
    yield from (f"/{key}: not known" for key in text.keys() - known)
    if not text.get("text") or length(text["text"]) > most:
        yield f": 1 to {most} characters, not {length(text.get('text', ''))}"


def _count(owner: Json, key: str, most: int) -> Iterable[str]:
    if not 1 <= len(owner.get(key, ())) <= most:
        yield f"/{key}: 1 to {most}, not {len(owner.get(key, ()))}"


def _under(place: str, found: Iterable[str]) -> Iterable[str]:
    return (f"/{place}{says}" for says in found)
