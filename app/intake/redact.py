"""Redaction: secrets are replaced before anything is stored, logged or shown.

Two ways of knowing a secret: by its form (`ghp_…`, `AKIA…`, a private key) and by the name
before it (`password=…`, `--token …`, `Authorization: Basic …`). The forms come from
detect-secrets, which keeps them up to date, as far as they take linear time and need no
text around them; the others stand here in our own words. A secret without a known form and
without a name before it is not found.

A message must stay readable: "token expired", "password authentication failed for user"
and "Unexpected token: export" tell of no secret. So after `name: ` a plain word stays,
after `name=` and in JSON it goes; after a password's name it goes unless it is one of the
words that messages are made of.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

MARK = "[redacted]"
_DEEPEST = 50
_I64 = 2**63

# --- known by form --------------------------------------------------------------------------

# Left out of detect-secrets, with ours instead: artifactory (needs white space around it), jwt, npm
# and openai (quadratic), azure and the second one of aws (a name and a value: `_PAIR` has them).
_ESCAPED = r"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})"
# These run on without an end, so they begin only where a run begins: else each of many beginnings in
# one run would read it to its end.
_RUN = rf"(?:(?<![\w\-])|{_ESCAPED})"
_OWN_FORMS = (
    _RUN + r"eyJ[\w\-]{8,}+\.[\w\-=]{4,}+(?:\.[\w\-=]*+)?",
    _RUN + r"sk-(?=[\w\-]{0,60}\d)[\w\-]{20,}+",
    _RUN + r"xox[a-z](?:\.xox[a-z])?-(?=[\w\-]{0,60}\d)[\w\-]{10,}+",
    _RUN + r"xapp-\d-[\w\-]{10,}+",
    r"npm_[A-Za-z0-9]{36}",
    r"github_pat_\w{22,255}",
    r"[rs]k_test_[0-9a-zA-Z]{24}",
    r"AIza[\w\-]{35}",
    r"ya29\.[\w\-]{20,200}",
    r"hf_[A-Za-z0-9]{34}",
    r"dapi[0-9a-f]{32}",
    r"do[opr]_v1_[0-9a-f]{64}",
    r"hv[sbr]\.[\w\-]{20,300}",
)


def _scoped(pattern: re.Pattern[str]) -> str:
    flags = ("i" if pattern.flags & re.IGNORECASE else "") + ("x" if pattern.flags & re.VERBOSE else "")
    return f"(?{flags}:{pattern.pattern})"


@cache
def _forms() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What begins as a word does, and what stands behind an escape that ends in a letter."""
    # Importing them takes a start a tenth of a second.
    from detect_secrets.plugins import (
        aws,
        discord,
        github_token,
        gitlab_token,
        mailchimp,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    detectors = (
        aws.AWSKeyDetector,
        discord.DiscordBotTokenDetector,
        github_token.GitHubTokenDetector,
        gitlab_token.GitLabTokenDetector,
        mailchimp.MailchimpDetector,
        pypi_token.PypiTokenDetector,
        sendgrid.SendGridDetector,
        slack.SlackDetector,
        square_oauth.SquareOAuthDetector,
        stripe.StripeDetector,
        telegram_token.TelegramBotTokenDetector,
        twilio.TwilioKeyDetector,
    )
    found = [_scoped(p) for d in detectors for p in d().denylist if not p.pattern.startswith("aws")]
    forms = "|".join([*found, *_OWN_FORMS])
    return (
        re.compile(rf"(?<![A-Za-z0-9])(?:{forms})\w*+"),
        re.compile(rf"(\\[nrt]|%[0-9A-Fa-f]{{2}}|/bot)(?:{forms})\w*+"),
    )


# What is known is looked for only in long words and where a word begins in them, for speed; the other
# pattern finds those behind an escape.
_LONG = re.compile(r"[A-Za-z0-9_\-.:/]{20,}")
_ARTIFACTORY = re.compile(
    rf"(?:(?<![A-Za-z0-9])|{_ESCAPED})"
    r"(?:AKC[A-Za-z0-9]{10,}|AP(?:\d|[A-F](?=[A-Za-z]{0,70}\d))[A-Za-z0-9]{8,})"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^\s:/@\"'<>]*+):([^\s/\"'<>]+)@")
_URL_TOKEN = re.compile(r"(?<=://)(?=[^\s:/@\"'<>]{0,100}\d)[^\s:/@\"'<>]{20,}+@")

# --- known by name --------------------------------------------------------------------------

_NAMES = (
    "passwd",
    "password",
    "passphrase",
    "passcode",
    r"p(?<=[_\-]p)ass(?=[\"']?=)",
    "pwd",
    "secret",
    r"token(?!s(?![a-z])|i[sz])",
    "credential",
    r"api[_\-]?key",
    r"auth[_\-]?key",
    r"access[_\-]?key",
    r"account[_\-]?key",
    r"private[_\-]?key",
    r"encryption[_\-]?key",
    r"signing[_\-]?key",
    "authorization",
    "cookie",
)


def _any(names: Sequence[str]) -> str:
    """One of `names`, sorted by first letter: with few literal beginnings the search can skip ahead."""
    by_letter: dict[str, list[str]] = {}
    for name in names:
        by_letter.setdefault(name[0], []).append(name[1:])
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in by_letter.items())


