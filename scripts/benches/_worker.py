"""The service without its door, diagnosing as told, so that the engine is measured and no model. Ends with SIGTERM."""

import gc
import signal
import threading

from app.diagnosis.told import ToldDiagnose
from app.foundation import logging
from app.knowledge.embed import HashingEmbedder
from app.knowledge.retrieve import Retriever
from app.settings import read_settings
from app.wiring import Built, Service, Store, open_store

STRATEGY, TYPE = "retry_with_exponential_backoff", "network_timeout"


def build(store: Store, told: object) -> Built:
    """What diagnosing needs, here nothing."""
    return ToldDiagnose(TYPE, STRATEGY, store.clock), Retriever(HashingEmbedder())


def main() -> None:
    gc.set_threshold(20_000, 20, 20)  # as `mendline` does
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    logging.configure(json=True, level="WARNING")
    service = Service(open_store(read_settings()), build)
    service.start()
    print("works", flush=True)
    stop.wait()
    service.close()


if __name__ == "__main__":
    main()
