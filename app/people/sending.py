"""Sending: one HTTP request of a channel, with what may go wrong told as NotDelivered and never as an address."""

from collections.abc import Callable
from typing import Any

import httpx

from app.people.channel import NotDelivered
from app.systems.far_side import FarSideError

# Statuses after which a later try may help.
LATER = frozenset({408, 409, 425, 429})
_LONGEST_AFTER = 3600.0
_AFTER = 60.0  # where the far side asks for patience in a way that we do not read


def sent(request: Callable[[], httpx.Response]) -> httpx.Response:
    """The 2xx answer. Raises NotDelivered: again for a far side that is away, busy or broken, else not."""
    try:
        answer = request()
    except FarSideError as error:  # a secret that is not where it is said to stand; it may be mended
        raise NotDelivered(error.says, again=True) from None
    except httpx.HTTPError as error:
        raise NotDelivered(f"no answer: {type(error).__name__}", again=True) from None
    except httpx.InvalidURL:
        raise NotDelivered("its address is not one", again=False) from None
    if answer.is_success:
        return answer
    again = answer.status_code >= 500 or answer.status_code in LATER
    raise NotDelivered(
        f"answered {answer.status_code}", again=again, after=_after(answer), status=answer.status_code
    )


def told(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object that was answered. Raises NotDelivered for anything else, as from a page in between."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise NotDelivered("answered, but not as it should", again=True)
    return said


def _after(answer: httpx.Response) -> float:
    """Seconds to wait, at most an hour; 0 when nothing was said."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return min(float(said), _LONGEST_AFTER)
    return _AFTER if said else 0.0
