"""The pictures of docs/images: python -m tests.browser.screenshots draws them anew from the same week."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, Site, chromium
from tests.browser.scene import Scene

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIMIT = 150 * 1024  # bytes
WIDE = {"viewport": {"width": 1360, "height": 1180}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
ORDER = "/accounts/main/orders/usdm/ETHUSDT/order/777"
SHOTS = {
    "overview-light": ("/", WIDE | {"color_scheme": "light"}),
    "account-dark": ("/accounts/main", WIDE | {"color_scheme": "dark"}),
    "order-light": (ORDER, {"viewport": {"width": 1100, "height": 620}, "color_scheme": "light"}),
    "overview-phone": ("/", PHONE | {"color_scheme": "dark"}),
}


def main():
    """Draw every picture and refuse one that is too large."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        scene = Scene(f"sqlite:///{Path(folder) / 'accountd.db'}")
        site = Site(scene)
        browser = play.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            for name, (path, options) in SHOTS.items():
                page = browser.new_context(**options).new_page()
                page.goto(site.url + path)
                page.wait_for_function("document.getElementById('live').textContent === 'live'")
                file = IMAGES / f"{name}.png"
                page.screenshot(path=file)
                if file.stat().st_size > LIMIT:
                    raise SystemExit(f"{file.name} has {file.stat().st_size} bytes; at most {LIMIT}")
                page.context.close()
        finally:
            browser.close()
            site.close()
            scene.close()


if __name__ == "__main__":
    main()
