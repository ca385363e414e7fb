"""The frozen value that flows between rooms."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Immutable, and a field it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
