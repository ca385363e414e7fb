"""Language models: an optional voice, behind one small port. Everything works without one.

Comes in:  instructions of ours, and a question that may hold hostile text, between marks.
Gives:     `Chat`: a question in, text out, within a time limit, or `ChatFailed`.
Choices:   `LitellmChat` (any address that litellm speaks to; `pip install mendline[llm]`) and
           `ScriptedChat`, a queue of answers for tests.
Words:     an *answer* is plain text; who asked checks it before it counts for anything.
Rules:     what a model says is data that is checked, never an instruction; it may advise a
           diagnosis and decides nothing. litellm is imported in one file, when it is used.
Tests:     `tests/llm`, `tests/diagnosis/test_language_model.py`.
"""
