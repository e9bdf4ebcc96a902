"""The commands about the database itself."""


def test_upgrade_then_check(shell, database_url, monkeypatch):
    """An empty database is not up to date, upgrade makes it so, and a second one has nothing to do."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", database_url)
    before = shell("db", "check")
    assert before.exit_code == 1
    assert "accountd db upgrade" in before.stdout
    assert "none ->" in shell("db", "upgrade").stdout
    after = shell("db", "check")
    assert after.exit_code == 0
    assert "up to date" in after.stdout
    assert "nothing to do" in shell("db", "upgrade").stdout


def test_path_hides_the_password(shell, monkeypatch):
    """The address is printed without user and password."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", "postgresql://me:s3cr3t@db.example/accountd")
    result = shell("db", "path")
    assert result.exit_code == 0
    assert "db.example/accountd" in result.stdout
    assert "s3cr3t" not in result.output


def test_unknown_database_is_exit_2(shell, monkeypatch):
    """An address that is no database is a setting that is wrong."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", "mysql://host/db")
    result = shell("db", "upgrade")
    assert result.exit_code == 2
    assert result.stderr.startswith("ACCOUNTD_DATABASE_URL: ")


def test_a_database_that_cannot_be_read_is_named_with_its_setting(shell, monkeypatch, tmp_path):
    """Reading a file that is no database, or a server that is not there, is one line without a secret."""
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    for url, told in (
        (f"sqlite:///{tmp_path}/x.db", f"sqlite:///{tmp_path}/x.db: SQLITE_NOTADB: "),
        ("postgresql://me:s3cr3t@127.0.0.1:1/accountd", "postgresql://***@127.0.0.1:1/accountd: Postgres: "),
    ):
        monkeypatch.setenv("ACCOUNTD_DATABASE_URL", url)
        result = shell("fills")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"ACCOUNTD_DATABASE_URL: {told}")
        assert (result.stderr.count("\n"), "s3cr3t" in result.stderr) == (1, False)
