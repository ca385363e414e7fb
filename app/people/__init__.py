"""People: what they are told, and through which channel.

Comes in:  a `Message`: what happened, in words that stand alone.
Goes out:  a POST of it as JSON to each webhook address in the settings; the log otherwise.
Rules:     telling somebody never delays or fails a repair; a failure is recorded and tried
           again with growing pauses.
Tests:     `tests/people`.
"""
