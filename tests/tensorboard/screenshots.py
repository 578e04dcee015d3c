"""Takes pictures of the Transfusion tab's views.

python -m tests.tensorboard.screenshots LOGDIR DIRECTORY [VIEW ...]

A picture a view, light and dark: `overview.png`, `overview_dark.png` ... Those
in the README are of `make demo`.
"""

import argparse
import pathlib
import tempfile

from tests.tensorboard import browsing

VIEWS = (
    "overview",
    "curves",
    "similarity",
    "profile",
    "filters",
    "scatter",
    "about",
)


def has_report(index) -> bool:
    """Whether TensorBoard has read a study's document."""
    return any(study["document"] for study in index["studies"])


def main() -> None:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logdir")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("views", nargs="*", default=VIEWS, metavar="VIEW")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    url = browsing.serve_tensorboard(arguments.logdir)
    browsing.wait(
        lambda: any(
            s["document"] for s in browsing.ask(url, "index")["studies"]
        )
    )
    with tempfile.TemporaryDirectory() as profile:
        browser = browsing.Browser(profile)
        browser.driver.set_window_size(1400, 1000)
        for view in arguments.views:
            for dark in (False, True):
                browser.open(url, f"view={view}", dark=dark)
                browser.driver.switch_to.default_content()
                name = f"{view}_dark.png" if dark else f"{view}.png"
                browser.driver.save_screenshot(str(arguments.directory / name))
        browser.quit()


if __name__ == "__main__":
    main()