# Searched in lower-case text, because IGNORECASE forbids that skipping.
_NAME = re.compile(_any([*_NAMES, "bearer", "basic", "sig(?:nature)?=", "identified by"]))
# `token_count`, `secretName`, `PasswordExpiredError`: not the secret but something about it.
_ABOUT = re.compile(
    r"(?i)[\w\-]{0,30}?(?:count|type|name|ur[il]|endpoint|file|path|policy|expir|ttl|limit|length|usage|manager|"
    r"error|exception|mismatch|invalid|required|valid|provider|issuer|bucket|index|field|stdin|less)"
)
# These match at the end of a name. Their quantifiers are bounded or possessive, so that
# no text makes them look at one character often.
_IS = re.compile(
    r"[\w\-]{0,40}+(?P<quote>[\"'\\\]]{0,5})"
    r"(?P<sign>[ \t]{0,20}(?:=>|:=|==?|:(?!:))[ \t]{0,20}|>(?=[^<\n]{1,500}</)|[ \t]{1,20})"
)
_VALUE = re.compile(
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|\\++[\"'][^\"'\\\n]*+\\++[\"']|"
    r"[\"'\\]{0,4}(?:\[redacted\]|[^\s\"'<>,;&)}\]])++|<[\w \-]{1,40}>)"
)
_AUTHORIZATION = re.compile(
    r"[\"'\\\]]{0,5}[ \t]{0,20}[:=][ \t]{0,20}[\"'\\]{0,5}"
    r"(?P<scheme>(?i:basic|bearer|token|negotiate|apikey|api-key|ntlm|splunk)[ \t]{1,20})?"
    r"(?P<value>(?:\[redacted\]|[^\s\"'\\<>,;&)}\]])++)"
)
_COOKIE = re.compile(
    r"[\"'\\\]]{0,5}[ \t]{0,20}[:=][ \t]{0,20}[\"'\\]{0,5}(?P<value>[\w.\-]{1,100}+=[^\n\"'\\]*+)"
)
_SPOKEN = re.compile(r"[ \t]{1,20}(?P<value>[\w\-.~+/]{12,}+=*+)")
_SIGNED = re.compile(r"(?P<value>[\w%+/=\-]{20,}+)")
_PLAIN = re.compile(r"[A-Za-z]?[a-z]*(?:[\-_/.][a-z]+)*[.:,!?]*")
_CODE = re.compile(r"[A-Za-z_][\w.]*[(\[]")
_DIGIT = re.compile(r"\d")
# What stands in a secret's place when there is none, and the words that follow a name in a sentence.
_NOTHING = re.compile(
    r"(?i)(?:none|null|nil|true|false|yes|no|on|off|undefined|nan|\*+|\.+|\[redacted\]|<[\w \-]{1,40}>|"
    r"(?-i:\$[A-Z_]{1,60})|(?:\$\{|\{\{|%\()[\w.\-]{0,100})?"
)
_SPEECH = re.compile(
    r"(?i)(?:a|an|and|are|at|auth|authentication|authorization|be|can|cannot|changed|could|denied|did|do|does|empty|"
    r"expired|fail|failed|failure|for|from|has|have|in|incorrect|invalid|is|it|key|may|mismatch|missing|must|"
    r"not|of|only|or|please|rejected|required|reset|should|string|the|to|token|too|unauthorized|unknown|"
    r"user|username|value|was|were|will|with|wrong)[.:,!?]*"
)


def redact(text: str) -> str:
    """`text` with every secret replaced by `[redacted]`; idempotent; never longer work than linear.

    It may grow: a short secret is shorter than its mark.
    """
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(MARK, text)
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MARK}@", text)
        text = _URL_TOKEN.sub(f"{MARK}@", text)
    text = _LONG.sub(_known, text)
    if "AKC" in text or "AP" in text:
        text = _ARTIFACTORY.sub(MARK, text)
    if "\\" in text or "%" in text or "/bot" in text:
        text = _forms()[1].sub(rf"\1{MARK}", text)
    named = _redact_named(text)
    # Once more, because a mark can end what another name's value ran over.
    return named if named is text else _redact_named(named)


