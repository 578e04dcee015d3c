"""A study and where it lies."""

import dataclasses

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

    def is_done(self, config: training.TrainConfig) -> bool:
        """Tells whether a run is trained and compared."""
        return self.run(config).is_finished and not self.lacks_comparison(
            config
        )
