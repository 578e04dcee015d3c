"""How near `prepare_data` comes to the rate of the work it cannot avoid.

python -m tests.benchmarks.preparation

Photographs of 3,000 x 2,000 pixels, both cores. Reference: each file read,
decoded at the same DCT scale, its field of view resized and encoded, by as
many worker processes. Ours: `transfusion_datasets.prepare`, which besides
hashes the files, finds the field of view, looks for images that come twice,
writes records, reads them back and writes their index.

Memory: the highest resident set of the main process and of the largest worker,
each of a run of its own, with 200 and with 2,000 photographs.
"""

import functools
import io
import itertools
import pathlib
import shutil
import subprocess
import sys
import tempfile

import loky
import numpy as np
import skimage.data
from PIL import Image

import transfusion_datasets
from tests.benchmarks import ratios

SIZE = (3000, 2000)
DIAMETER = 587
DATASET = f"transfusion_eyepacs/circle{DIAMETER}"
FIELD = (545, 45, 2455, 1955)
NUM_TIMED = 480
NUM_MEMORY = (200, 2000)
PREPARE = f"""
import sys
import loky
import transfusion_datasets
from tests.benchmarks import preparation
transfusion_datasets.prepare(
    {DATASET!r}, manual_dir=sys.argv[1], data_dir=sys.argv[2])
workers = loky.get_reusable_executor(reuse=True)
peaks = workers.map(preparation.peak_kilobytes, range(20))
print(preparation.peak_kilobytes(0), max(peaks))
"""


def peak_kilobytes(_: int) -> int:
    """Returns the highest resident set of this process since it began."""
    # Unlike getrusage, not that of the process that it was forked from.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def write_photograph(root: pathlib.Path, number: int) -> None:
    """A real field of view, turned by another angle each time."""
    retina = Image.fromarray(skimage.data.retina())
    turned = retina.rotate(number * 0.17, resample=Image.Resampling.BILINEAR)
    left, top, right, bottom = FIELD
    photograph = Image.new("RGB", SIZE)
    photograph.paste(turned.resize((right - left, bottom - top)), (left, top))
    eye = ("left", "right")[number % 2]
    name = f"{number // 2}_{eye}.jpeg"
    photograph.save(root / "train" / name, quality=90)


def write_photographs(root: pathlib.Path, count: int) -> None:
    """Files as EyePACS has them."""
    (root / "train").mkdir(parents=True)
    pool = loky.get_reusable_executor()
    list(pool.map(functools.partial(write_photograph, root), range(count)))
    rows = [f"{p.stem},0" for p in sorted((root / "train").iterdir())]
    table = "\n".join(["image,level", *rows, ""])
    (root / "trainLabels.csv").write_text(table)


def process(path: str) -> int:
    """What cannot be avoided."""
    data = pathlib.Path(path).read_bytes()
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (DIAMETER, DIAMETER))
    scale = image.width / SIZE[0]
    crop = image.resize(
        (DIAMETER, DIAMETER),
        Image.Resampling.BICUBIC,
        box=tuple(scale * side for side in FIELD),
    )
    file = io.BytesIO()
    crop.save(file, format="JPEG", quality=95, subsampling=0)
    return len(file.getvalue())


def compare_rates(root: pathlib.Path) -> tuple[float, float, float]:
    """Returns the ratio of rates with its interval."""
    raw_dir = root / "timed"
    write_photographs(raw_dir, NUM_TIMED)
    paths = [str(path) for path in sorted((raw_dir / "train").iterdir())]
    numbers = itertools.count()

    def reference() -> None:
        list(loky.get_reusable_executor().map(process, paths))

    def ours() -> None:
        data_dir = root / f"data{next(numbers)}"
        transfusion_datasets.prepare(
            DATASET, manual_dir=raw_dir, data_dir=data_dir
        )
        shutil.rmtree(data_dir)

    return ratios.paired_ratio(ours, reference)


def peak_megabytes(root: pathlib.Path, count: int) -> list[float]:
    """Returns the peaks of the main process and of the largest worker."""
    raw_dir = root / f"raw{count}"
    write_photographs(raw_dir, count)
    command = [sys.executable, "-c", PREPARE, raw_dir, root / f"m{count}"]
    printed = subprocess.run(
        [str(part) for part in command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    shutil.rmtree(raw_dir)
    return [int(line) / 1024 for line in printed.split()[-2:]]


def main() -> None:
    """Prints a line a case."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        ratio, low, high = compare_rates(root)
        print(
            "prepare / decode, resize, encode alone: "
            f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
        )
        for count in NUM_MEMORY:
            main_process, worker = np.round(peak_megabytes(root, count))
            print(
                f"{count} photographs: peak {main_process:.0f} MB, and "
                f"{worker:.0f} MB in a worker"
            )


if __name__ == "__main__":
    main()
