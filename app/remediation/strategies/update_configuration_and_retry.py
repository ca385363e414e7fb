"""Update configuration and retry: sets named settings of one file, and runs the job that reads it again.

Acts on: one file of settings, registered as `config_file` or `git_file`; only the keys that it lists.
Risk:    medium.
Undo:    the file is restored, byte for byte; a pull request is closed and its branch deleted.
Refuses: a key that is not listed, or whose name sounds like a secret's: plans are shown to people.

The values come from the target's defaults or the runbook, never from an event. Where GitHub is registered
the change is proposed and handed over, else it is made and the job run again.
"""

from typing import ClassVar

from app.decision.plan import Plan
from app.foundation.record import Record
from app.remediation.edit import Edit
from app.remediation.file_change import FileChange
from app.remediation.strategy import NotApplicable, Subject
from app.systems import configuration
from app.systems.configuration import Value
from app.systems.connections import ConfigFile, GitFile


class ConfigurationParams(Record):
    """`settings`: the value that each key must have."""

    settings: dict[str, Value] = {}


class UpdateConfigurationAndRetry(FileChange):
    id: ClassVar[str] = "update_configuration_and_retry"
    version: ClassVar[str] = "1"
    Params: ClassVar[type[Record]] = ConfigurationParams

    def plan(self, subject: Subject, params: ConfigurationParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, ConfigFile | GitFile):
            return NotApplicable(because="it changes settings, and the target is no config_file or git_file")
        if not params.settings:
            return NotApplicable(because="neither the target nor a runbook names a setting and its value")
        if other := [key for key in params.settings if key not in target.connection.keys]:
            return NotApplicable(because=f"the target's `keys` do not name {', '.join(other)}")
        if secret := [key for key in params.settings if configuration.sounds_secret(key)]:
            return NotApplicable(because=f"{', '.join(secret)} sounds like a secret, which no plan may show")
        file = str(target.connection.path)
        edits = [Edit(file=file, key=key, value=value) for key, value in params.settings.items()]
        return self.planned(subject, params, edits, ", ".join(edit.says for edit in edits))
