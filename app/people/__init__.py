"""People: what they are told, and through which channel.

Comes in:  a `Message`: what happened, in words that stand alone.
Goes out:  a POST of it as JSON to each webhook address in the settings; the log in any case.
Words:     a *channel* is one such address. It is as good as a password: it is never logged.
Kinds:     escalated, waiting (with the way to the question), verified, undone, stopped.
Rules:     telling somebody never delays or fails a repair; a failure is recorded and tried
           again with growing pauses, four times in all. A slow channel holds up nothing.
           Stopping waits a little for what is queued.
Add a channel: one method beside `_post`, its address in `settings.py`, a test against a real server.
Tests:     `tests/people`.
"""
