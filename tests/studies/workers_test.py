import dataclasses

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
