"""Settings come from three places, and a bad one is explained in one line that gives no secret away."""

from datetime import timedelta

import pytest

from accountd import config
from accountd.store.engine import parse
from tests.settings import MAIN, NO_SECRET

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_one_account_is_enough(settings):
    """Venue, key and secret make a usable configuration; the rest has the documented defaults."""
    loaded = settings.load()
    account = loaded.accounts["main"]
    assert account.venue == "binance-usdm"
    assert account.api_key.get_secret_value() == "the-api-key"
    assert account.backfill == timedelta(days=30)
    assert account.environment == "live"
    assert loaded.database_url == "sqlite:///accountd.db"
    assert loaded.web.listen == ("127.0.0.1", 8787)
    assert loaded.keepalive_interval == timedelta(minutes=30)
    assert loaded.connect_budget == (150, timedelta(minutes=5))
    assert loaded.weight_share == 0.5


def test_environment_wins_over_dotenv_over_toml_over_defaults(settings, tmp_path):
    """Each source yields to the one above it, setting by setting."""
    (tmp_path / "accountd.toml").write_text(
        'sweep_interval = "1m"\nsettle_after = "1s"\nstale_after = "1s"\n'
    )
    (tmp_path / ".env").write_text("ACCOUNTD_SWEEP_INTERVAL=2m\nACCOUNTD_SETTLE_AFTER=2s\nPATH=elsewhere\n")
    loaded = settings.load({"SWEEP_INTERVAL": "3m"})
    assert loaded.sweep_interval == timedelta(minutes=3)
    assert loaded.settle_after == timedelta(seconds=2)
    assert loaded.stale_after == timedelta(seconds=1)
    assert loaded.rotate_after == timedelta(hours=23)


def test_sources_meet_inside_one_account(settings, tmp_path):
    """An account may have its venue in TOML and its secret in the environment."""
    (tmp_path / "accountd.toml").write_text(
        '[accounts.Main]\nvenue = "binance-usdm"\nsymbols = ["btcusdt"]\n'
        '[hooks.ops]\ntype = "log"\non = ["*"]\n'
    )
    loaded = settings.load({"ACCOUNTS__MAIN__API_KEY": "k", "accounts__main__api_secret": "s"}, account={})
    assert loaded.accounts["main"].symbols == ("BTCUSDT",)
    assert loaded.hooks["ops"].on == ("*",)


def test_config_names_the_toml_file(settings, tmp_path):
    """ACCOUNTD_CONFIG says where the TOML file is, in the environment or in .env."""
    (tmp_path / "mine.toml").write_text('rotate_after = "5h"\n')
    assert settings.load({"CONFIG": "mine.toml"}).rotate_after == timedelta(hours=5)
    (tmp_path / ".env").write_text("ACCOUNTD_CONFIG=mine.toml\n")
    assert settings.load().rotate_after == timedelta(hours=5)
    assert "ACCOUNTD_CONFIG: " in settings.refused({"CONFIG": "other.toml"})[0]


def test_broken_toml_is_named(settings, tmp_path):
    """A TOML file that cannot be parsed is named together with the place."""
    (tmp_path / "accountd.toml").write_text("sweep_interval = \n")
    assert settings.refused()[0].startswith("accountd.toml: not valid TOML: ")


def test_dollar_signs_stay_in_dotenv(settings, tmp_path):
    """A secret in .env is taken as it is written."""
    (tmp_path / ".env").write_text("ACCOUNTD_ACCOUNTS__MAIN__API_SECRET=a$b${HOME}\n")
    loaded = settings.load(account=NO_SECRET)
    assert loaded.accounts["main"].api_secret.get_secret_value() == "a$b${HOME}"


def test_empty_means_default(settings):
    """A value left empty counts as not set, except that it turns the web off."""
    loaded = settings.load({"ACCOUNTS__MAIN__REST_URL": "", "SWEEP_INTERVAL": "", "WEB__LISTEN": ""})
    assert loaded.accounts["main"].rest_url is None
    assert loaded.sweep_interval == timedelta(minutes=5)
    assert loaded.web.listen is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("0.5s", 0.5), ("30m", 1800), ("23h", 82800), ("30d", 2592000)]
)
def test_durations_have_units(settings, text, seconds):
    """Durations are read in every documented unit."""
    assert settings.load({"ROTATE_AFTER": text}).rotate_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["30", "0s", "-5s", "1h30m", "5 min", "1e3s", "٣s", "nan", "999999999999d", "1w"]
)
def test_other_durations_are_refused(settings, text):
    """What is no duration is refused with the value and what is allowed."""
    (line,) = settings.refused({"SETTLE_AFTER": text})
    assert line.startswith(f"ACCOUNTD_SETTLE_AFTER: {text!r} is not allowed: ")
    assert "500ms" in line


