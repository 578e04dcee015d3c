"""The tab in a real browser: TensorBoard, Chromium, and waiting for both."""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import shutil
import threading
import time
import urllib.request

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service

from tests.tensorboard import serving

PATIENCE_SECONDS = 30
_FRAME = 'iframe[src*="name=transfusion"]'
_OURS = "/data/plugin/transfusion/"
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
_SETTLED = """
const isInWindow = (element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
};
const panel = document.querySelector("[role=tabpanel]");
return document.documentElement.dataset.ready === "true" &&
  panel.querySelector(".card, .empty, .failed") !== null &&
  [...panel.querySelectorAll(".loading, [aria-busy]")].every(
    (element) => !isInWindow(element));
"""


def wait(condition):
    """Returns what a function gives once that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = None
        # An element may be replaced while it is looked at.
        with contextlib.suppress(StaleElementReferenceException):
            found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def serve_tensorboard(logdir, *flags):
    """Starts TensorBoard in a thread of its own and returns its address."""
    return serving.start_program(logdir, "--reload_interval=1", *flags)[0]


def ask(url, route):
    """What the tab's server answers."""
    address = f"{url}/data/plugin/transfusion/api/v1/{route}"
    with urllib.request.urlopen(address) as response:
        return json.load(response)


@contextlib.contextmanager
def serve_files(directory):
    """Serves files on a port of its own, and yields the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *unused):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(directory))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Browser:
    """Chromium without a window, in which the tab is shown."""

    def __init__(self, directory):
        """Starts it.

        Args:
            directory: For its profile and downloads; empty.
        """
        # Otherwise selenium looks for another browser on the network.
        os.environ.update(SE_OFFLINE="true", SE_AVOID_STATS="true")
        self.downloads = pathlib.Path(directory) / "downloads"
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (
            *("headless", "no-sandbox", "disable-gpu", "disable-quic"),
            *("no-first-run", "disable-background-networking"),
            *("disable-component-update", "disable-sync"),
            *("disable-dev-shm-usage", "window-size=1400,900"),
            f"user-data-dir={directory}/profile",
        ):
            options.add_argument(f"--{flag}")
        options.set_capability(
            "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
        )
        self.driver = webdriver.Chrome(
            options=options, service=Service(shutil.which("chromedriver"))
        )
        self.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH}
        )
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior",
            {"behavior": "allow", "downloadPath": str(self.downloads)},
        )

    def quit(self):
        self.driver.quit()

    def open(self, url, state="", dark=False):
        """Opens the tab, in a state given as `key=value&key=value`."""
        keys = [f"&p.transfusion.{part}" for part in state.split("&") if part]
        self.driver.switch_to.default_content()
        # Where only the part behind # differs, nothing would be loaded.
        self.driver.get("about:blank")
        query = f"?darkMode={str(dark).lower()}"
        self.driver.get(f"{url}/{query}#transfusion{''.join(keys)}")
        self.enter()

    def enter(self):
        """Goes into the tab's frame and waits until it is drawn."""
        self.enter_frame()
        self.settle()

    def enter_frame(self):
        """Goes into the tab's frame, be it hidden or not."""
        self.driver.switch_to.default_content()
        frame = wait(lambda: self.all(_FRAME))
        self.driver.switch_to.frame(frame[0])

    def settle(self):
        """Waits until every card near the window is drawn or has failed."""
        wait(lambda: self.run(_SETTLED))

    def run(self, script, *arguments):
        """Runs a script in the frame and returns its value."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector, text=None):
        """The first visible element, or the first whose text has `text`."""
        return wait(
            lambda: next(
                (
                    element
                    for element in self.all(selector)
                    if element.is_displayed()
                    and (text is None or text in element.text)
                ),
                None,
            )
        )

    def show(self, title):
        """Scrolls to the card of a title, and waits until it is drawn."""
        self.run("arguments[0].scrollIntoView()", self.one("h3", title))
        self.settle()

    def errors(self):
        """Texts of cards and views that have failed."""
        shown = self.all(".card-error:not([hidden]), .failed")
        return [element.text for element in shown]

    def press(self, *keys):
        """Sends keys to what has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def text(self):
        return self.run("return document.body.innerText")

    def downloaded(self, name):
        """The bytes of a file, once it is there."""
        path = self.downloads / name
        wait(path.exists)
        return path.read_bytes()

    def requests(self):
        """Addresses asked for since the last call."""
        messages = [
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        ]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def severe(self):
        """Errors in the console since the last call.

        Without what TensorBoard's own page does not find, such as its fonts
        under a prefix.
        """
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
            and (entry["source"] != "network" or _OURS in entry["message"])
        ]
