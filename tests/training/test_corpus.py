"""A run's data, as several processes get them."""

import time
from pathlib import Path
from threading import Thread

import numpy as np

from seriatim.training import corpus as made
from seriatim.training.config import TrainConfig
from seriatim.training.corpus import Corpus, corpus
from seriatim.training.parallel import Processes
from tests.training.test_loop import config  # noqa: F401


def test_the_others_wait_for_the_first_one_to_make_the_data(config: TrainConfig, tmp_path: Path) -> None:  # noqa: F811
    """And need no connection for it, which would end the waiting after some minutes."""
    found: list[Corpus] = []
    waiting = Thread(target=lambda: found.append(corpus(config, tmp_path, Processes(1, 2))))
    waiting.start()
    time.sleep(3 * made._POLL_S)
    assert waiting.is_alive()
    first = corpus(config, tmp_path, Processes(0, 2))
    waiting.join(timeout=60)
    assert found[0].digest == first.digest
    alone = corpus(config, tmp_path, Processes())
    whole = [np.concatenate(parts) for parts in zip(first.batch(3), found[0].batch(3), strict=True)]
    assert all((a == b).all() for a, b in zip(whole, alone.batch(3), strict=True))
