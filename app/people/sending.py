"""Sending: one HTTP request of a channel, with what may go wrong told as NotDelivered and never as an address."""

from collections.abc import Callable
from contextlib import suppress

import httpx

from app.people.channel import NotDelivered
from app.systems.far_side import FarSideError

_LATER = frozenset({408, 409, 425, 429})


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
    after = 0.0
    with suppress(ValueError):
        after = float(answer.headers.get("retry-after", 0))
    again = answer.status_code >= 500 or answer.status_code in _LATER
    raise NotDelivered(f"answered {answer.status_code}", again=again, after=after)
