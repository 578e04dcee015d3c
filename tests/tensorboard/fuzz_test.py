"""Random and adversarial requests: `make fuzz` sends 10,000 to each route."""

import gzip
import json
import random
import urllib.parse

import pytest
import werkzeug.test
from tensorboard.util import tb_logging

from tests.tensorboard import fabricate, serving
from transfusion_tf.tensorboard import plugin

CKA = "transfusion/similarity/before_after/cka"
RUN = "demo/runs/cbr_tiny-random-seed0"
ROUTES = ("static", "index", "tensors", "curves")
STATUSES = {200, 400, 404, 405}
METHODS = ("GET",) * 12 + ("HEAD", "POST", "PUT", "OPTIONS", "TRACE", "X\x01")
# What breaks parsers, paths, patterns, formats, encodings and markup.
PIECES = (
    *("..", "/", "//", "\\", "%", "%2e%2e", "%2f", "%00", "%c0%af", "%ff"),
    *("\x00", "\n", "\r\n", "\x1b", "\u202e", "ü", "🫀", "\ud800", "￿"),
    *("<script>", "&", "=", ";", "#", "?", "+", "'", '"', "`", "[", "]"),
    *("(a+)+$", ".*", "${x}", "{0}", "{x.__class__}", "%s%n", "%(x)s", "$(id)"),
    *("file://", "/etc/passwd", "http://x/", "gs://x", "~", "C:", "-", "."),
    *("index.js", "style.css", "views", "plugin.py", "static", "__init__.py"),
    *("NaN", "Infinity", "-1", "0", "44", "1e9", "9" * 400, "all", "first"),
    *("last", "null", "true", "[0]", "A" * 1_100, "../" * 40),
    *(CKA, RUN, "transfusion/run", "transfusion/study", "validation/auc"),
    *(fabricate.HOSTILE_RUN, fabricate.HOSTILE_TAG, "disordered", "damaged"),
    *("transfusion/similarity/hostile/bfloat16", "transfusion/newer", ""),
    *("transfusion/similarity/hostile/huge", "demo/report", "."),
)
NAMES = ("tag", "run", "run", "step", "tag[]", "TAG", "experiment", "")


def _text(rng):
    """A name that is there, or one made of pieces and random characters."""
    if rng.random() < 0.5:
        return rng.choice(PIECES)
    return "".join(
        rng.choice(PIECES) if rng.random() < 0.7 else chr(rng.randrange(0x800))
        for _ in range(rng.randrange(5))
    )


def _encoded(rng, text):
    """Percent-encoded, raw, or damaged, as one latin-1 character a byte."""
    raw = text.encode("utf-8", "surrogatepass")
    choice = rng.random()
    if choice < 0.8:
        return urllib.parse.quote(raw, safe="")
    if choice < 0.9:
        return raw.decode("latin-1")
    return "%" + urllib.parse.quote(raw)[1:]


def _query(rng, route):
    """A query that is nearly right, or anything."""
    if rng.random() < 0.5 and route in ("tensors", "curves"):
        fields = [("tag", _text(rng))]
        fields += [("run", _text(rng)) for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.5 and route == "tensors":
            fields.append(("step", _text(rng)))
    elif rng.random() < 0.02:
        fields = [("tag", CKA)] + [("run", str(i)) for i in range(250)]
    else:
        fields = [
            (rng.choice(NAMES), _text(rng)) for _ in range(rng.randrange(5))
        ]
        rng.shuffle(fields)
    joined = rng.choice("&&&&&&&;").join(
        f"{name}={_encoded(rng, value)}" for name, value in fields
    )
    return joined if rng.random() < 0.95 else joined[: rng.randrange(40)]


def _environ(rng, route):
    """A WSGI request, built by hand: a client would put it right."""
    if route == "static":
        name = "index.js" if rng.random() < 0.1 else _text(rng)
        path = f"{serving.PREFIX}/static/{name}"
    else:
        path = f"{serving.PREFIX}/api/v1/{route}"
    environ = werkzeug.test.create_environ(method="GET")
    environ |= {
        "REQUEST_METHOD": rng.choice(METHODS),
        "PATH_INFO": path.encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": _query(rng, route),
    }
    if rng.random() < 0.3:
        environ["HTTP_ACCEPT_ENCODING"] = rng.choice(["gzip", "*", _text(rng)])
    return environ


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logdir")
    fabricate.write_logdir(logdir)
    with serving.provider(logdir, "python") as source:
        yield serving.client(source)


@pytest.fixture(scope="module")
def bundle():
    frontend = plugin.importlib.resources.files(plugin.__package__)
    files = (frontend / "frontend").rglob("*")
    return {path.read_bytes() for path in files if path.is_file()}


def _check(app, environ, route, bundle):
    """Sends a request; returns the status of what must be an answer."""
    chunks, status, headers = werkzeug.test.run_wsgi_app(
        app, environ, buffered=True
    )
    status, content = int(status[:3]), b"".join(chunks)
    assert status in STATUSES
    assert headers["X-Content-Type-Options"] == "nosniff"
    if headers.get("Content-Encoding") == "gzip" and content:
        content = gzip.decompress(content)
    mime_type = headers["Content-Type"].partition(";")[0]
    if status != 200:
        assert mime_type == "text/plain"
        assert b"Traceback" not in content and len(content) < 1_000
    elif environ["REQUEST_METHOD"] == "HEAD":
        assert content == b""
    elif route == "static":
        assert content in bundle
    else:
        assert mime_type == "application/json"
        json.loads(content, parse_constant=pytest.fail)
    return status


@pytest.mark.parametrize("route", ROUTES)
def test_no_request_breaks_the_tab(request, route, client, bundle):
    num_requests = 10_000 if request.config.getoption("--full") else 500
    rng = random.Random(route)
    statuses = {}
    # TensorBoard logs a warning for each of them.
    logger = tb_logging.get_logger()
    logger.disabled = True
    try:
        for _ in range(num_requests):
            environ = _environ(rng, route)
            sent = {k: environ[k] for k in ("PATH_INFO", "QUERY_STRING")}
            # An exception in a handler would be a 500; here it is raised.
            try:
                status = _check(client.application, environ, route, bundle)
            except Exception as error:
                error.add_note(f"{environ['REQUEST_METHOD']} {sent}")
                raise
            statuses[status] = statuses.get(status, 0) + 1
    finally:
        logger.disabled = False
    # Enough of them got through to what they were to break.
    assert statuses[200] > num_requests / 50, statuses
