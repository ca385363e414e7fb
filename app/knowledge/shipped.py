"""Where the knowledge that comes with the product lies: in the repository, or in the package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def knowledge_folder() -> Path:
    """`knowledge/` of a checkout, else the copy inside an installed package."""
    checkout = _PACKAGE.parent / "knowledge"
    return checkout if (checkout / "taxonomy.yaml").exists() else _PACKAGE / "shipped"
