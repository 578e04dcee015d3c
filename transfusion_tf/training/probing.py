"""How far each stage's representation has moved since step 0, in training."""

from typing import Any

import numpy as np

from transfusion_tf import data, similarity
from transfusion_tf.training import program


class StageProbe:
    """Compares every stage with all of step 0 on a fixed set of images.

    The score is debiased linear CKA of activations averaged over positions:
    it needs no more images than neurons, and is 0 for unrelated ones. As in
    `analysis.compare`, batch norm at step 0 is re-estimated on training
    images, and is in inference mode.

    Attributes:
        num_images: Images that are compared on: the first of the split.
    """

    def __init__(
        self,
        run_program: program.Program,
        train: data.SplitReader,
        validation: data.SplitReader,
        *,
        num_examples: int,
    ):
        """Captures nothing yet.

        Args:
            run_program: The network.
            train: Images that batch norm is re-estimated on.
            validation: Images that are compared on.
            num_examples: Most of either.

        Raises:
            ValueError: If there are fewer than 4 images to compare on.
        """
        self._program = run_program
        self._train = train
        self._validation = validation
        self._num_examples = num_examples
        self.num_images = min(num_examples, validation.split.num_examples)
        if self.num_images < 4:
            raise ValueError(
                "Stages are compared on at least 4 images. Received: "
                f"{self.num_images} of split {validation.split.name!r}. Use a "
                "larger split, or leave out --similarity_every_steps."
            )
        self._start: dict[str, np.ndarray] = {}

    def remember_start(self) -> None:
        """Captures the network, whose weights are those of step 0.

        Its variables are the same afterwards, to the bit.
        """
        variables = self._program.staged.model.variables
        before = [(variable, variable.numpy()) for variable in variables]
        self._program.recalibrate_batch_norm(
            self._train, num_images=self._num_examples
        )
        self._start = self._capture()
        for variable, values in before:
            variable.assign(values)

    def score(self) -> dict[str, Any]:
        """Compares the network as it is now with the start.

        Returns:
            `similarity`: by stage its score with itself at step 0, at most 1.
            `matrix`: lists `[stages at step 0][stages now]` of the same
            scores. None where one is undefined: a stage is constant, or its
            activations are not finite.
        """
        return self._scores(self._capture())

    def score_start(self) -> dict[str, Any]:
        """Compares the start with itself: a stage with the others then."""
        return self._scores(self._start)

    def _scores(self, now: dict[str, np.ndarray]) -> dict[str, Any]:
        scores = similarity.cka_matrix(
            list(self._start.values()), [now[name] for name in self._start]
        )
        matrix = [
            [None if np.isnan(score) else float(score) for score in row]
            for row in scores
        ]
        places = enumerate(self._start)
        return {
            "similarity": {name: matrix[i][i] for i, name in places},
            "matrix": matrix,
        }

    def describe(self) -> dict[str, Any]:
        """What is compared and how, as `config.json` holds it."""
        return {
            "split": self._validation.split.name,
            "num_images": self.num_images,
            "measure": "debiased cka",
            "spatial": "average",
            "batch_norm": "recalibrated at step 0, moving statistics after",
        }

    def _capture(self) -> dict[str, np.ndarray]:
        return self._program.stage_means(self._validation, self.num_images)
