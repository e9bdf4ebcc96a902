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