def test_bare_number_in_toml_is_refused(settings, tmp_path):
    """A number without a unit is refused in TOML as well."""
    (tmp_path / "accountd.toml").write_text("sweep_interval = 5\n")
    assert settings.refused()[0].startswith("ACCOUNTD_SWEEP_INTERVAL: '5' is not allowed: a duration")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("KEEPALIVE_INTERVAL", "55m", "at most 50m"),
        ("WEIGHT_SHARE", "0", "above 0 and at most 1"),
        ("WEIGHT_SHARE", "1.01", "above 0 and at most 1"),
        ("WEIGHT_SHARE", "nan", "above 0 and at most 1"),
        ("CONNECT_BUDGET", "150", "150/5m"),
        ("CONNECT_BUDGET", "0/5m", "150/5m"),
        ("RING_SIZE", "ten", "whole number"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "one of auto, json, console"),
        ("DATABASE_URL", "mysql://db/accountd", "sqlite:///path or postgresql://"),
        ("DATABASE_URL", "sqlite://", "sqlite:///path or postgresql://"),
        ("DATABASE_URL", "postgresql://", "sqlite:///path or postgresql://"),
        ("DATABASE_URL", "postgresql://db:port/accountd", "sqlite:///path or postgresql://"),
        ("DATABASE_URL", "postgresql://[::1/accountd", "sqlite:///path or postgresql://"),
        ("WEB__LISTEN", "8787", "host:port"),
        ("WEB__LISTEN", "127.0.0.1:99999", "host:port"),
        ("ACCOUNTS__MAIN__VENUE", "nasdaq", "one of binance-spot, binance-usdm, "),
        ("ACCOUNTS__MAIN__ENVIRONMENT", "paper", "one of live, testnet, demo"),
        ("ACCOUNTS__MAIN__BACKFILL", "all", '"max"'),
        ("ACCOUNTS__MAIN__SYMBOLS", "BTCUSDT", "a JSON list"),
        ("ACCOUNTS__MAIN__SYMBOLS", '["BTC USDT"]', "a list of symbols such as"),
        ("ACCOUNTS__MAIN__STREAM_FORM", "new", "one of query, path, combined"),
        ("ACCOUNTS__MAIN__STREAM_URL", "https://a.example", "wss://host[:port] or ws://host[:port]"),
        ("HOOKS__OPS__TYPE", "pigeon", "one of log, webhook, command, apprise, nats"),
        ("HOOKS__OPS__WHEN", "price >", "character 8"),
        ("HOOKS__OPS__WHEN", "symbl == 'A'", "'symbl' at character 1 is no field; did you mean symbol?"),
        ("HOOKS__OPS__WHEN", "late or symbol + 1 == 2", "near character 18"),
        ("HOOKS__OPS__QUIET", "22:00", "hours such as 22:00-07:00"),
        ("HOOKS__OPS__QUIET", "25:00-07:00", "hours such as 22:00-07:00"),
        ("HOOKS__OPS__QUIET_ZONE", "Mars/Olympus", "a time zone such as UTC"),
        ("HOOKS__OPS__RATE", "30", "a count and a duration such as 30/1m"),
        ("HOOKS__OPS__SIDES", '["LONG"]', 'a list of "BUY" and "SELL"'),
        ("HOOKS__OPS__MIN_NOTIONAL", "1e3", "an amount such as 1000"),
        ("HOOKS__OPS__SUBJECT", "a.*", "words with dots between them"),
        ("DISK_LOW", "5%", "a size such as 500MB"),
        ("HOOKS__OPS__ON", '["fills"]', "fills is no alert; the list may hold fill, "),
        ("HOOKS__OPS__ACCOUNTS", '["other"]', "other is no account; accounts: main"),
        ("HOOKS__OPS__MARKETS", '["futures"]', "futures is no market; the list may hold spot, "),
        ("HOOKS__OPS__CREDENTIALS_FILE", "none.creds", "a file that exists"),
        ("HOOKS__OPS__RETRY", '["5"]', "a list of durations"),
        ("HOOKS__OPS__ALLOW_PRIVATE", "maybe", "true or false"),
        ("HOOKS__OPS__BACKFILL", "ring", "one of skip, send"),
    ],
)
def test_bad_value_is_one_line(settings, name, value, allowed):
    """A bad value is one line: the setting, the value, what is allowed."""
    hook = {"HOOKS__OPS__TYPE": "log"} if name.startswith("HOOKS") else {}
    (line,) = settings.refused(hook | {name: value})
    assert line.startswith(f"ACCOUNTD_{name}: {value!r} is not allowed: ")
    assert allowed in line
    assert "\n" not in line


