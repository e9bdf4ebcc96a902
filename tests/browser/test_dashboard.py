"""The dashboard in a real browser: live, without scripts, by keyboard, on a phone, in the dark."""

import re

import pytest
from playwright.sync_api import expect

from accountd.core.states import State
from tests.browser.conftest import Site

PAGES = ["/", "/accounts/main", "/orders", "/fills", "/alerts", "/findings",
         "/accounts/main/orders/usdm/ETHUSDT/order/777"]  # fmt: skip
TOKEN = "a-token"


@pytest.mark.parametrize("path", PAGES)
def test_pages_open_without_a_complaint(page, site, path):
    """No page makes the browser complain, about its policy or anything else, nor asks another host."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.url + path)
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("h1")).to_have_count(1)
    assert [url for url in asked if not url.startswith(site.url)] == []


def test_a_fill_appears_while_one_looks(page, site):
    """A fill that lands is on the page without a reload, marked as new, within seconds."""
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("live")
    page.evaluate("window.same = true")
    number = site.scene.more()
    row = page.locator(f"#fills tr:has(a:text-is('{number}'))")
    expect(row).to_be_visible(timeout=10_000)
    expect(row).to_have_class(re.compile("fresh"))
    assert page.evaluate("window.same") is True


def test_a_state_changes_while_one_looks(page, site):
    """An account that is lost is seen at once, in words."""
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("live")
    account = site.scene.health.accounts["main"]
    account.state = State.CLOSED
    expect(page.locator("#accounts tr[data-key=main]")).to_contain_text("CLOSED", timeout=10_000)
    expect(page.locator("#verdict")).to_contain_text("main: CLOSED")
    account.state = State.LIVE


def test_what_one_does_survives_a_refresh(page, site):
    """Focus, an opened detail and the place in a table stay when the page refreshes itself."""
    page.goto(site.url + "/alerts")
    expect(page.locator("#live")).to_have_text("live")
    detail = page.locator("tr[data-key=msg_002] details")
    detail.locator("summary").click()
    site.scene.write("main", [site.scene.alert(0, message_id="fresh")])
    expect(page.locator("tr[data-key=fresh]")).to_be_visible(timeout=10_000)
    expect(detail).to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_pictures_are_drawn(page, site):
    """The pictures get axes from the vendored library; the drawings of the server make way."""
    page.goto(site.url)
    figures = page.locator("figure.chart")
    expect(figures.first.locator("canvas")).to_be_visible()
    assert figures.count() >= 3
    expect(figures.first.locator("svg")).to_be_hidden()


def test_without_scripts(browser, site):
    """Without JavaScript everything is there: the pictures, the lists, the links, and a reload by itself."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    expect(page.locator("figure.chart svg").first).to_be_visible()
    expect(page.locator("#fills tbody tr")).to_have_count(12)
    assert page.locator("noscript").count() == 1
    page.locator("#fills a", has_text=re.compile(r"^\d+$")).first.click()
    expect(page.locator("h1")).to_contain_text("Order")
    expect(page.locator(".why")).to_contain_text("Filled completely")
    context.close()


def test_by_keyboard(page, site):
    """The first Tab offers to skip to the content; what has the focus is always outlined."""
    page.goto(site.url)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        told = page.evaluate(
            "() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.tagName, e.textContent.slice(0, 20), s.outlineStyle, parseFloat(s.outlineWidth)] }"
        )
        assert told[0] == "BODY" or (told[2] != "none" and told[3] >= 2), told
        seen.add(tuple(told[:2]))
    assert len(seen) > 10


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_runs_over(browser, site, path):
    """At 360 pixels no page is wider than the screen; wide tables scroll inside their own box."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(site.url + path)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll("td, th, p, h1, h2, h3, a, dt, dd, .chip, .unit, summary, li")) {
    if (!e.offsetParent || !e.textContent.trim() || e.closest(".uplot")) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push([e.tagName, e.className, e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/accounts/desk", "/alerts", PAGES[-1]])
def test_words_can_be_read(browser, site, scheme, path):
    """In the light and in the dark every word stands out from its ground by 4.5 to 1 at least."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(site.url + path)
    assert page.evaluate(CONTRAST) == []
    grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (grounds == "rgb(17, 18, 20)") is (scheme == "dark")
    context.close()


def test_token_and_cookie(browser, scene):
    """The form lets in who knows the token; scripts cannot read the cookie, and the stream works with it."""
    site = Site(scene, TOKEN)
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url + "/fills")
    page.fill("input[type=password]", "wrong")
    page.click("button")
    expect(page.locator("[role=alert]")).to_contain_text("not the token")
    page.fill("input[type=password]", TOKEN)
    page.click("button")
    expect(page).to_have_url(site.url + "/fills")
    expect(page.locator("#live")).to_have_text("live")
    assert page.evaluate("document.cookie") == ""
    assert TOKEN not in page.content()
    context.close()
    site.close()


def test_a_server_that_goes_is_said(page, scene):
    """When the server is gone the page says so and stays as it was."""
    site = Site(scene)
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("live")
    site.close()
    expect(page.locator("#live")).to_have_text("not connected", timeout=10_000)
    expect(page.locator("#accounts tbody tr")).to_have_count(3)
