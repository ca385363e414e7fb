"""People: who they are, what they are told, and through which channel.

Comes in:  a `Message`: what happened, in words that stand alone; a `Card`: how an incident stands now.
Goes out:  a delivery for each channel on the owner's route; the log in any case.
Words:     a *channel* is one way of reaching people, registered in `people.yaml`; its address is as good
           as a password and never logged. A *thread* is what a channel keeps of one incident. A *route*
           says which owner's matters go where, and who is told later. The *desk* takes their answers.
Kinds:     in `message`; those after which somebody has to do something, reminders, and good news.
Rules:     what is to be told is stored first, so no crash and no channel that is down loses it; telling
           never delays or fails a repair. One message about one thing, however often a step runs.
Slack:     `channels/slack.py` tells, `slack_blocks.py` is how it looks, `slack_door.py` takes the clicks.
Add a channel: one file in `channels/` and two lines in its `__init__`; a test against a real server or a
           strict double in `tests/channels.py`, which `tests/contracts/test_channels.py` finds.
Tests:     `tests/people`.
"""
