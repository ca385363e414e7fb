from pathlib import Path

import pytest

from app.diagnosis.diagnose import Diagnose
from app.knowledge.retrieve import Retriever
from tests.diagnosis import small


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small world's models are kept, fitted once."""
    folder = tmp_path_factory.mktemp("models")
    small.make(folder)
    return folder


@pytest.fixture
def brain(models: Path) -> tuple[Diagnose, Retriever]:
    """A brain that the test may teach."""
    return small.make(models)
