"""A far side that is reached by commands: a store of versions of a secret, and rights that are granted for a time.

`python tests/vault.py FOLDER VERB …` is the command; what it holds and what it was asked for stands in
`FOLDER/vault.json`. It prints the secret wherever a careless program might. A file named like a verb in
the folder has that verb fail: it holds the exit code, or `sleep`.
"""

import fcntl
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CANARY = "cAnArY-9d41f7-neither-known-by-form-nor-by-name"


class Vault:
    """The store in a folder. Its one version does not work, and no right is granted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        first = {"versions": {"v1": False}, "now": "v1", "by_key": {}, "granted": {}, "asked": []}
        (folder / "vault.json").write_text(json.dumps(first))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-IS", __file__, str(self.folder), *words]

    def credential(self, **fields: Any) -> dict[str, Any]:
        """The connection to its secret; None leaves a field out."""
        whole = {
            "type": "credential",
            "issue": self.command("issue", "{key}"),
            "current": self.command("current"),
            "restore": self.command("restore", "{version}"),
            "check": self.command("works"),
            "lookup": self.command("lookup", "{key}"),
            **fields,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def grants(self, rerun: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """The connection to its rights."""
        return {
            "type": "grant",
            "rights": ["ledger.read"],
            "grant": self.command("grant", "{right}", "{until}"),
            "revoke": self.command("revoke", "{right}"),
            "check": self.command("has", "{right}"),
            "rerun": rerun,
            **fields,
        }

    @property
    def holds(self) -> dict[str, Any]:
        """What it holds now."""
        held: dict[str, Any] = json.loads((self.folder / "vault.json").read_text())
        return held

    def asked(self, verb: str) -> list[list[str]]:
        """What it was asked for with this verb, in order."""
        return [words for words in self.holds["asked"] if words[0] == verb]

    def spoke_of(self, word: str) -> bool:
        """Whether its commands print this."""
        said = subprocess.run(self.command("current"), capture_output=True, text=True, timeout=20, check=True)
        return word in said.stderr

    def issue_elsewhere(self) -> None:
        """Somebody else has a new version made."""
        main(self.folder, ["issue", "elsewhere"])

    def grant_elsewhere(self, right: str) -> None:
        """Somebody else grants a right, for an hour."""
        main(self.folder, ["grant", right, (datetime.now(UTC) + timedelta(hours=1)).isoformat()])

    def break_down(self) -> None:
        """From now on no version works."""
        held = self.holds
        held["versions"] = dict.fromkeys(held["versions"], False)
        (self.folder / "vault.json").write_text(json.dumps(held))

    def fail(self, verb: str, how: str = "2") -> None:
        """From now on that verb fails: an exit code, or `sleep`. Empty: it does not."""
        if how:
            (self.folder / verb).write_text(how)
        else:
            (self.folder / verb).unlink()


def main(folder: Path, words: list[str]) -> int:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = json.loads((folder / "vault.json").read_text())
        code = answer(held, words, folder)
        if words[0] in ("issue", "restore", "grant", "revoke"):
            held["asked"].append(words)
            (folder / "new").write_text(json.dumps(held))
            (folder / "new").replace(folder / "vault.json")
    return code


def answer(held: dict[str, Any], words: list[str], folder: Path) -> int:
    print(f"the secret is {CANARY}", file=sys.stderr)
    verb, given = words[0], words[1:]
    if (folder / verb).exists():
        how = (folder / verb).read_text()
        if how == "sleep":
            time.sleep(60)
        return int(how)
    match verb:
        case "issue":
            print(CANARY)
            if given[0] not in held["by_key"]:
                held["now"] = held["by_key"][given[0]] = f"v{len(held['versions']) + 1}"
                held["versions"][held["now"]] = True
        case "current":
            print(held["now"])
        case "restore":
            held["now"] = given[0]
        case "works":
            return 0 if held["versions"][held["now"]] else 1
        case "lookup":
            if given[0] not in held["by_key"]:
                return 1
            print(held["by_key"][given[0]])
        case "grant":
            held["granted"][given[0]] = given[1]
        case "revoke":
            held["granted"].pop(given[0], None)
        case "held":
            return 0 if given[0] in held["granted"] else 1
        case "has":
            until = held["granted"].get(given[0])
            return 0 if until and datetime.now(UTC) < datetime.fromisoformat(until) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