def test_every_bad_value_is_listed(settings):
    """One run tells all that is wrong."""
    lines = settings.refused(
        {"SWEEP_INTERVAL": "5", "ACCOUNTS__MAIN__ENVIRONMENT": "x", "WEB__LISTEN": "0.0.0.0:80"}
    )
    assert [line.partition(":")[0] for line in lines] == [
        "ACCOUNTD_ACCOUNTS__MAIN__ENVIRONMENT",
        "ACCOUNTD_WEB__TOKEN",
        "ACCOUNTD_SWEEP_INTERVAL",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SWEEP_INTERVALL", "ACCOUNTD_SWEEP_INTERVAL"),
        ("ACCOUNTS__MAIN__API_SECRT", "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET"),
        ("HOOKS__OPS__URI", "ACCOUNTD_HOOKS__OPS__URL"),
        ("WEB__TOKENS", "ACCOUNTD_WEB__TOKEN"),
        ("ACCOUNT__MAIN__VENUE", "ACCOUNTD_ACCOUNTS"),
    ],
)
def test_unknown_setting_is_named_with_its_neighbour(settings, name, meant):
    """A key that is no setting is named, the likely one offered, and its value kept out."""
    hook = {"HOOKS__OPS__TYPE": "log"} if name.startswith("HOOKS") else {}
    (line,) = settings.refused(hook | {name: "perhaps-a-secret"})
    assert f"not a setting; did you mean {meant}?" in line
    assert "perhaps" not in line


def test_unknown_toml_key_is_named(settings, tmp_path):
    """A key in TOML that is no setting is named too."""
    (tmp_path / "accountd.toml").write_text("[web]\nport = 80\n")
    assert settings.refused() == ["ACCOUNTD_WEB__PORT: not a setting"]


@pytest.mark.parametrize("name", ["ACCOUNTS__MAIN", "ACCOUNTS", "HOOKS", "WEB"])
def test_group_is_no_setting(settings, name):
    """A value where a group of settings belongs is refused."""
    account = {} if name.startswith("ACCOUNTS") else MAIN
    assert "not a setting by itself" in settings.refused({name: "x"}, account=account)[0]


def test_group_and_its_member_cannot_both_be_values(settings):
    """A group that is given as a value and as a group is refused."""
    lines = settings.refused({"ACCOUNTS__MAIN": "x"})
    assert lines[0].endswith("API_KEY: not allowed beside a value of ACCOUNTD_ACCOUNTS__MAIN itself")


@pytest.mark.parametrize("name", ["ACCOUNTS__A.B__VENUE", "ACCOUNTS____VENUE"])
def test_names_are_plain(settings, name):
    """A name that could not be written everywhere is refused."""
    assert any("a name has only a-z 0-9 _ and -" in line for line in settings.refused({name: "binance-usdm"}))


