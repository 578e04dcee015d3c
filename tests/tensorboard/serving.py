"""The tab on a log directory, as a WSGI client, from either data loader."""

import contextlib
import pathlib
import time
from unittest import mock

import absl.flags
import werkzeug.test
from tensorboard import default, program
from tensorboard.backend import application
from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_multiplexer,
)
from tensorboard.context import RequestContext
from tensorboard.data import server_ingester
from tensorboard.plugins import base_plugin
from tensorboard.util import grpc_util

from transfusion_tf.tensorboard import loader

LOADERS = ("python", "data_server")
PREFIX = "/data/plugin/transfusion"
SAMPLES = {"transfusion": 1000, "scalars": 1000}
# Enough of a request for a reader of its own.
ENVIRON = {"tensorboard.request_context": RequestContext()}
_PATIENCE_SECONDS = 60


def start_program(logdir, *flags):
    """Starts the real program in a thread: its address, and itself."""
    tensorboard = program.TensorBoard(
        plugins=[*default.get_static_plugins(), loader.TransfusionLoader]
    )
    argv = ["tensorboard", "--logdir", str(logdir), "--port", "0"]
    # Its parser asks for the flags that launchers need, if tests have imported
    # some into this process.
    with mock.patch.object(absl.flags.FlagValues, "validate_all_flags"):
        tensorboard.configure(argv=[*argv, "--host", "127.0.0.1", *flags])
    return tensorboard.launch().rstrip("/"), tensorboard


@contextlib.contextmanager
def provider(logdir, loader_name):
    """TensorBoard's data provider, once it has loaded everything."""
    if loader_name == "python":
        multiplexer = plugin_event_multiplexer.EventMultiplexer(
            tensor_size_guidance=SAMPLES
        )
        multiplexer.AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        yield data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
        return
    ingester = server_ingester.SubprocessServerDataIngester(
        server_ingester.get_server_binary(),
        str(logdir),
        reload_interval=0,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin=SAMPLES,
    )
    ingester.start()
    try:
        _wait_for_runs(ingester.data_provider, logdir)
        yield ingester.data_provider
    finally:
        ingester._stdin_handle.close()  # The data server ends with it.


def _wait_for_runs(source, logdir):
    """Returns when each run has tags, which are shown all at once."""
    wanted = {
        str(path.parent.relative_to(logdir))
        for path in pathlib.Path(logdir).rglob("*tfevents*")
    }
    deadline = time.monotonic() + _PATIENCE_SECONDS
    arguments = {"ctx": RequestContext(), "experiment_id": ""}
    while True:
        loaded = {
            *source.list_tensors(plugin_name="transfusion", **arguments),
            *source.list_scalars(plugin_name="scalars", **arguments),
        }
        if loaded == wanted:
            return
        assert time.monotonic() < deadline, wanted - loaded
        time.sleep(0.02)


def client(source):
    """A client of the whole of TensorBoard's WSGI application."""
    flags = type("Flags", (), {"samples_per_plugin": {}})()
    door = loader.TransfusionLoader()
    door.fix_flags(flags)
    plugin = door.load(
        base_plugin.TBContext(
            data_provider=source,
            flags=flags,
            sampling_hints=flags.samples_per_plugin,
        )
    )
    app = application.TensorBoardWSGI([plugin], data_provider=source)
    return werkzeug.test.Client(app)
