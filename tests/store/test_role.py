"""What the bot's role in PostgreSQL, made by the script in the docs, cannot do, whoever holds its password."""

from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RestrictViolation
from sqlalchemy import make_url

from bot.domain.errors import DatabaseReadOnly
from bot.store.database import open_database
from bot.store.migrations import migrate
from tests.postgres import binaries
from tests.roles import BOT, OWNER, owned, restricted


def _appended(seq: str, *, action: str = "rotation.denied", prev_hash: str = "hash") -> str:
    return (
        "INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, detail, prev_hash, hash) "  # noqa: S608 - the attacker's
        f"SELECT {seq}, now(), '{action}', 'T012AB3CD', 'U0MALL003', 'acme', '{{}}', {prev_hash}, repeat('2', 64) "
        "FROM audit_events ORDER BY seq DESC LIMIT 1"
    )


def _requested(state: str, *, lease_until: str = "NULL") -> str:
    return (
        'INSERT INTO rotations (id, organization, "group", team_id, user_id, channel_id, reason, state, '  # noqa: S608 - the same
        "requested_at, expires_at, lease_until, detail) VALUES ('forged', 'acme', 'payments', 'T012AB3CD', "
        f"'U0MALL003', 'C0OPS', '', '{state}', now(), now(), {lease_until}, '{{}}')"
    )


FORBIDDEN = (
    "UPDATE audit_events SET user_id = 'U0NOBODY'",
    "UPDATE audit_events SET seq = seq",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (seq) DO UPDATE SET user_id = 'U0NOBODY'",
    "MERGE INTO audit_events AS old USING audit_events AS new ON old.seq = new.seq WHEN MATCHED THEN DELETE",
    "SELECT * FROM audit_events FOR UPDATE",
    "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "ALTER TABLE audit_events ALTER COLUMN detail SET DEFAULT '{}'",
    "ALTER TABLE audit_events RENAME TO elsewhere",
    "ALTER TABLE audit_events OWNER TO CURRENT_USER",
    "DROP TRIGGER audit_events_no_delete ON audit_events",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION turso_rotate_refuse()",
    "CREATE RULE mine AS ON INSERT TO audit_events DO INSTEAD NOTHING",
    "DROP TABLE audit_events CASCADE",
    "DROP INDEX ix_audit_events_all",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION turso_rotate_refuse() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "ALTER FUNCTION turso_rotate_take_turn() SET search_path = pg_temp",
    "DROP FUNCTION turso_rotate_take_turn()",
    (
        "INSERT INTO allowlist "
        "(id, team_id, user_id, pattern, note, granted_at, granted_by_team, granted_by_user, role) "
        "VALUES (99, 'T012AB3CD', 'U0MALL003', '*', '', now(), 'cli', 'root', 'rotate')"
    ),
    "UPDATE allowlist SET revoked_at = NULL, revoked_by_team = NULL, revoked_by_user = NULL",
    "UPDATE allowlist SET until = NULL, role = 'rotate'",
    "DELETE FROM allowlist",
    "TRUNCATE allowlist",
    "SELECT nextval('allowlist_id_seq')",
    "UPDATE rotations SET reason = 'nothing'",
    "UPDATE rotations SET user_id = 'U0NOBODY'",
    "DELETE FROM rotations",
    "TRUNCATE rotations CASCADE",
    "UPDATE outbox SET rotation_id = 'another'",
    "TRUNCATE outbox",
    "SELECT setval('outbox_id_seq', 1)",
    "UPDATE alembic_version SET version_num = '0001'",
    "CREATE TABLE mine (id integer)",
    "CREATE TEMPORARY TABLE pg_class (oid oid, relowner oid)",
    "CREATE TYPE pg_temp.record AS (seq numeric, hash text)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    f"SET ROLE {OWNER}",
    f"GRANT {OWNER} TO {BOT}",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "COPY audit_events TO PROGRAM 'cat'",
)
OUT_OF_TURN = (
    _appended("9223372036854775807"),
    _appended("(SELECT max(seq) + 2 FROM audit_events)"),
    _appended("(SELECT max(seq) + 1 FROM audit_events)", prev_hash="repeat('2', 64)"),
    _requested("rotating", lease_until="'9999-01-01'"),
    _requested("succeeded"),
    "UPDATE rotations SET state = 'rotating', lease_until = '9999-01-01', claim = 'mine'",
    "UPDATE rotations SET state = 'succeeded'",
)
"""What the role has the rights for, and the triggers refuse."""
NOT_ITS_OWN = tuple(
    _appended("(SELECT max(seq) + 1 FROM audit_events)", action=action)
    for action in ("allowlist.granted", "allowlist.revoked", "audit.rekeyed")
)
"""What only the owner does, and so only the owner can record."""
TAKEN = {
    "SELECT ON outbox": "SELECT on outbox",
    "INSERT ON rotations": "INSERT on rotations",
    "UPDATE (claim) ON rotations": "UPDATE on rotations",
    "UPDATE (due_at) ON outbox": "UPDATE on outbox",
    "DELETE ON outbox": "DELETE on outbox",
    "UPDATE (id) ON allowlist": "UPDATE on allowlist",
    "SELECT ON alembic_version": "SELECT on alembic_version",
    "USAGE ON SEQUENCE outbox_id_seq": "USAGE on outbox_id_seq",
    "EXECUTE ON FUNCTION turso_rotate_take_turn()": "EXECUTE on turso_rotate_take_turn()",
}
"""What somebody may take away, and how the bot names it."""
A_GRANT = (
    "INSERT INTO allowlist (team_id, user_id, pattern, note, granted_at, granted_by_team, granted_by_user, role) "
    "VALUES ('T012AB3CD', 'U0ALICE01', 'payments', '', now(), 'cli', 'root', 'rotate')"
)
AN_EVENT = (
    "INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, detail, prev_hash, hash) "
    "VALUES (1, now(), 'rotation.denied', 'T012AB3CD', 'U0MALL003', 'acme', '{}', repeat('0', 64), repeat('1', 64))"
)


