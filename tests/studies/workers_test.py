import dataclasses
import os
from multiprocessing.connection import Connection

import pytest

from transfusion_tf import training
from transfusion_tf.studies import workers


@dataclasses.dataclass
class Worker:
    config: training.TrainConfig | None = None


def config(model, fold=None):
    return training.TrainConfig(model=model, fold=fold)


def test_workers_begin_with_different_programs_and_go_on_with_their_own():
    one, other = Worker(), Worker()
    both = (one, other)
    pending = [config("cbr_tiny")] * 2 + [config("cbr_small")] * 3
    order = []
    for worker in (one, other, one, other, one):
        worker.config = workers._take_next(pending, worker, both)
        order.append(worker.config.model)
    # The last one helps out, with what is left.
    assert order == ["cbr_tiny", "cbr_small"] * 2 + ["cbr_small"]
    assert pending == []


def test_of_one_program_a_worker_goes_on_with_its_data():
    one = Worker(config("cbr_tiny", "2/5"))
    pending = [config("cbr_tiny", "1/5"), config("cbr_tiny", "2/5")]
    chosen = workers._take_next(pending, one, [one, Worker()])
    assert chosen.fold == "2/5"


def test_why_a_worker_cannot_start_is_told_by_its_first_run(monkeypatch):
    def fail(*_):
        raise OSError("device 7 is away")

    monkeypatch.setattr(workers, "_runner", None)
    monkeypatch.setattr(workers, "_make_runner", fail)
    standard_error = Connection(os.dup(2), readable=False)
    workers._start_worker(None, standard_error, None, 7)
    told = "could not start. Received: OSError: device 7 is away. No run"
    with pytest.raises(RuntimeError, match=told):
        workers._run(config("cbr_tiny"))


@pytest.mark.parametrize(("of_user", "inside"), [(None, "3"), ("0", "0")])
def test_workers_say_nothing_when_tensorflow_starts_unless_asked_to(
    monkeypatch, capfd, of_user, inside
):
    name = "TF_CPP_MIN_LOG_LEVEL"
    monkeypatch.delenv(name, raising=False)
    if of_user:
        monkeypatch.setenv(name, of_user)
    with workers._tensorflow_quiet():
        assert os.environ[name] == inside
        os.write(2, b"torn apart")
    os.write(2, b"whole")
    assert capfd.readouterr().err == "whole"
    assert os.environ.get(name) == of_user
