"""Reduce batch size: halves a training job's batch size and turns its gradient checkpointing on.

Acts on: one file of settings, registered as `config_file` or `git_file` with the two keys.
Risk:    medium; smaller batches train longer, and may train otherwise.
Undo:    the file is restored, byte for byte; a pull request is closed and its branch deleted.
Refuses: a batch size that is no whole number; one of 1 where checkpointing is on already.

Where GitHub is registered the change is proposed and handed over, else it is made and the job run again.
"""

from typing import ClassVar

from app.decision.plan import Plan
from app.foundation.record import Record
from app.remediation.edit import Edit
from app.remediation.file_change import FileChange
from app.remediation.strategy import NotApplicable, Subject
from app.systems import configuration
from app.systems.connections import ConfigFile, GitFile
from app.systems.far_side import FarSideError


class BatchParams(Record):
    """The keys of the two settings, as the target lists them; `gradient_checkpointing` empty leaves it alone."""

    batch_size: str = "batch_size"
    gradient_checkpointing: str = ""


class ReduceBatchSize(FileChange):
    id: ClassVar[str] = "reduce_batch_size"
    version: ClassVar[str] = "1"
    Params: ClassVar[type[Record]] = BatchParams

    def plan(self, subject: Subject, params: BatchParams) -> Plan | NotApplicable:
        target = subject.target
        if target is None or not isinstance(target.connection, ConfigFile | GitFile):
            return NotApplicable(because="it changes settings, and the target is no config_file or git_file")
        keys = [key for key in (params.batch_size, params.gradient_checkpointing) if key]
        if other := [key for key in keys if key not in target.connection.keys]:
            return NotApplicable(because=f"the target's `keys` do not name {', '.join(other)}")
        try:
            held = self.read(target)
        except FarSideError as error:
            return NotApplicable(because=error.says)
        now = configuration.value(held, params.batch_size)
        if type(now) is not int or now < 1:
            return NotApplicable(because=f"{params.batch_size} holds no batch size")
        file, edits, does = str(target.connection.path), [], []
        if now > 1:
            edits.append(Edit(file=file, key=params.batch_size, value=now // 2))
            does.append(f"{params.batch_size} from {now} to {now // 2}")
        checkpointing = params.gradient_checkpointing
        if checkpointing and configuration.value(held, checkpointing) is not True:
            edits.append(Edit(file=file, key=checkpointing, value=True))
            does.append(f"{checkpointing} on")
        if not edits:
            return NotApplicable(because="the batch size is 1 already, and there is nothing else to turn on")
        return self.planned(subject, params, edits, ", ".join(does))
