"""Serves the page to this machine only, until a signal ends it."""

import contextlib
import importlib.util
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import metadata

from kerasdl.core.errors import ConfigError
from kerasdl.engine.prediction.predictor import Predictor

HOST = "127.0.0.1"
OLDEST = 6  # version of Gradio
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def require_gradio() -> None:
    """Raises ConfigError unless Gradio is installed and recent enough."""
    install = "pip install --upgrade 'kerasdl[demo]'"
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError("the page needs Gradio, which is not installed", fix=install)
    version = metadata.version("gradio")
    if int(version.partition(".")[0]) < OLDEST:
        raise ConfigError(f"the page needs Gradio {OLDEST} or later, not {version}", fix=install)


@contextlib.contextmanager
def serving(runs: Mapping[str, Predictor], port: int | None = None) -> Iterator[str]:
    """Serves the page within the block.

    Args:
        runs: Predictors by the name to show.
        port: The port; None: the first free one from 7860.

    Yields:
        Its address.

    Raises:
        ConfigError: The port is in use.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with tempfile.TemporaryDirectory(prefix="kerasdl-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # images are removed with it
        from kerasdl.tools.demo import page

        blocks = page.Page(runs).blocks
        try:
            _, url, _ = blocks.launch(
                server_name=HOST,
                server_port=port,
                share=False,
                inbrowser=False,
                ssr_mode=False,
                mcp_server=False,
                run_history=False,
                enable_monitoring=False,
                footer_links=[],
                theme=page.THEME,
                css_paths=page.STYLE,
                prevent_thread_lock=True,
                quiet=True,
            )
        except OSError as error:
            raise ConfigError(f"port {port} is in use", fix="another --port") from error
        try:
            yield url
        finally:
            blocks.close(verbose=False)


def wait() -> None:
    """Returns when SIGINT or SIGTERM arrives."""

    def stop(*_):
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, stop)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
