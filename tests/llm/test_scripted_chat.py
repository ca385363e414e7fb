"""The chat that answers from a queue."""

import pytest

from app.llm.chat import ChatFailed
from app.llm.litellm_chat import LitellmChat
from app.llm.scripted_chat import ScriptedChat
from app.llm.settings import LlmSettings


def test_it_answers_in_order_and_remembers_what_was_asked() -> None:
    chat = ScriptedChat(["one", ChatFailed("down"), "two"])
    assert chat.ask("be brief", "first") == "one"
    with pytest.raises(ChatFailed, match="down"):
        chat.ask("be brief", "second")
    assert chat.ask("be brief", "third") == "two"
    assert [question for _, question in chat.asked] == ["first", "second", "third"]


def test_an_empty_queue_fails() -> None:
    with pytest.raises(ChatFailed, match="no more answers"):
        ScriptedChat([]).ask("", "")


def test_without_the_extra_litellm_says_how_to_install_it() -> None:
    try:
        import litellm  # noqa: F401
    except ImportError:
        with pytest.raises(ChatFailed, match=r"mendline\[llm\]"):
            LitellmChat(LlmSettings(model="openai/any"))
    else:
        pytest.skip("litellm is installed here")
