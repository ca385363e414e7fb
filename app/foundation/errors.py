"""Three fates of an error, as three classes; every fact is a subclass of one of them.

    MendlineError
      Refused      the caller can mend it (4xx; the command line exits 1)
      Unavailable  try again later (503 with Retry-After; exits 3)
      Broken       our own defect (500)

`web/problems.py` alone turns them into problem+json, `cli.py` into one line.
"""

from collections.abc import Sequence
from typing import ClassVar


class MendlineError(Exception):
    """What went wrong, in a sentence a person can act on."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "broken"

    def __init__(self, says: str, *, places: Sequence[tuple[str, str]] = ()) -> None:
        """`says` is shown as it is; `places` are (place in the input, what is wrong there)."""
        super().__init__(says)
        self.says = says
        self.places = tuple(places)


class Refused(MendlineError):
    status = 400
    code = "refused"


class NotFound(Refused):
    status = 404
    code = "not_found"


class NotSignedIn(Refused):
    status = 401
    code = "not_signed_in"


class NotAllowed(Refused):
    status = 403
    code = "not_allowed"


class Conflict(Refused):
    status = 409
    code = "conflict"


class TooLarge(Refused):
    status = 413
    code = "too_large"


class WrongMedia(Refused):
    status = 415
    code = "wrong_media_type"


class Invalid(Refused):
    status = 422
    code = "invalid"


class Busy(Refused):
    """Too much at once; `retry_after` is in seconds."""

    status = 429
    code = "too_many_requests"

    def __init__(self, says: str, retry_after: float) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class Unavailable(MendlineError):
    """Works later; `retry_after` is in seconds."""

    status = 503
    code = "unavailable"

    def __init__(self, says: str, retry_after: float = 1.0) -> None:
        super().__init__(says)
        self.retry_after = retry_after


class Broken(MendlineError):
    pass
