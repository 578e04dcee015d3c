import json
import types

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import training
from transfusion_tf.training import strategies

TWO = {"worker": ["host1:12345", "host2:12345"]}


@pytest.fixture(autouse=True)
def outside_of_clusters(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)


def test_workers_must_be_named():
    with pytest.raises(ValueError, match=r"without TF_CONFIG.*under srun"):
        strategies.make_strategy("multi_worker")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", 'has not both "cluster" and "task"'),
        ({"cluster": TWO}, 'has not both "cluster" and "task"'),
        (
            {"cluster": TWO | {"ps": ["a:1"]}, "task": {}},
            'names other jobs than "chief" and "worker"',
        ),
        (
            {"cluster": TWO, "task": {"type": "chief", "index": 0}},
            "a task of a type that the cluster does not have",
        ),
        (
            {"cluster": TWO, "task": {"type": "worker", "index": 2}},
            "no task of that index among 2",
        ),
        (
            {"cluster": TWO, "task": {"type": "worker", "index": "1"}},
            "no task of that index among 2",
        ),
    ],
)
def test_a_mistake_in_tf_config_is_named(monkeypatch, content, message):
    text = content if isinstance(content, str) else json.dumps(content)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message) as error:
        strategies.make_strategy("multi_worker")
    assert f"Received: TF_CONFIG={text!r}" in str(error.value)
    assert 'Set, for example, TF_CONFIG=\'{"cluster"' in str(error.value)


def slurm(monkeypatch, **variables):
    defaults = {
        "PROCID": "2",
        "STEP_NODELIST": "node[1-2]",
        "STEP_TASKS_PER_NODE": "2(x2)",
        "STEP_NUM_TASKS": "4",
    }
    for name, value in (defaults | variables).items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_slurm_names_the_workers(monkeypatch):
    slurm(monkeypatch)
    monkeypatch.setenv("SLURMD_NODENAME", "node2")
    resolver = strategies._slurm_resolver()
    assert resolver.cluster_spec().as_dict() == {
        "worker": ["node1:8888", "node1:8889", "node2:8888", "node2:8889"]
    }
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)


def test_nodes_of_unequal_numbers_of_tasks(monkeypatch):
    slurm(monkeypatch, STEP_TASKS_PER_NODE="1,3")
    assert strategies._slurm_resolver().cluster_spec().as_dict() == {
        "worker": ["node1:8888", "node2:8888", "node2:8889", "node2:8890"]
    }


def test_nodes_that_sort_otherwise_are_refused(monkeypatch):
    slurm(
        monkeypatch,
        STEP_NODELIST="node[2,10]",
        STEP_TASKS_PER_NODE="1(x2)",
        STEP_NUM_TASKS="2",
        PROCID="0",
    )
    monkeypatch.setenv("SLURMD_NODENAME", "node2")
    with pytest.raises(ValueError, match="task 0 on node2, which it takes for"):
        strategies._slurm_resolver()


def cluster(task_type, task_id, **jobs):
    resolver = types.SimpleNamespace(
        task_type=task_type,
        task_id=task_id,
        cluster_spec=lambda: tf.train.ClusterSpec(jobs),
    )
    return types.SimpleNamespace(cluster_resolver=resolver)


@pytest.mark.parametrize(
    ("task", "jobs", "is_chief"),
    [
        (("worker", 0), {"worker": ["a:1", "b:1"]}, True),
        (("worker", 1), {"worker": ["a:1", "b:1"]}, False),
        (("chief", 0), {"chief": ["a:1"], "worker": ["b:1"]}, True),
        (("worker", 0), {"chief": ["a:1"], "worker": ["b:1"]}, False),
    ],
)
def test_one_worker_is_the_chief(task, jobs, is_chief):
    strategy = cluster(*task, **jobs)
    assert strategies.num_workers(strategy) == 2
    assert strategies.is_chief(strategy) is is_chief


def test_alone_this_process_is_the_chief():
    strategy = tf.distribute.get_strategy()
    assert strategies.num_workers(strategy) == 1
    assert strategies.is_chief(strategy)


def test_what_workers_do_not_agree_on_is_named(monkeypatch):
    strategy = cluster("worker", 0, worker=["a:1", "b:1"])
    facts = {"--seed": 0, "--model": "cbr_tiny"}

    def gathered(_, values):
        return np.array([values, [values[0] + 1, *values[1:]]])

    monkeypatch.setattr(strategies, "gathered", gathered)
    with pytest.raises(ValueError, match="different --seed=0 here. Start all"):
        strategies.check_workers_agree(strategy, facts)


def test_workers_stop_together_and_ask_one_another_at_every_tenth(monkeypatch):
    strategy = cluster("worker", 0, worker=["a:1", "b:1"])
    asked, told = training.StopRequest(), []

    def gathered(_, values):
        told.append(list(values))
        return np.array([values, [True]])

    monkeypatch.setattr(strategies, "gathered", gathered)
    # It is the other worker that was asked to.
    assert strategies.is_stop_agreed(strategy, asked, 20)
    assert strategies.is_stop_agreed(strategy, asked)
    assert told == [[False], [False]]
    asked.set()
    assert not strategies.is_stop_agreed(strategy, asked, 21)
    assert len(told) == 2


def test_alone_a_request_to_stop_is_heeded_at_once():
    strategy, asked = tf.distribute.get_strategy(), training.StopRequest()
    assert not strategies.is_stop_agreed(strategy, asked, 7)
    asked.set()
    assert strategies.is_stop_agreed(strategy, asked, 7)
