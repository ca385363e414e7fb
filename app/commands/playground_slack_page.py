"""The page of the playground's Slack: the channel as its readers see it, with buttons that click."""

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.commands.playground_slack import Workspace

Json = dict[str, Any]

_MENTION = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_STYLES = (
    (re.compile(r"(?<!\w)`([^`\n]+)`(?!\w)"), "code"),
    (re.compile(r"(?<!\w)\*(\S(?:[^*\n]*\S)?)\*(?!\w)"), "b"),
    (re.compile(r"(?<!\w)_(\S(?:[^_\n]*\S)?)_(?!\w)"), "i"),
    (re.compile(r"(?<!\w)~(\S(?:[^~\n]*\S)?)~(?!\w)"), "s"),
)

_LOOK = Path(__file__).with_name("playground_slack.css")
_MOVES = Path(__file__).with_name("playground_slack.js")


def page(slack: "Workspace", user: str = "", *, live: bool = True) -> str:
    """The whole page as `user` sees it; not `live` for pictures of it."""
    user = user if user in slack.members else next(iter(slack.members))
    who = " ".join(
        f"<b>{html.escape(name)}</b>" if one == user else f'<a href="/?as={one}">{html.escape(name)}</a>'
        for one, name in slack.members.items()
    )
    channel = next(iter(slack.joined.values()))
    waits = "".join(
        f'<a href="#{one["ts"]}">waits for an answer: {_plain(one["text"][:60])}…</a>'
        for one in slack.cards
        if "approve" in slack.buttons(one)
    )
    said = "".join(
        _message(slack, one, user)
        for one in slack.messages
        if (not one["thread_ts"] or one.get("broadcast")) and one["only"] in ("", user)
    )
    forms = "".join(_form(view_id, view, user) for view_id, view in slack.views.items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Slack of the playground</title>"
        f"<style>{_LOOK.read_text()}</style><header class=top><b># {html.escape(channel)}</b>"
        f"<span>a Slack of its own, on this machine</span><span>you are {who}</span>{waits}</header>"
        f"<main>{said or '<p class=dim>Nothing was said yet.</p>'}</main>{forms}"
        f"{f'<script>{_MOVES.read_text()}</script>' if live else ''}"
    )


def _message(slack: "Workspace", message: Json, user: str, *, inner: bool = False) -> str:
    body = "".join(_block(block, message, user) for block in message["blocks"])
    only = "<div class=dim>Only visible to you</div>" if message["only"] else ""
    edited = " <small>(edited)</small>" if message["edited"] else ""
    replies = [] if inner or message.get("thread_ts") else slack.thread(message)
    thread = "".join(_message(slack, one, user, inner=True) for one in replies)
    count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
    above = "<div class=dim>replied to a thread</div>" if message.get("thread_ts") and not inner else ""
    return (
        f'<div id="{message["ts"]}" class="message{" only" if message["only"] else ""}">'
        f"<div class=face>M</div><div>{only}{above}"
        f"<div class=by>Mendline <span class=app>APP</span>{edited}</div>{body or _text(message['text'])}"
        f"{f'<div class=thread><div class=dim>{count}</div>{thread}</div>' if replies else ''}</div></div>"
    )


def _block(block: Json, message: Json, user: str) -> str:
    match block["type"]:
        case "header":
            return f"<h1>{_plain(block['text']['text'])}</h1>"
        case "section":
            fields = "".join(_text(field["text"]) for field in block.get("fields", ()))
            text = _text(block["text"]["text"]) if "text" in block else ""
            return f"{text}<div class=fields>{fields}</div>" if fields else text
        case "context":
            return f"<div class=context>{''.join(_text(e['text']) for e in block['elements'])}</div>"
        case "divider":
            return "<hr>"
        case "actions":
            return f"<div class=actions>{''.join(_action(e, message, user) for e in block['elements'])}</div>"
    return ""


def _action(element: Json, message: Json, user: str) -> str:
    confirm = element.get("confirm")
    sure = f"{confirm['title']['text']}\n\n{confirm['text']['text']}" if confirm else ""
    hidden = {"as": user, "ts": message["ts"], "verb": element["action_id"]}
    fields = "".join(f'<input type=hidden name="{k}" value="{html.escape(v)}">' for k, v in hidden.items())
    if element["type"] == "button":
        style = element.get("style", "")
        inner = f'<button class="{style}">{_plain(element["text"]["text"])}</button>'
    else:
        options = "".join(
            f'<option value="{html.escape(o["value"])}">{_plain(o["text"]["text"])}</option>'
            for o in element["options"]
        )
        label = _plain(element["placeholder"]["text"])
        inner = (
            f"<select name=chosen aria-label='{label}'><option value=''>{label}</option>{options}</select>"
        )
    asks = f' data-sure="{html.escape(html.unescape(sure))}"' if sure else ""
    return f"<form method=post action=/click{asks}>{fields}{inner}</form>"


def _form(view_id: str, view: Json, user: str) -> str:
    inner = "".join(
        f"<p><label>{_plain(block['label']['text'])} <span class=dim>(optional)</span>"
        f"<textarea name={json.dumps(block['block_id'])}></textarea></label></p>"
        if block["type"] == "input"
        else _block(block, {}, user)
        for block in view["blocks"]
    )
    return (
        f"<dialog open><form method=post action=/submit><h1>{_plain(view['title']['text'])}</h1>"
        f'<input type=hidden name=view value="{view_id}"><input type=hidden name=as value="{user}">{inner}'
        f"<div class=actions><button name=cancel value=1>{_plain(view['close']['text'])}</button>"
        f"<button class=primary>{_plain(view['submit']['text'])}</button></div></form></dialog>"
    )


def _plain(text: str) -> str:
    return html.escape(html.unescape(text))


def _text(text: str) -> str:
    """Slack's mrkdwn as HTML: links, dates and mentions where they are meant, all else escaped."""
    parts, at = [], 0
    for found in _MENTION.finditer(text):
        parts += [_styled(text[at : found.start()]), _mention(found[1], found[2])]
        at = found.end()
    whole = "".join([*parts, _styled(text[at:])])
    for pattern, tag in _STYLES:
        whole = pattern.sub(rf"<{tag}>\1</{tag}>", whole)
    return f"<p>{whole}</p>"


def _styled(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)


def _mention(what: str, label: str | None) -> str:
    if what.startswith("!date"):
        return html.escape(label or "")
    if what.startswith(("!", "@", "#")):
        return f"<span class=mention>{html.escape(what)}</span>"
    return f'<a href="{html.escape(what)}">{html.escape(label or what)}</a>'
