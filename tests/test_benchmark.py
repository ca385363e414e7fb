"""The benchmark script writes its page, from whatever sets are there."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAYS = {
    "disk": "no space left on device while writing part {}",
    "name": "NameError: name 'frame_{}' is not defined",
    "shape": "ValueError: operands could not be broadcast together in step {}",
}


def run(data: Path, out: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "benchmark"), str(data), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"MENDLINE_DATA_DIR": str(folder), "MENDLINE_KNOWLEDGE__EMBEDDER": "hashing"},
    )


def test_the_sets_that_are_there_are_measured(tmp_path: Path) -> None:
    data = tmp_path / "sets" / "ml_notebook_crashes"
    data.mkdir(parents=True)
    rows = [
        {"id": f"{label}-{n}", "text": text.format(n * 37), "label": label, "group": f"{label}-{n}"}
        for label, text in SAYS.items()
        for n in range(12)
    ]
    (data / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(tmp_path / "sets", tmp_path / "out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "benchmark.md").read_text()
    assert done.stdout.strip() == page.strip()
    assert "## ml_notebook_crashes" in page
    assert "| **Mendline** | 1.000 | 1.000 |" in page
    assert "36 rows of 3 types." in page
    assert "wild is not there" in done.stderr
    assert "## wild" not in page
