"""Releases: folders beside each other, and a symbolic link to the current one.

A release is good when it holds the mark that its deployment left there once it was healthy; of several
the newest mark counts. The link is switched by a rename, so that nobody sees it missing.
"""

import contextlib
import os
from pathlib import Path

from app.systems.connections import Releases
from app.systems.far_side import FarSideError


def current(at: Releases) -> str:
    """The release that the link leads to, as a path. Raises FarSideError (again=False)."""
    try:
        return str(at.current.resolve(strict=True) if at.current.is_symlink() else _no_link(at))
    except (OSError, RuntimeError):
        raise FarSideError(f"{at.current} leads nowhere", again=False) from None


def _no_link(at: Releases) -> Path:
    raise FarSideError(f"{at.current} is no symbolic link", again=False)


def last_good(at: Releases) -> str:
    """The release whose mark is newest. Raises FarSideError (again=False) when none has one."""
    try:
        marks = [mark for mark in at.folder.resolve().glob(f"*/{at.good}") if not mark.parent.is_symlink()]
        if marks:
            return str(max(marks, key=lambda mark: (mark.stat().st_mtime_ns, mark)).parent)
    except OSError as error:
        raise FarSideError(f"{at.folder} cannot be read: {error.strerror}", again=False) from None
    raise FarSideError(f"no release in {at.folder} holds {at.good}", again=False)


def switch(at: Releases, former: str, to: str) -> None:
    """Leads the link from `former` to `to`; there already is fine. Raises FarSideError (again=False)."""
    now = current(at)
    if now == to:
        return
    if now != former or not Path(to).is_dir():
        raise FarSideError(f"{at.current} or {Path(to).name} is not as it was planned for", again=False)
    aside = at.current.with_name(f".{at.current.name}.mendline")
    try:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()  # of a switch that was cut short
        relative = not os.path.isabs(os.readlink(at.current))
        aside.symlink_to(os.path.relpath(to, at.current.parent.resolve()) if relative else to)
        aside.replace(at.current)
        folder = os.open(at.current.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise FarSideError(f"{at.current} cannot be switched: {error.strerror}", again=False) from None
