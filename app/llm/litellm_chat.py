"""litellm as a chat. The one file that imports it; an exact pin, because two of its releases were malicious."""

import os
import queue
import threading
import time
import warnings
from collections import deque
from typing import Any, cast

from app.foundation import metrics
from app.foundation.logging import log
from app.llm.chat import Chat, ChatFailed
from app.llm.settings import LlmSettings

_HOUR = 3600.0


class LitellmChat:
    """Asks the configured model; transient failures are tried again within the time limit and the budget."""

    def __init__(self, settings: LlmSettings) -> None:
        """Raises ChatFailed when the extra is not installed."""
        # Else the import fetches a price list from the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import litellm
        except ImportError:
            raise ChatFailed("litellm is not installed: pip install 'mendline[llm]'") from None
        self._litellm = cast(Any, litellm)
        self._litellm.suppress_debug_info = True
        self._settings = settings
        self._lock = threading.Lock()
        self._asked: deque[float] = deque()

    def ask(self, instructions: str, question: str) -> str:
        settings = self._settings
        answers: queue.Queue[str | Exception] = queue.Queue()

        def work() -> None:
            try:
                answers.put(self._ask(instructions, question, time.monotonic() + settings.timeout))
            except Exception as error:
                answers.put(error)

        # On a thread of its own: the library's time limit starts anew with every byte that drips in.
        threading.Thread(target=work, name="llm", daemon=True).start()
        try:
            answer = answers.get(timeout=settings.timeout)
        except queue.Empty:
            answer = ChatFailed(f"no answer within {settings.timeout:g} s")
        metrics.LLM_ASKS.labels("answered" if isinstance(answer, str) else "failed").inc()
        if isinstance(answer, ChatFailed):
            raise answer
        if isinstance(answer, Exception):
            raise ChatFailed(f"{type(answer).__name__}: {answer}"[:300]) from None
        return answer

    def _ask(self, instructions: str, question: str, until: float) -> str:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

        errors = self._litellm.exceptions
        transient = (
            errors.Timeout,
            errors.APIConnectionError,
            errors.RateLimitError,
            errors.InternalServerError,
            errors.ServiceUnavailableError,
        )
        for attempt in Retrying(
            stop=stop_after_attempt(3),
            wait=wait_exponential(multiplier=0.3, max=2),
            retry=retry_if_exception_type(transient),
            reraise=True,
        ):
            with attempt:
                answer = self._complete(instructions, question, until - time.monotonic())
        self._record(answer)
        return str(answer.choices[0].message.content or "")

    def _complete(self, instructions: str, question: str, left: float) -> Any:
        if left <= 0:
            raise ChatFailed(f"no answer within {self._settings.timeout:g} s")
        self._spend()
        settings = self._settings
        return self._litellm.completion(
            model=settings.model,
            messages=[
                {"role": "system", "content": instructions},
                {"role": "user", "content": question},
            ],
            api_base=settings.url or None,
            api_key=settings.key.get_secret_value() or None,
            timeout=left,
            max_tokens=settings.answer_tokens,
            temperature=0,
            num_retries=0,
            max_retries=0,
        )

    def _spend(self) -> None:
        """Every try counts: it is what the provider counts too."""
        now, most = time.monotonic(), self._settings.asks_per_hour
        with self._lock:
            while self._asked and self._asked[0] < now - _HOUR:
                self._asked.popleft()
            if len(self._asked) >= most:
                raise ChatFailed(f"the budget of {most} questions an hour is used up")
            self._asked.append(now)

    def _record(self, answer: Any) -> None:
        usage = getattr(answer, "usage", None)
        for direction in ("prompt", "completion"):
            tokens = getattr(usage, f"{direction}_tokens", 0) or 0
            metrics.LLM_TOKENS.labels(direction).inc(max(0, tokens))
        try:
            cost = float(self._litellm.completion_cost(completion_response=answer) or 0.0)
        except Exception:  # a model without a known price, such as one's own
            cost = 0.0
        metrics.LLM_COST.inc(max(0.0, cost))


def open_chat(settings: LlmSettings) -> Chat | None:
    """The language model that is set up; None without one, and when it cannot be used: it is only a voice."""
    if not settings.model:
        return None
    try:
        return LitellmChat(settings)
    except ChatFailed as failure:
        log(__name__).warning("language_model.unusable", says=failure.says)
        return None
