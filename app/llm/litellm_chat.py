"""litellm as a chat. The one file that imports it; an exact pin, because two of its releases were malicious."""

from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential

from app.llm.chat import ChatFailed
from app.llm.settings import LlmSettings


class LitellmChat:
    """Asks the configured model; transient failures are tried again within the time limit."""

    def __init__(self, settings: LlmSettings) -> None:
        """Raises ChatFailed when the extra is not installed."""
        try:
            import litellm
        except ImportError:
            raise ChatFailed("litellm is not installed: pip install 'mendline[llm]'") from None
        self._litellm: Any = litellm
        self._settings = settings

    def ask(self, instructions: str, question: str) -> str:
        settings, errors = self._settings, self._litellm.exceptions
        transient = (
            errors.Timeout,
            errors.APIConnectionError,
            errors.RateLimitError,
            errors.InternalServerError,
            errors.ServiceUnavailableError,
        )
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(3) | stop_after_delay(settings.timeout),
                wait=wait_exponential(multiplier=0.3, max=2),
                retry=retry_if_exception_type(transient),
                reraise=True,
            ):
                with attempt:
                    answer = self._litellm.completion(
                        model=settings.model,
                        messages=[
                            {"role": "system", "content": instructions},
                            {"role": "user", "content": question},
                        ],
                        api_base=settings.url or None,
                        api_key=settings.key.get_secret_value() or None,
                        timeout=settings.timeout,
                        max_tokens=settings.answer_tokens,
                        temperature=0,
                        num_retries=0,
                    )
            return str(answer.choices[0].message.content or "")
        except Exception as error:
            raise ChatFailed(f"{type(error).__name__}: {error}"[:300]) from None
