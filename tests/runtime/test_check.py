"""`accountd check`: every door is tried, what the key sees is said, and Portfolio Margin is found."""

import pytest

from accountd import config
from accountd.errors import BadRequest, KeyRefused, VenueUnavailable
from accountd.runtime import check
from accountd.runtime.check import CheckLine
from accountd.venues.binance_key import PRODUCTS, BinanceKey, Sight
from tests.spot_world import SpotWorld
from tests.venues.retelling import drive


async def lines(world, **account):
    """Check a world's account; return its lines by what they are about."""
    world.account_more |= account
    told = await check.check(config.load(world.environ(), env_file=None))
    return {line.what: line for line in told}


class Unstarted(SpotWorld):
    """A world whose daemon does not run."""

    async def start(self):
        """Start nothing."""

    async def stop(self):
        """Stop nothing."""


async def test_everything_good_is_said(sqlite_url):
    """Clock, key, subscription and products of a good account are each a line, and nothing is written."""
    async with Unstarted(sqlite_url) as world:
        world.spot.rest.rights["main"] = {"enableSpotAndMarginTrading": True, "ipRestrict": True}
        told = await lines(world)
        assert all(line.ok for line in told.values())
        assert told["key"].detail == "reads the account: spot account"
        assert told["stream"].detail == "subscribed: by signature"
        assert told["products"].detail == "the key reads binance-spot, binance-usdm"
        assert "may trade. Use a read-only key" in told["rights"].detail
        assert not world.spot.sessions()


async def test_one_account_alone(sqlite_url):
    """Only the account that is asked for is tried."""
    async with Unstarted(sqlite_url) as world:
        told = await check.check(config.load(world.environ(), env_file=None), "nobody")
        assert [line.what for line in told] == ["database"]


async def test_listen_keys_and_closed_doors(sqlite_url):
    """The listen-key venue says how it subscribed; where its door is closed, what to use instead."""
    async with Unstarted(sqlite_url, mode="us") as world:
        assert (await lines(world))["stream"].detail == "subscribed: by listen key"
    async with Unstarted(sqlite_url) as world:
        told = await lines(world, VENUE="binance-us")
        assert not told["stream"].ok
        assert "use VENUE=binance-spot" in told["stream"].detail


def test_each_product_is_asked_once():
    """What is refused is not seen, what does not answer is said to be silent; the kind is told by name."""
    answers = {"/fapi/v3/account": KeyRefused("-2015"), "/dapi/v1/account": VenueUnavailable("502"),
               "/papi/v1/account": BadRequest("404")}  # fmt: skip

    def answer(call):
        return (
            {"accountType": "PM_2"} if call.path.endswith("portfolio/account") else answers.get(call.path, {})
        )

    sight, calls, _ = drive(BinanceKey().sight(), answer)
    assert sight.kind == "PM_2"
    assert sight.silent == ("binance-coinm",)
    assert set(sight.sees) == set(PRODUCTS) - {"binance-usdm", "binance-coinm", "binance-portfolio"}
    assert all((call.method, call.path) in BinanceKey().allowed for call in calls)
    assert all(call.once for call in calls)


@pytest.mark.parametrize(("venue", "sight", "good", "found"), [
    ("binance-usdm", Sight(sees=(), kind="PM_2"), True, False),
    ("binance-coinm", Sight(sees=("binance-portfolio",)), False, False),
    ("binance-usdm", Sight(sees=("binance-portfolio",)), True, None),
    ("binance-usdm", Sight(sees=("binance-usdm",), kind="PM_1"), True, True),
    ("binance-portfolio", Sight(sees=(), kind="PM_1"), False, False),
    ("binance-portfolio", Sight(sees=("binance-portfolio",), kind="PM_2"), True, True),
    ("binance-spot", Sight(sees=("binance-spot",)), True, None),
])  # fmt: skip
def test_portfolio_margin_is_found(venue, sight, good, found):
    """A Portfolio Margin account taken for a plain one is a bad line that names the right venue."""
    told = check._kind("main", venue, sight, good)
    if found is None:
        assert told == []
        return
    (line,) = told
    assert isinstance(line, CheckLine)
    assert line.ok is found
    if not found:
        assert "use VENUE=" in line.detail


async def test_a_database_that_could_not_be_made_is_bad(tmp_path):
    """An empty place is good only where the first run can make the database."""
    loaded = config.load({"ACCOUNTD_DATABASE_URL": f"sqlite:///{tmp_path}/none/x.db"}, need_accounts=False)
    [line] = await check.check(loaded)
    assert (line.ok, "No such file or directory" in line.detail) == (False, True)
