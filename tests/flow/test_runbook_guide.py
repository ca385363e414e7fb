"""docs/write-a-runbook.md, command by command, against a server that runs."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT, Mendline, until

pytestmark = pytest.mark.server
GUIDE = (ROOT / "docs" / "write-a-runbook.md").read_text()
NAME = "label-printer-ribbon-out"


class Reader:
    """Somebody who types what the guide says; `said` is what each command printed, newest last."""

    def __init__(self, site: Mendline, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.known = {**os.environ, "KEY": site.key, "URL": site.url}
        self.said: list[str] = []
        (folder / "data").symlink_to(site.data)

    def type(self, block: str) -> None:
        """A block of the guide: `mendline` is run by the tests' own way, the rest by bash."""
        shell: list[str] = []
        for line in block.splitlines():
            # The server of the test is at another address, and nobody sleeps.
            if line.startswith(("export URL=", "sleep ")):
                continue
            if line.startswith(".venv/bin/mendline "):
                self._shell("\n".join(shell))
                shell = []
                self._mendline(line)
            else:
                shell.append(line)
        self._shell("\n".join(shell))

    def _mendline(self, line: str) -> None:
        line = re.sub(r"\$([A-Z]+)", lambda match: self.known[match[1]], line)
        words = shlex.split(line.partition(" | ")[0])[1:]
        if words[0] == "explain":
            self.site.api.wait(words[1], lambda trail: trail["decisions"])
        done = self.site.cli(*(re.sub(r"^data/", f"{self.site.data}/", word) for word in words))
        assert "Traceback" not in done.err, done.err
        assert not done.err.startswith("mendline: "), done.err
        self.said.append(done.out.replace(f"{self.site.data}/", "data/"))

    def _shell(self, script: str) -> None:
        if not script.strip():
            return
        kept = self.folder / "env"
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{script}\nset -a\nINCIDENT=$INCIDENT NEXT=$NEXT\nenv -0 > {kept}"],
            cwd=self.folder,
            env=self.known,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        self.known = dict(entry.split("=", 1) for entry in kept.read_text().split("\0") if entry)
        self.said.append(done.stdout)

    def in_force(self) -> dict[str, Any]:
        """The runbook as the running server has it, once it has; it looks by itself."""

        def known() -> bool:
            return any(one["id"] == NAME for one in self.site.api.get("/runbooks")["items"])

        until(known, 15, "the runbook")
        return self.site.api.get(f"/runbooks/{NAME}")


def blocks(heading: str) -> list[str]:
    """The commands below a heading; headings within a block are the runbook's."""
    found: dict[str, list[str]] = {}
    below = ""
    for kind, block, title in re.findall(r"^```(\w*)\n(.*?)^```$|^## ([^\n]+)$", GUIDE, re.S | re.M):
        below = title or below
        if kind == "sh":
            found.setdefault(below, []).append(block)
    return found[heading]


def shown(after: str) -> list[str]:
    """The lines of the block of output that begins with `after`."""
    found = re.search(rf"^```\n({re.escape(after)}.*?)^```", GUIDE, re.S | re.M)
    assert found
    return found[1].splitlines()


def test_it_leads_to_a_runbook_that_is_cited(lone: Mendline, tmp_path: Path) -> None:
    lone.start()
    reader = Reader(lone, tmp_path)
    for block in (*blocks("1. Start it"), *blocks("2. Post an event that it does not know")):
        reader.type(block)
    assert "unknown_error" in reader.said[-1]
    assert NAME not in reader.said[-1]

    reader.type(*blocks("3. Begin the runbook"))
    assert reader.said[-1].endswith("0 whole, 9 mistakes\n")
    for line in shown(f"data/runbooks/{NAME}.md:4:"):
        assert line in reader.said[-1].splitlines()

    wrong, mended = blocks("4. Write it")
    reader.type(wrong)
    assert reader.said[-1].splitlines() == shown(f"data/runbooks/{NAME}.md:5:")
    reader.type(mended)
    assert reader.said[-1] == "1 whole, 0 mistakes\n"
    assert reader.in_force()["record"]["cited"] == 0

    reader.type(*blocks("5. Try it on the past"))
    tried = reader.said[-1]
    assert "signal 'label printer LP-7 rejected job'; #symptoms near in" in tried
    assert "cites it" in tried
    assert tried.endswith("1 of 1 incidents of the last 90d matched\n")

    reader.type(*blocks("6. Say what it was"))
    assert '"id":"case_' in reader.said[-1]

    cited, listed = blocks("7. See it cited")
    reader.type(cited)
    diagnosis = reader.said[-1].partition("decision")[0]
    assert "service_unavailable" in diagnosis
    assert f"runbook {NAME}#symptoms" in diagnosis
    reader.type(listed)
    (line,) = [line for line in reader.said[-1].splitlines() if NAME in line]
    assert line.split() == [NAME, "site", "1", "0", "0", "0"]
    assert reader.in_force()["cited_by"][0]["incident_id"] == reader.known["NEXT"]

    reader.type(*blocks("When a file breaks"))
    assert reader.said[-2].splitlines()[-2:] == shown(f"{NAME}.md:3:")

    reader.type(*blocks("Write it down after the fact"))
    assert reader.said[-1] == "1 whole, 0 mistakes\n"
    draft = (lone.data / "runbooks" / "label-printer-drafted.md").read_text()
    assert "changed the ribbon and pressed Feed" in draft
    assert re.search(r"^- `case_\w+`: warehouse/printer/LP-3", draft, re.M)


def test_a_broken_file_leaves_what_worked_in_force_over_a_restart(lone: Mendline) -> None:
    folder = lone.data / "runbooks"
    folder.mkdir(exist_ok=True)
    wrong, mended = (block for block in blocks("4. Write it"))
    text = re.search(r"<<'END'\n(.*?)^END", wrong, re.S | re.M)
    assert text
    assert mended
    good = text[1].replace("escalate_to_humn", "escalate_to_human")
    (folder / f"{NAME}.md").write_text(good)
    lone.start()
    assert lone.api.get(f"/runbooks/{NAME}")["mistakes"] == []

    (folder / f"{NAME}.md").write_text(good.replace("risk: low", "risk: lwo"))
    until(lambda: bool(lone.api.get(f"/runbooks/{NAME}")["mistakes"]), 15, "the mistake")
    lone.stop()
    lone.start()
    found = lone.api.get(f"/runbooks/{NAME}")
    assert found["mistakes"] == [f"{NAME}.md:6: risk: no such value 'lwo'; did you mean 'low'?"]
    assert found["risk"] == "low"
    incident_id = lone.api.report("spooler: label printer LP-7 rejected job 4711: ribbon out")
    diagnosis = lone.api.wait(incident_id, lambda trail: trail["diagnoses"])["diagnoses"][-1]
    assert diagnosis["runbook"] == f"{NAME}#symptoms"