SECRET_PLACES = [
    {"ACCOUNTS__MAIN__API_SECRET": "hush hush"},
    {"ACCOUNTS__MAIN__API_KEY": "hush\nhush"},
    {"WEB__TOKEN": "hush hush"},
    {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": "https://a.example", "HOOKS__OPS__SECRET": "hush"},
    {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": "https://a.example", "HOOKS__OPS__SECRET": '["hush'},
    {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": "http://a.example/services/hush?key=hush"},
    {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": "http://hush:hush@a.example"},
    {"HOOKS__OPS__TYPE": "log", "HOOKS__OPS__SECRET_NEXT": "hush"},
    {"HOOKS__OPS__TYPE": "command", "HOOKS__OPS__COMMAND": "notify 'hush"},
    {"HOOKS__OPS__TYPE": "nats", "HOOKS__OPS__URL": "nats://hush:hush@[::1"},
    {"HOOKS__OPS__TYPE": "nats", "HOOKS__OPS__URL": "nats://hush:hush@a.example:99999"},
    {"JOURNAL__ANCHOR_URL": "https://[::1/hush"},
    {"JOURNAL__ANCHOR_URL": "https://a.example", "JOURNAL__ANCHOR_SECRET": "hush"},
    {"DATABASE_URL": "mysql://hush:hu/s@hush@db/accountd?password=hush"},
    {"DATABASE_URL": "postgresql://u:p@hush:hush@db/accountd"},
    {"ACCOUNTS__MAIN__API_KEY": "hush-\N{LATIN SMALL LETTER U WITH DIAERESIS}"},
    {"ACCOUNTS__MAIN__REST_URL": "https://hush:hush@a.example"},
]


@pytest.mark.parametrize("written", SECRET_PLACES)
def test_secret_is_not_echoed(settings, written):
    """An error about a secret does not show it."""
    lines = settings.refused(written)
    assert lines
    assert "hush" not in "\n".join(lines)


def test_every_secret_is_known_by_its_name():
    """A setting that holds a secret has a name by which errors keep its value to themselves."""
    models = [config.Settings, *config.SECTIONS.values()]
    fields = [(name, str(field)) for model in models for name, field in model.model_fields.items()]
    secret = [name for name, told in fields if "SecretStr" in told]
    assert len(secret) >= 7
    assert [name for name in secret if not config.SECRET.search(name)] == []


def test_a_group_that_cannot_be_read_is_not_shown(settings, monkeypatch):
    """Whatever a check of a whole group stumbles over, its secrets stay out of the line."""

    def broken(self):
        raise ValueError("cannot be read")

    monkeypatch.setattr(config.Account, "problems", broken)
    assert settings.refused() == ["ACCOUNTD_ACCOUNTS__MAIN: cannot be read"]


@pytest.mark.parametrize(
    "url",
    ["postgresql:///accountd?host=/run/postgresql", "postgresql://u:p/w#d@[::1]:5432/d", "postgresql://u@s:p@db",
     "postgresql://u:p%40w@db/accountd?sslmode=require", "postgresql://db"],
)  # fmt: skip
def test_addresses_of_postgres(settings, url):
    """A socket, IPv6, passwords with other signs, and options are addresses of Postgres."""
    assert settings.load({"DATABASE_URL": url}).database_url == url
    assert parse(url).get_backend_name() == "postgresql"


def test_repr_hides_secrets(settings):
    """Printing the settings shows no secret."""
    loaded = settings.load(
        {
            "DATABASE_URL": "postgresql://user:hush@db/accountd",
            "WEB__TOKEN": "hush",
            "HOOKS__OPS__TYPE": "webhook",
            "HOOKS__OPS__URL": "https://a.example/hush",
            "HOOKS__OPS__SECRET": SIGNING,
        }
    )
    shown = repr(loaded) + str(loaded)
    assert not any(secret in shown for secret in ("hush", "the-api", SIGNING))
    assert loaded.database_shown == "postgresql://***@db/accountd"


def test_postgres_is_spelt_out(settings):
    """The short scheme that hosters print is accepted."""
    assert settings.load({"DATABASE_URL": "postgres://u@h/d"}).database_url == "postgresql://u@h/d"


@pytest.mark.parametrize(
    "url", ["https://a.example/path", "https://a.example?x=1", "ftp://a.example", "a.example"]
)
def test_base_url_has_no_path(settings, url):
    """An address of a venue is scheme, host and port; the venue file adds the paths."""
    (line,) = settings.refused({"ACCOUNTS__MAIN__REST_URL": url})
    assert "https://host[:port] or http://host[:port], without a path" in line


def test_base_urls_are_taken(settings):
    """Addresses may be plain or encrypted, with a port, and lose a closing slash."""
    written = {
        "REST_URL": "http://127.0.0.1:80/",
        "STREAM_URL": "ws://localhost:81",
        "WS_API_URL": "wss://a.example",
    }
    account = settings.load({f"ACCOUNTS__MAIN__{name}": url for name, url in written.items()}).accounts[
        "main"
    ]
    assert account.rest_url == "http://127.0.0.1:80"
    assert account.stream_url == "ws://localhost:81"
    assert account.ws_api_url == "wss://a.example"


@pytest.mark.parametrize(
    "url", ["http://a.example/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/"]
)
def test_private_target_needs_permission(settings, url):
    """A webhook goes to a public https address unless ALLOW_PRIVATE says otherwise."""
    written = {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": url}
    assert "ALLOW_PRIVATE=true" in settings.refused(written)[0]
    assert settings.load(written | {"HOOKS__OPS__ALLOW_PRIVATE": "true"}).hooks["ops"].url == url


def test_hook_needs_what_its_sink_needs(settings):
    """A webhook without an address and a command hook without a command are refused."""
    assert "ACCOUNTD_HOOKS__OPS__URL: required" in settings.refused({"HOOKS__OPS__TYPE": "webhook"})[0]
    assert "ACCOUNTD_HOOKS__OPS__COMMAND: required" in settings.refused({"HOOKS__OPS__TYPE": "command"})[0]
    assert settings.refused({"HOOKS__OPS__URL": "https://a.example"}) == [
        "ACCOUNTD_HOOKS__OPS__TYPE: required: one of log, webhook, command, apprise, nats"
    ]


def test_command_is_split_without_a_shell(settings):
    """A command may be written as text or as a JSON list."""
    for text in ("notify --to 'the desk'", '["notify", "--to", "the desk"]'):
        loaded = settings.load({"HOOKS__OPS__TYPE": "command", "HOOKS__OPS__COMMAND": text})
        assert loaded.hooks["ops"].command == ("notify", "--to", "the desk")


def test_signing_secret_can_be_rotated(settings):
    """Two signing secrets may be given while one replaces the other."""
    hook = {"HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__URL": "https://a.example"}
    loaded = settings.load(hook | {"HOOKS__OPS__SECRET": f"{SIGNING} {SIGNING}"})
    assert [secret.get_secret_value() for secret in loaded.hooks["ops"].secret] == [SIGNING, SIGNING]


def test_open_listener_needs_a_token(settings):
    """The web is not opened to other machines without a token."""
    (line,) = settings.refused({"WEB__LISTEN": "0.0.0.0:8787"})
    assert line.startswith("ACCOUNTD_WEB__TOKEN: required")
    assert settings.load({"WEB__LISTEN": "0.0.0.0:8787", "WEB__TOKEN": "t"}).web.listen == ("0.0.0.0", 8787)
    assert settings.load({"WEB__LISTEN": "[::1]:0"}).web.listen == ("::1", 0)


def test_backfill_may_be_everything(settings):
    """BACKFILL=max asks for all that the venue keeps."""
    assert settings.load({"ACCOUNTS__MAIN__BACKFILL": "max"}).accounts["main"].backfill is None


def test_no_account_is_refused_where_one_is_needed(settings):
    """Following accounts takes an account; reading the record does not."""
    assert "no account is configured" in settings.refused(account={})[0]
    assert settings.load(account={}, need_accounts=False).accounts == {}


@pytest.mark.parametrize(
    "broken",
    [{"ACCOUNTS__MAIN__VENUE": "x"}, {"ACCOUNTS__MAIN": "x"}, {"HOOKS__OPS__TYPE": "nats"}, {"HOOKS": "x"}],
)
def test_reading_the_record_does_not_mind_accounts(settings, broken):
    """A broken account or hook does not keep anybody from the record."""
    assert settings.load({"DATABASE_URL": "sqlite:///x.db"} | broken, need_accounts=False).accounts == {}


def test_reading_the_record_minds_the_rest(settings):
    """A bad address of the database is refused also where accounts are not needed."""
    assert len(settings.refused({"DATABASE_URL": "x", "HOOKS": "x"}, need_accounts=False)) == 1


def test_settings_do_not_change(settings):
    """Settings are frozen."""
    loaded = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        loaded.ring_size = 1


def test_logon_needs_its_kind_of_key(settings):
    """A session can be logged on with Ed25519 alone, so an HMAC key with LOGON is refused at once."""
    (line,) = settings.refused({"ACCOUNTS__MAIN__LOGON": "true"})
    assert "ACCOUNTD_ACCOUNTS__MAIN__LOGON" in line
    assert "Ed25519" in line
