-- The role that the bot connects as in PostgreSQL. It adds to the audit trail and reads it, and can neither change nor
-- remove what is there, nor allow anybody anything.
--
--     BOT_PASSWORD=… psql --set=ON_ERROR_STOP=1 --single-transaction --file=docs/postgresql-role.sql DATABASE
--
-- Run it with psql 14 or newer, in the bot's database, as the role that ran `turso-rotate migrate` and so owns the
-- tables, if that one may make roles; else as a superuser. Run it again after each `migrate`: a migration may make a
-- table anew, and then nobody has rights on it but its owner.
--
-- Without BOT_PASSWORD the role has no password, or keeps the one it has. `--set=bot=NAME` gives it another name.
-- The bot serves as this role: DATABASE_URL=postgresql://turso_rotate_bot:…@host/DATABASE
-- `migrate`, `allow add` and `allow remove` are for the owner; every other command does with this role.

\if :{?bot}
\else
  \set bot turso_rotate_bot
\endif
\getenv password BOT_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', :'bot') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'bot') \gexec
\if :{?password}
  ALTER ROLE :"bot" PASSWORD :'password';
\endif

-- Begin with nothing, so that no right stays from before.
REVOKE ALL ON audit_events, rotations, outbox, allowlist, alembic_version FROM PUBLIC, :"bot";
REVOKE ALL ON SEQUENCE outbox_id_seq, allowlist_id_seq FROM PUBLIC, :"bot";
REVOKE ALL ON FUNCTION turso_rotate_refuse(), turso_rotate_take_turn() FROM PUBLIC, :"bot";

-- Before PostgreSQL 15 everybody may make things in this schema.
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :"bot";
GRANT USAGE ON SCHEMA public TO :"bot";

-- The audit trail is appended to, each row in its turn.
GRANT SELECT, INSERT ON audit_events TO :"bot";
GRANT EXECUTE ON FUNCTION turso_rotate_take_turn() TO :"bot";

-- Who asked for what, and why, stays as it was asked: the columns that may change say what became of it.
GRANT SELECT, INSERT ON rotations TO :"bot";
GRANT UPDATE (state, started_at, lease_until, ended_at, claim, detail, resolved_as) ON rotations TO :"bot";

-- What people are still to be told is deleted when they were told.
GRANT SELECT, INSERT, DELETE ON outbox TO :"bot";
GRANT UPDATE (due_at, attempts) ON outbox TO :"bot";
GRANT USAGE ON SEQUENCE outbox_id_seq TO :"bot";

-- A grant is locked while it is used (SELECT … FOR SHARE), for which PostgreSQL asks for a right to update some column.
-- The trigger allowlist_revoked_once refuses every update of this one.
GRANT SELECT ON allowlist TO :"bot";
GRANT UPDATE (id) ON allowlist TO :"bot";

GRANT SELECT ON alembic_version TO :"bot";