def _known(match: re.Match[str]) -> str:
    word = match[0]
    # Every known form has a digit; most long words of a log do not.
    return _forms()[0].sub(MARK, word) if _DIGIT.search(word) else word


def _redact_named(text: str) -> str:
    parts: list[str] = []
    at = 0
    # The one letter that becomes two in lower case would move all places behind it.
    for hit in _NAME.finditer(text.replace("\u0130", "I").lower()):
        if hit.start() < at:
            continue
        if match := _value_after(text, hit):
            parts += text[at : match.start("value")], _marked(match["value"])
            at = match.end("value")
    return "".join([*parts, text[at:]]) if parts else text


def _value_after(text: str, hit: re.Match[str]) -> re.Match[str] | None:
    """The secret that follows the name found in `hit`, as the group `value`; None when none does."""
    name, end = hit[0], hit.end()
    if name == "authorization":
        match = _AUTHORIZATION.match(text, end)
        return match if match and _is_authorization(match) else None
    if name == "cookie":
        return _COOKIE.match(text, end)
    if name in ("bearer", "basic"):
        match = _SPOKEN.match(text, end)
        tells = _is_opaque if name == "bearer" else _is_basic
        return match if match and tells(match["value"]) else None
    if name.endswith("="):
        return _SIGNED.match(text, end) if text[hit.start() - 1 : hit.start()] in "?&;-_" else None
    says = _IS.match(text, end)
    if says is None or _ABOUT.match(text, end):
        return None
    match = _VALUE.match(text, says.end())
    return match if match and _is_secret(text, hit, says, match["value"]) else None


def _is_secret(text: str, hit: re.Match[str], says: re.Match[str], value: str) -> bool:
    """Whether `value` is one and not the rest of a sentence or a line of a program.

    A value that stays is read again from each name in it, so only short ones and such that hold no
    names may stay: that keeps the work linear.
    """
    sign, bare = says["sign"], _bare(value)
    of_password = hit[0].startswith(("pass", "pwd", "identified"))
    if sign.isspace():
        before = text[max(0, hit.start() - 60) : hit.start()]
        if (
            "--" in before
            and not before[-1].isspace()
            and before.split()[-1].lstrip("\"'`([").startswith("--")
        ):
            return bare[:1] not in "-|&" and not _NOTHING.fullmatch(bare)  # --password x
        if bare is value:
            return _is_opaque(bare)  # token 3f9a…
        return of_password and not _NOTHING.fullmatch(bare)  # password 'x', IDENTIFIED BY 'x'
    if _NOTHING.fullmatch(bare):
        return False
    if sign == " = " and _CODE.match(value):
        return False  # token = read_token(path)
    if of_password:
        return not _SPEECH.fullmatch(bare)
    if sign.strip() == ":" and not (says["quote"] and bare is not value):
        return len(bare) >= 6 and not _PLAIN.fullmatch(bare)
    return len(bare) >= 3


def _is_authorization(match: re.Match[str]) -> bool:
    value = match["value"]
    if value == MARK or _SPEECH.fullmatch(value):
        return False
    return match["scheme"] is not None or not _PLAIN.fullmatch(value)


def _is_opaque(value: str) -> bool:
    """Whether it looks like nothing but a token: long, with many digits."""
    return len(value) >= 12 and len(_DIGIT.findall(value)) * 8 >= len(value)


def _is_basic(value: str) -> bool:
    """Whether it is Base64 of `user:password` (RFC 7617)."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False


def _bare(value: str) -> str:
    """The value without its quotes; the same object when it has none."""
    return value.strip("\\").strip("\"'").rstrip("\\") if value[0] in "\"'\\" else value


def _marked(value: str) -> str:
    """The mark, between the quotes that the value had."""
    bare = _bare(value)
    start = value.find(bare)
    return f"{value[:start]}{MARK}{value[start + len(bare) :]}"


_SECRET_NAME = re.compile("|".join(_NAMES))


def _names_secret(name: str) -> bool:
    found = _SECRET_NAME.search(name.lower())
    return found is not None and not _ABOUT.match(name.lower(), found.end())


def redact_value(value: Any, name: str = "", depth: int = 0) -> Any:
    """The same through lists and mappings; a value whose *name* says secret goes as a whole.

    What lies deeper than 50 levels is cut off and a number beyond 64 bits becomes text: neither
    could be read back from the database.
    """
    secret = bool(name) and _names_secret(name)
    if isinstance(value, str):
        return MARK if value and secret else redact(value)
    if isinstance(value, Mapping | list | tuple) and depth >= _DEEPEST:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {
            redact(str(key)): redact_value(item, name if secret else str(key), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_value(item, name, depth + 1) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if secret:
            return MARK
        if isinstance(value, int) and not -_I64 <= value < _I64:
            return str(value)
    return value
