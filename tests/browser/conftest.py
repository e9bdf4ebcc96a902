"""A real Chromium, headless, and a dashboard for it to look at."""

import asyncio
import os
import shutil
import threading

import pytest
from playwright.sync_api import sync_playwright

from accountd.runtime.metrics import Metrics
from accountd.web import app, server
from tests.browser.scene import Scene

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


def chromium():
    """Return where Chromium is.

    Raises:
        RuntimeError: it is not installed.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError("no Chromium: apt-get install chromium, or say where it is in CHROMIUM")
    return found


class Site:
    """The web in a thread with a loop of its own, as the daemon would serve it."""

    def __init__(self, scene, token=None):
        metrics = Metrics()
        self.app = app.build(
            scene.health, metrics.registry, database_url=scene.url, before_scrape=metrics.observe, token=token
        )
        self.scene, self.ready = scene, threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        self.ready.wait(10)

    async def _serve(self):
        self.stop, self.loop = asyncio.Event(), asyncio.get_running_loop()
        async with server.serving(self.app, server.bind("127.0.0.1", 0)) as (host, port):
            self.url = f"http://{host}:{port}"
            self.ready.set()
            await self.stop.wait()

    def close(self):
        """Stop serving."""
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()


@pytest.fixture(scope="session")
def browser():
    """The browser."""
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield made
        made.close()


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A week of three accounts."""
    made = Scene(f"sqlite:///{tmp_path_factory.mktemp('scene') / 'accountd.db'}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def site(scene):
    """The dashboard of that week."""
    made = Site(scene)
    yield made
    made.close()


@pytest.fixture
def page(browser, site):
    """A tab, which must not complain about anything."""
    context = browser.new_context()
    made, complaints = context.new_page(), []
    made.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    context.close()
    assert [text for text in complaints if "ERR_CONNECTION" not in text] == []
