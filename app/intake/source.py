"""The port that every webhook adapter implements, the errors it may raise, and what all adapters need."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from app.foundation.errors import Invalid, NotSignedIn
from app.intake.event import Report
from app.intake.ingest import explain


class BadSignature(NotSignedIn):
    code = "bad_signature"


class BadPayload(Invalid):
    code = "bad_payload"


class Source(Protocol):
    """One kind of sender: bytes and headers in, reports out; no clock, no database, no network."""

    id: ClassVar[str]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Returns when the sender is who it says; raises BadSignature otherwise.

        `headers` have lower-case names. Called before anything is parsed.
        """
        ...

    def parse(self, headers: Mapping[str, str], body: bytes) -> Sequence[Report]:
        """The reports in `body`, perhaps none; raises BadPayload with the place."""
        ...


PayloadT = TypeVar("PayloadT", bound=BaseModel)


def read_payload(model: type[PayloadT], body: bytes) -> PayloadT:
    """The fields of `model` from the JSON in `body`; raises BadPayload with the places that are wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise BadPayload("the payload is not what this source sends", places=explain(error)) from None


def fit(text: str, limit: int = 500) -> str:
    """`text` if it is short enough, else its beginning and a digest of the whole.

    What is cut is often an identity (a branch, a label), and two that differ must stay two.
    """
    if len(text) <= limit:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{text[: limit - 17]}~{digest}"


def same_secret(given: str, secret: SecretStr) -> bool:
    """Compares in constant time, whatever the lengths."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), secret.get_secret_value().encode("utf-8", "surrogatepass")
    )
