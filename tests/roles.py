"""PostgreSQL's two roles: the owner, who migrates, and the bot, whom the script in the docs makes."""

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

ROOT = Path(__file__).parents[1]
OWNER, BOT = "turso_rotate_owner", "turso_rotate_bot"
_MAKE_OWNER = f"DO $$BEGIN CREATE ROLE {OWNER} LOGIN CREATEROLE; EXCEPTION WHEN duplicate_object THEN END$$"


def owned(url: str) -> str:
    """Hand a database to an owner who is no superuser; returns the owner's URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_MAKE_OWNER)
        name = sql.Identifier(url.rpartition("/")[2])
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(OWNER)))
    return url.replace("//postgres@", f"//{OWNER}@")


def restricted(owner_url: str, psql: Path) -> str:
    """Run the script as its comments say; returns the bot's URL."""
    script = ["--set=ON_ERROR_STOP=1", "--single-transaction", "--file=docs/postgresql-role.sql"]
    environment = {"PATH": os.defpath, "BOT_PASSWORD": "it's secret"}
    subprocess.run([psql, "--no-psqlrc", *script, owner_url], env=environment, check=True, cwd=ROOT)
    return owner_url.replace(OWNER, BOT)
