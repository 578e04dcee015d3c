"""Where the time from the command to the first step goes.

python -m tests.benchmarks.startup

Processor seconds of each part in a fresh process, ResNet50 at 64 pixels; on
several cores the clock shows less for what runs on several threads.
"""

import resource

MODEL, IMAGE_SIZE = "resnet50", 64


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Parts:
    """Prints what has been spent since the last part ended."""

    def __init__(self) -> None:
        self._before = processor_seconds()

    def end(self, name: str) -> None:
        now = processor_seconds()
        print(f"  {name:24} {now - self._before:6.2f} s")
        self._before = now


def main() -> None:
    """Prints a line a part."""
    print(f"{MODEL}, {IMAGE_SIZE} px, processor seconds:")
    parts = Parts()
    import tensorflow  # noqa: F401 - the largest part of importing ours.

    parts.end("import tensorflow")
    from launch import cli  # noqa: F401 - what every launcher imports.
    from transfusion_tf import initialization, training

    parts.end("import transfusion_tf")
    strategy = training.prepare_runtime(0)
    from tests.benchmarks import training as steps

    spec = steps.spec_of(MODEL, IMAGE_SIZE, 8)
    parts.end("devices")
    program = training.Program(spec, strategy)
    parts.end("build")
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    parts.end("initialize")
    blocks = steps.Blocks(IMAGE_SIZE)
    batch = next(iter(program.train_batches(blocks.reader, seed=0)))
    parts.end("first batch")
    program._train.get_concrete_function(batch)
    parts.end("trace a step")
    for name in ("first step", "second step"):
        program.train_step(batch, 1e-3)
        program.loss_sum.numpy()
        parts.end(name)
    program.predict(blocks.reader)
    parts.end("validation, 512 images")


if __name__ == "__main__":
    main()
