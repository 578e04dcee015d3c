"""Makes the tables, figures and verdict of a study from its records.

Example:
  python -m launch.report --study_dir=runs/demo --output_dir=/tmp/report
"""

from collections.abc import Sequence

from absl import flags
from etils import epath

from launch import cli
from transfusion_tf import reporting

_STUDY_DIR = flags.DEFINE_string(
    "study_dir", None, "A study, or its published records.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the report is written.", required=True
)
_PUBLISH_RECORDS = flags.DEFINE_string(
    "publish_records",
    None,
    "Also copy the records here: no weights, no ids of patients.",
)
_TENSORBOARD_DIR = flags.DEFINE_string(
    "tensorboard_dir",
    None,
    "Also write event files here, for tensorboard --logdir.",
)
_HTML = flags.DEFINE_bool(
    "html", False, "Also write report.html, the tab without a server."
)
_NUM_TOP_STAGES = flags.DEFINE_integer(
    "num_top_stages",
    reporting.NUM_TOP_STAGES,
    "How many of the last stages are averaged where pairs of runs were "
    "compared; the paper's Figure 2 takes two.",
    lower_bound=1,
)


def main(argv: Sequence[str]) -> None:
    """Writes the report and prints its answer."""
    del argv
    source = _STUDY_DIR.value
    if _PUBLISH_RECORDS.value:
        files = reporting.publish_records(source, _PUBLISH_RECORDS.value)
        print(f"{len(files)} records published in {_PUBLISH_RECORDS.value}")
        source = _PUBLISH_RECORDS.value
    report = reporting.write_report(
        source, _OUTPUT_DIR.value, num_top_stages=_NUM_TOP_STAGES.value
    )
    print(f"{report.table_markdown}\n\n{report.verdict}\n")
    for path in report.files:
        print(path)
    if _HTML.value:
        page = epath.Path(_OUTPUT_DIR.value) / "report.html"
        reporting.write_page(source, report.document, page)
        print(page)
    if _TENSORBOARD_DIR.value:
        reporting.write_events(source, report.document, _TENSORBOARD_DIR.value)
        print(f"TensorBoard: tensorboard --logdir {_TENSORBOARD_DIR.value}")


if __name__ == "__main__":
    cli.run(main)
