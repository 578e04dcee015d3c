"""A study and where it lies."""

import dataclasses
import os

from etils import epath

from transfusion_tf import records, training
from transfusion_tf.studies import grid


@dataclasses.dataclass(frozen=True)
class Study:
    """A study and where it lies.

    Attributes:
        config: What is compared.
        path: Its directory: `study.json`, `runs/`, `comparisons/`, `report/`,
            and on a cluster `jobs/`.
    """

    config: grid.StudyConfig
    path: epath.Path

    def run(self, config: training.TrainConfig) -> records.RunDirectory:
        """Returns the directory of one of its runs."""
        return records.RunDirectory(self.path / "runs" / config.run_name)

    def comparison_path(self, config: training.TrainConfig) -> epath.Path:
        """Returns where a run's comparison before and after stands."""
        name = f"{config.run_name}-before-after"
        return self.path / "comparisons" / name / "comparison.json"

    def lacks_comparison(self, config: training.TrainConfig) -> bool:
        """Tells whether a run is yet to be compared before and after."""
        if not self.config.is_compared(config):
            return False
        return not self.comparison_path(config).exists()

    def lacks_matrix(self, config: training.TrainConfig) -> bool:
        """Tells whether a comparison is of a version that made no matrix.

        And whether it can be completed: the run kept its weights.
        """
        path, run = self.comparison_path(config), self.run(config)
        if not self.config.is_compared(config) or not path.exists():
            return False
        if "matrix" in records.read_json(path) or not run.is_finished:
            return False
        steps = (0, run.result()["num_steps"])
        return all(run.weights_path(step).exists() for step in steps)

    def check_comparison(self, config: training.TrainConfig) -> None:
        """Checks that a run was compared as the study asks, if it was.

        Raises:
            ValueError: If not, naming each difference.
        """
        path, run = self.comparison_path(config), self.run(config)
        if not self.config.is_compared(config) or not path.exists():
            return
        if not run.config_path.exists():
            return  # Deleted, to be trained again.
        content = records.read_json(path)
        protocol = content["protocol"]
        asked = dataclasses.asdict(self.config.protocol)
        found = {name: protocol.get(name) for name in asked} | {
            "measure": content["measure"],
            "sampling_seed": protocol["seed"],
        }
        if found["num_images"] < asked["num_images"]:
            test = run.config()["data"]["test"]
            asked["num_images"] = min(asked["num_images"], test["num_examples"])
        differences = training.differences(found, asked)
        if differences:
            raise ValueError(
                f"{os.fspath(path)!r} was made in another way. Received: "
                f"{'; '.join(differences)}. Give the same flags to go on with "
                "that study, or delete the file to compare anew."
            )

    def is_done(self, config: training.TrainConfig) -> bool:
        """Tells whether a run is trained and compared."""
        return self.run(config).is_finished and not self.lacks_comparison(
            config
        )
