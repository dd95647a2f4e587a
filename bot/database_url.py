"""Read a database URL, and refuse what would otherwise be dropped or fail only at the first connection."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import zip_longest
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SECRET_PARAMETERS = ("sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")

# SQLite gets the driver without asyncio: in one writer thread it is four times faster than aiosqlite.
_DRIVERS = dict.fromkeys(("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"), "sqlite") | dict.fromkeys(
    ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg_async"), "postgresql+psycopg"
)
_WHAT_IT_IS = (
    "must be a database URL such as sqlite:///file.db or postgresql://user:password@host/database?name=value, "
    "with / ? @ : in a password percent-encoded"
)
_HOSTS = re.compile(r"(?P<before>[\w+]+://(?:[^:/]*(?::[^@]*)?@)?)(?P<hosts>[^/?]*,[^/?]*)(?P<after>.*)", re.DOTALL)
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]*))(?::(\d*))?")
"""A host with or without a port; an IPv6 address in brackets."""
_WHOLE_NUMBERS = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
_OUR_OWN = {
    "client_encoding": "the bot always uses UTF-8",
    "replication": "the bot does not replicate",
    "service": "name the host and the database in the URL itself",
    "servicefile": "name the host and the database in the URL itself",
}
_SETTING = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.\-]*)=((?:\\.|[^\s\\])*)(?:\s+|$)", re.DOTALL)
_SQLITE_MODES = frozenset({"ro", "rw", "rwc"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/))?(?P<path>[^?#]*)", re.DOTALL)


def parse_database_url(value: URL | str) -> URL:
    """Return the URL with the driver that the bot uses, and with several hosts as `?host=a,b&port=1,2`.

    Raises `ValueError`, never with anything that was typed but names of parameters.
    """
    try:
        url = make_url(value) if isinstance(value, URL) else _with_hosts(value)
    except (ArgumentError, ValueError):
        raise ValueError(_WHAT_IT_IS) from None
    driver = _DRIVERS.get(url.drivername.lower())
    if driver is None:
        raise ValueError("must begin with sqlite:///, postgres:// or postgresql://")
    url = url.set(drivername=driver)
    if _CONTROL.search(unquote(url.database or "")):
        raise ValueError("has a line break, or another control character, in the name of the database")
    if url.get_backend_name() == "sqlite":
        _check_file(url)
        return url
    url = _with_default_host(_moved(url))
    _check_parameters(url)
    return url


def database_file(url: URL) -> str:
    """Return the path of the file that SQLite opens for a URL."""
    name = url.database or ""
    found = _FILE_URI.match(name) if "uri" in url.query else None
    return unquote(found["path"], errors="surrogateescape") if found else name


def database_hosts(url: URL) -> tuple[str, ...]:
    """Return every host at which the database may be; none for a file and for a socket on this machine."""
    named = [url.host or "", *(_joined(url, name) for name in ("host", "hostaddr"))]
    hosts = (host for names in named for host in names.split(","))
    return tuple(dict.fromkeys(host for host in hosts if host and not host.startswith(("/", "@"))))


def session_settings(url: URL) -> Mapping[str, str]:
    """Return what `options` sets in each session. Raises `ValueError` if it does anything else."""
    options, settings = _joined(url, "options", " ").strip(), {}
    while options:
        found = _SETTING.match(options)
        if found is None:
            raise ValueError("options can only contain settings, as in options=-c%20search_path=bot")
        settings[found[1].replace("-", "_").lower()] = re.sub(r"\\(.)", r"\1", found[2])
        options = options[found.end() :]
    return settings


def prepare_threshold(url: URL) -> int | None:
    """Return after how many uses psycopg prepares a statement, `None` if it never does. Raises `ValueError`."""
    given = _joined(url, "prepare_threshold") or "5"
    if not given.isdecimal() and given.lower() != "none":
        raise ValueError("prepare_threshold must be a number, or none")
    return int(given) if given.isdecimal() else None


def _with_hosts(text: str) -> URL:
    """Parse a URL; SQLAlchemy cannot read several hosts with their ports before the database."""
    query = text.partition("?")[2]
    if "@" in query or (query and not all(re.fullmatch("[^=]+=.+", field) for field in query.split("&"))):
        raise ValueError  # the end of a password, or a parameter without a value, which would be dropped
    several = _HOSTS.match(text)
    if several is None:
        return make_url(text)
    return make_url(several["before"] + several["after"]).update_query_dict({"host": several["hosts"]})


def _moved(url: URL) -> URL:
    """Move to its usual place what libpq accepts in the query too: SQLAlchemy hides a password only before the host."""
    for name, part in (("password", "password"), ("user", "username"), ("dbname", "database")):
        if given := url.query.get(name):
            last = given if isinstance(given, str) else given[-1]
            url = url.difference_update_query([name]).set(**{part: last})  # type: ignore[arg-type]
    if url.host and "%" in url.host:  # a socket's folder, as libpq writes it
        query = {**url.query, "host": unquote(url.host)}
        url = URL.create(url.drivername, url.username, url.password, None, url.port, url.database, query)
    found = [_HOST.fullmatch(host) for host in _joined(url, "host").split(",")]
    ports = [each[3] or "" for each in found if each]
    if not any(ports):
        return url
    if "port" in url.query or None in found:
        raise ValueError("name the hosts as in postgresql://a:5432,b:5432/database, or as in ?host=a,b&port=5432,5432")
    hosts = ",".join(each[1] or each[2] for each in found if each)
    return url.update_query_dict({"host": hosts, "port": ",".join(ports)})


def _with_default_host(url: URL) -> URL:
    """Name the host that libpq would take from `PGHOST`: others must know it."""
    if url.host or {"host", "hostaddr"} & set(url.query):
        return url
    from psycopg import pq  # noqa: PLC0415 - takes 50 ms to import, which SQLite never needs

    host = next((each.val for each in pq.Conninfo.get_defaults() if each.keyword == b"host"), None)
    return url.update_query_dict({"host": host.decode()}) if host else url


def _check_file(url: URL) -> None:
    if url.host or url.username or url.password:
        raise ValueError("must be sqlite:///file.db, or sqlite:////path/to/file.db with an absolute path")
    name = url.database or ":memory:"
    if ":memory:" in name or "mode=memory" in name or url.query.get("mode") == "memory":
        raise ValueError("must name a file, such as sqlite:///bot.db: a database in memory would lose the audit trail")
    is_uri = name.startswith("file:") and url.query.get("uri") == "true"
    if is_uri and database_file(url).startswith("//"):
        raise ValueError("must name a file of this machine, such as sqlite:///file:bot.db?mode=ro&uri=true")
    for parameter, given in url.query.items():
        if not is_uri or parameter not in {"uri", "mode"} or (parameter == "mode" and given not in _SQLITE_MODES):
            raise ValueError(
                f"SQLite takes no parameter {parameter}, or not like this; "
                "only sqlite:///file:bot.db?mode=ro&uri=true, with mode ro, rw or rwc"
            )


def _check_parameters(url: URL) -> None:
    """Refuse what libpq or psycopg would refuse at the first connection."""
    session_settings(url)
    prepare_threshold(url)
    for name in url.query:
        _check_name(name, url)
    hosts, ports = (_joined(url, name).split(",") for name in ("host", "port"))
    if len(ports) not in {1, len(hosts)} or not all(port.isdecimal() or not port for port in ports):
        raise ValueError("the parameter port must be one number, or as many as there are hosts")


def _check_name(name: str, url: URL) -> None:
    from psycopg import pq  # noqa: PLC0415 - as above

    if name in _OUR_OWN:
        raise ValueError(f"the parameter {name} cannot be set: {_OUR_OWN[name]}")
    if name in {"options", "prepare_threshold", "host", "port"}:
        return
    if name not in {known.keyword.decode() for known in pq.Conninfo.get_defaults()}:
        raise ValueError(f"PostgreSQL knows no parameter {name}")
    value = url.query[name]
    if not isinstance(value, str):
        raise ValueError(f"the parameter {name} is given twice")  # noqa: TRY004 - settings raise nothing else
    if not _is_accepted(name, value):
        raise ValueError(f"the parameter {name} has a value that PostgreSQL does not accept")


def _is_accepted(name: str, value: str) -> bool:
    """Ask libpq, which checks most values before it connects: here to a socket that is not there."""
    from psycopg import conninfo, pq  # noqa: PLC0415 - as above

    if name in _WHOLE_NUMBERS:
        return value.isdecimal()
    if name == "hostaddr":  # libpq would connect there
        return all(map(_is_address, value.split(",")))
    attempt = pq.PGconn.connect_start(conninfo.make_conninfo(**{"host": "/nonexistent", name: value}).encode())
    try:
        return not attempt.error_message.startswith(b"invalid")
    finally:
        attempt.finish()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _joined(url: URL, name: str, by: str = ",") -> str:
    given = url.query.get(name, "")
    return given if isinstance(given, str) else by.join(given)


def connection_parameters(url: URL) -> Iterator[tuple[str, str]]:
    """Yield what libpq is given of the query, each parameter once."""
    hosts, ports = _joined(url, "host").split(","), _joined(url, "port").split(",")
    yield from (
        (name, _joined(url, name)) for name in url.query if name not in {"options", "prepare_threshold", "port"}
    )
    if any(ports):
        yield "port", ",".join(port for _, port in zip_longest(hosts, ports, fillvalue=ports[0]))
