"""Settings of this room."""

from pydantic import Field, SecretStr

from app.foundation.record import Record


class LlmSettings(Record):
    """`model` as litellm names it (`openai/gpt-…`, `ollama/…`); empty means that no model is asked.

    `url` is the address of an OpenAI-compatible server; `timeout` in seconds, over all tries;
    `asks_per_hour` is the budget, of which each try takes one.
    """

    model: str = ""
    url: str = ""
    key: SecretStr = SecretStr("")
    timeout: float = Field(8, gt=0, le=120)
    asks_per_hour: int = Field(600, ge=1, le=1_000_000)
    answer_tokens: int = Field(200, ge=20, le=4000)
