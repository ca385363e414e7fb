"""Excerpt: the lines of a message or a log that say why, before anything is classified.

A log's banner and its last line ("exit code 1") say nothing; the cause stands in a line with
an error word, at the end of an exception chain, or after "Caused by". Lines are scored by
such marks, and the best are kept in their order.
"""

import re
from functools import lru_cache

from app.intake.normalise import normalise

LIMIT = 1500
_MOST_LINES = 14
_SHORT = 700

_STRONG = re.compile(
    r"(?i)\b(?:fatal|error|exception|panic|denied|refused|failed|failure|cannot|could not|unable to|not found|"
    r"no such|invalid|missing|timed? ?out|exceeded|out of memory|oom|killed|corrupt|mismatch|unauthorized|"
    r"forbidden|unavailable|undefined|unresolved|violat\w+|duplicate|throttl\w+|unknown|expired)\b"
    r"|[a-z](?:Error|Exception)\b|^E\s{2,}|错误|失败|fehler|erreur|ошибка|エラー"
)
_ROOT = re.compile(r"(?i)^\s*(?:caused by|root cause|reason|cause)\b|^\w[\w.]*(?:Error|Exception|Failure)\b")
_FRAME = re.compile(
    r"^\s*(?:at [\w$.<>/]+[(]|File \"|from .+:\d+:in|\d+: +0x|goroutine \d+|\.{3} \d+ more|--> )"
)
_TAIL = re.compile(
    r"(?i)process completed with exit code|exited with (?:code|status)|make(?:\[\d+\])?: \*\*\*|"
    r"npm ERR! (?:A complete log|errno|code ELIFECYCLE)|build failed$|see (?:the )?(?:log|output)|"
    r"for more (?:information|details)|re-run maven|run with --(?:stacktrace|info)"
    r"|traceback \(most recent call last\)"
)
_NOISE = re.compile(r"(?i)^\s*(?:\S+\s+){0,4}(?:INFO|DEBUG|TRACE|NOTICE|warn(?:ing)?)\b|deprecat")


@lru_cache(maxsize=4096)
def excerpt(message: str, log: str = "") -> str:
    """The telling lines of `message`, then of `log`; at most 1,500 characters."""
    text = message.strip()
    if len(text) > _SHORT or text.count("\n") > 8:
        text = _select(text)
    if log:
        text = f"{text}\n{_select(log)}"
    return text[:LIMIT]


_MARK = re.compile(r"<\w+>")


@lru_cache(maxsize=4096)
def meaning(text: str) -> str:
    """An excerpt as the embedder reads it: line by line its template, without the marks.

    Ids, times and paths take half of an encoder's tokens and say nothing; and texts that differ
    in them alone have one vector.
    """
    lines = (" ".join(_MARK.sub(" ", normalise(line)).split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line) or text


def _select(text: str) -> str:
    lines = [line.rstrip()[:400] for line in text.split("\n") if line.strip()]
    scored = []
    for place, line in enumerate(lines):
        score = 0.0
        if _STRONG.search(line):
            score += 2
        if _ROOT.search(line):
            score += 2
        if _FRAME.search(line):
            score -= 3
        if _TAIL.search(line):
            score -= 2.5
        if _NOISE.search(line) and not re.search(r"(?i)error|fail|exception", line):
            score -= 2
        # Of equals the later one: chains end with their cause.
        scored.append((score + 0.5 * place / len(lines), place))
    best = sorted(scored, reverse=True)[:_MOST_LINES]
    kept = sorted(place for score, place in best if score > -1) or list(range(len(lines)))[-_MOST_LINES:]
    return "\n".join(lines[place] for place in kept)[: LIMIT * 2]
