"""The groupers, in the order in which they are asked; the first that gives a key decides."""

from app.incidents.grouper import Grouper
from app.incidents.groupers.fingerprint import Fingerprint
from app.incidents.groupers.template import Template

GROUPERS: tuple[Grouper, ...] = (Fingerprint(), Template())
