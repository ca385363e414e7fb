"""Settings of this room."""

from pydantic import Field, SecretStr

from app.foundation.record import Record


class LlmSettings(Record):
    """`model` as litellm names it (`openai/gpt-…`, `ollama/…`); empty means that no model is asked.

    `url` is the address of an OpenAI-compatible server; `timeout` in seconds, over all tries.
    """

    model: str = ""
    url: str = ""
    key: SecretStr = SecretStr("")
    timeout: float = Field(8, gt=0, le=120)
    answer_tokens: int = Field(200, ge=20, le=4000)
