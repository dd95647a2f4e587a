-- The role that the bot connects as in PostgreSQL. It may add to the audit trail and read it, but it cannot change or
-- remove what is there, and it cannot change the allowlist.
--
--     BOT_PASSWORD=… psql --set=ON_ERROR_STOP=1 --single-transaction --file=docs/postgresql-role.sql DATABASE
--
-- Run it with psql 14 or newer, in the bot's database, as the role that ran `turso-rotate migrate` and so owns the
-- tables, if that role may create roles; otherwise as a superuser. Run it again after each `migrate`: a migration may
-- replace a table, and then only the owner has rights on the new one.
--
-- Without BOT_PASSWORD the role gets no password, or keeps the one it has. `--set=bot=NAME` gives it another name.
-- The bot serves as this role: DATABASE_URL=postgresql://turso_rotate_bot:…@host/DATABASE
-- `migrate`, `allow add` and `allow remove` need the owner; every other command works with this role.

\if :{?bot}
\else
  \set bot turso_rotate_bot
\endif
\getenv password BOT_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', :'bot') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'bot') \gexec
\if :{?password}
  ALTER ROLE :"bot" PASSWORD :'password';
\endif

-- Start from nothing, so that no earlier right remains.
REVOKE ALL ON audit_events, rotations, outbox, allowlist, alembic_version FROM PUBLIC, :"bot";
REVOKE ALL ON SEQUENCE outbox_id_seq, allowlist_id_seq FROM PUBLIC, :"bot";
REVOKE ALL ON FUNCTION turso_rotate_append(), turso_rotate_keep_grant(), turso_rotate_keep_request(), turso_rotate_move(),
  turso_rotate_open(), turso_rotate_refuse(), turso_rotate_take_turn() FROM PUBLIC, :"bot";

-- Behind a pooler, a temporary table that somebody leaves in a session would be read instead of the real one.
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, %I', current_database(), :'bot') \gexec

-- Before PostgreSQL 15, everybody may create objects in this schema.
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :"bot";
GRANT USAGE ON SCHEMA public TO :"bot";

-- The audit trail: append and read. The function numbers the rows, and a trigger refuses those that are out of turn, and
-- those about grants and keys, which only the owner changes.
GRANT SELECT, INSERT ON audit_events TO :"bot";
GRANT EXECUTE ON FUNCTION turso_rotate_take_turn() TO :"bot";

-- Who requested what, and why, never changes. The columns that may change say how it went on; a trigger refuses what is
-- no step forward.
GRANT SELECT, INSERT ON rotations TO :"bot";
GRANT UPDATE (state, started_at, lease_until, ended_at, claim, detail, resolved_as) ON rotations TO :"bot";

-- A notification is deleted once it is delivered.
GRANT SELECT, INSERT, DELETE ON outbox TO :"bot";
GRANT UPDATE (due_at, attempts) ON outbox TO :"bot";
GRANT USAGE ON SEQUENCE outbox_id_seq TO :"bot";

-- A grant is locked while it is used (SELECT … FOR SHARE), which PostgreSQL only allows with the right to update some
-- column. The trigger allowlist_revoked_once refuses every update of this one.
GRANT SELECT ON allowlist TO :"bot";
GRANT UPDATE (id) ON allowlist TO :"bot";

GRANT SELECT ON alembic_version TO :"bot";
