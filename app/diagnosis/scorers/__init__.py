"""The scorers, in the order in which explanations show them.

`fit` gives those that learn their weight. One that `build` does not name is made with the retriever alone,
as a package's is.
"""

from app.diagnosis.scorers.embedding_linear import EmbeddingLinear
from app.diagnosis.scorers.language_model import LanguageModel
from app.diagnosis.scorers.nearest_cases import NearestCases
from app.diagnosis.scorers.own_cases import OwnCases
from app.diagnosis.scorers.runbook_sections import RunbookSections
from app.diagnosis.scorers.tfidf_linear import TfidfLinear

__all__ = [
    "SCORERS",
    "EmbeddingLinear",
    "LanguageModel",
    "NearestCases",
    "OwnCases",
    "RunbookSections",
    "TfidfLinear",
]

SCORERS = (
    TfidfLinear,
    EmbeddingLinear,
    NearestCases,
    RunbookSections,
    OwnCases,
    LanguageModel,
)