@pytest.fixture
def owner_url(empty_postgres_url: str) -> str:
    url = owned(empty_postgres_url)
    migrate(make_url(url).set(drivername="postgresql+psycopg"))
    return url


@pytest.fixture
def psql(request: pytest.FixtureRequest) -> Path:
    return binaries(request.config.getoption("--postgres")) / "psql"


@pytest.mark.law(6)
@pytest.mark.fault("F52")
def test_the_bots_role_can_change_no_history_and_allow_nobody(owner_url: str, psql: Path) -> None:
    with psycopg.connect(owner_url) as owner:
        owner.execute(A_GRANT)
        owner.execute(AN_EVENT)
    bot_url = restricted(owner_url, psql)
    with psycopg.connect(bot_url) as bot:
        bot.execute(_requested("requested"))

    assert [statement for statement in FORBIDDEN if not refused(bot_url, statement)] == []
    assert [statement for statement in NOT_ITS_OWN if not refused(bot_url, statement)] == []
    assert [statement for statement in OUT_OF_TURN if not refused(bot_url, statement, by=RestrictViolation)] == []
    assert refused(bot_url, "UPDATE allowlist SET id = id", by=RestrictViolation)
    assert refused(bot_url, "UPDATE allowlist SET id = 7", by=RestrictViolation)


async def test_each_right_that_is_gone_is_named(owner_url: str, psql: Path) -> None:
    database = open_database(make_url(restricted(owner_url, psql)).set(drivername="postgresql+psycopg"))
    await database.check_writable()
    said = []
    for right in TAKEN:
        with psycopg.connect(owner_url) as owner:
            owner.execute(f"REVOKE {right} FROM {BOT}")
        with pytest.raises(DatabaseReadOnly) as lacks:
            await database.check_writable()
        said.append(str(lacks.value))
        restricted(owner_url, psql)
    await database.close()

    assert said == [f"The bot's role lacks {right}: run docs/postgresql-role.sql." for right in TAKEN.values()]


@pytest.mark.law(6)
def test_rights_from_before_do_not_stay(owner_url: str, psql: Path) -> None:
    bot_url = restricted(owner_url, psql)
    with psycopg.connect(owner_url) as owner:
        owner.execute(f"GRANT ALL ON audit_events, allowlist TO PUBLIC, {BOT}")
        owner.execute(f"GRANT UPDATE (user_id) ON audit_events TO {BOT}")
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    before = [statement for statement in FORBIDDEN if not refused(bot_url, statement)]
    restricted(owner_url, psql)

    assert len(before) > 5  # or it was not shown that anything was taken away
    assert [statement for statement in FORBIDDEN if not refused(bot_url, statement)] == []


def refused(url: str, statement: str, by: type[psycopg.Error] = InsufficientPrivilege) -> bool:
    """Say whether PostgreSQL refuses a statement, and takes back what it did otherwise."""
    with psycopg.connect(url) as connection:
        try:
            connection.execute(statement)
        except by:
            return True
        except psycopg.Error:
            return False
        finally:
            connection.rollback()
    return False
