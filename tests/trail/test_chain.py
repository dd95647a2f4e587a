"""The canonical form of audit rows and their seal: as written down, without ambiguity, as anybody can compute it."""

import hashlib
import hmac
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.trail.chain import GENESIS, UNKEYED, Row, Seal, canonical, line
from tests.process import environment

VECTORS = [
    json.loads(text) for text in (Path(__file__).parents[1] / "vectors" / "chain.jsonl").read_text().splitlines()
]
STRING = r'("(?:[^"\\]|\\.)*")'
FORM = re.compile(
    rf'{{"seq":(-?\d+),"at":{STRING},"action":{STRING},"actor":{{"team_id":{STRING},"user_id":{STRING}}},'
    rf'"organization":{STRING},"group":(null|{STRING[1:-1]}),"rotation_id":(null|{STRING[1:-1]}),"detail":(.*),'
    rf'"delivery":(null|{STRING[1:-1]}),"prev_hash":{STRING}}}',
    re.DOTALL,
)
# Pieces of the form itself, which somebody might smuggle into a column.
SMUGGLED = st.sampled_from(
    ['"', "\\", '\\"', "null", "{}", ",", "}", "\n", "\x00", ',"delivery":', ',"delivery":null,"prev_hash":"', '"}']
)
TEXT = st.lists(st.one_of(st.text(max_size=5), SMUGGLED), max_size=5).map("".join)
ROWS = st.builds(
    Row,
    seq=st.integers(1, 2**63 - 1),
    at=TEXT,
    action=TEXT,
    team_id=TEXT,
    user_id=TEXT,
    organization=TEXT,
    group=st.none() | TEXT,
    rotation_id=st.none() | TEXT,
    detail=TEXT,
    delivery=st.none() | TEXT,
    prev_hash=TEXT,
    hash=st.just(""),
)
A_ROW = Row(1, "t", "a", "T1", "U1", "acme", None, None, "{}", None, GENESIS)


def read(form: str) -> Row:
    """Read a canonical form, with a parser of its own."""
    found = FORM.fullmatch(form)
    assert found is not None, form
    seq, *texts = found.groups()
    columns: list[Any] = [json.loads(text) if index != 7 else text for index, text in enumerate(texts)]
    return Row(int(seq), *columns)


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: f"{'keyed' if vector['key'] else 'unkeyed'}-{vector['row']['seq']}"
)
def test_the_vectors_hold(vector: dict[str, Any]) -> None:
    row = Row(**vector["row"])
    data = b"\x01" + vector["canonical"].encode()
    key = vector["key"] and vector["key"].encode()

    assert canonical(row) == vector["canonical"]
    assert Seal(key).hash(row) == vector["hash"]
    assert vector["hash"] == (hmac.new(key, data, "sha256") if key else hashlib.sha256(data)).hexdigest()
    assert json.loads(line(row._replace(hash=vector["hash"]))) == {
        **json.loads(vector["canonical"]),
        "hash": vector["hash"],
    }


def test_the_vectors_are_two_chains_that_hold_each_kind_of_value() -> None:
    chains = [[vector for vector in VECTORS if bool(vector["key"]) is keyed] for keyed in (False, True)]

    assert all(
        [vector["row"]["prev_hash"] for vector in chain] == [GENESIS, *(vector["hash"] for vector in chain[:-1])]
        for chain in chains
    )
    assert len(chains[0]) == len(chains[1]) >= 10
    assert all(sign in "".join(vector["canonical"] for vector in VECTORS) for sign in ("\\u001f", '\\"', "🔑", "null"))


@given(ROWS)
def test_two_different_rows_never_have_the_same_form(row: Row) -> None:
    assert read(canonical(row)) == row


@given(ROWS, st.binary(min_size=16, max_size=100))
def test_a_key_makes_the_hash_an_hmac_of_the_same_bytes(row: Row, key: bytes) -> None:
    data = b"\x01" + canonical(row).encode()

    assert Seal(key).hash(row) == hmac.new(key, data, hashlib.sha256).hexdigest()
    assert UNKEYED.hash(row) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "strange",
    [{"seq": "1"}, {"seq": 1.0}, {"seq": None}, {"at": None}, {"user_id": b"U1"}, {"group": 7}, {"group": "\ud800"}],
    ids=str,
)
def test_what_the_bot_never_writes_has_no_hash(strange: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        UNKEYED.hash(A_ROW._replace(**strange))


@pytest.mark.parametrize(
    "strange",
    [{"seq": "1"}, {"at": None}, {"user_id": b"U1"}, {"detail": b"{}"}, {"detail": None}, {"hash": None}, {"hash": 7}],
    ids=str,
)
def test_what_the_bot_never_writes_matches_no_seal(strange: dict[str, Any]) -> None:
    row = A_ROW._replace(hash=UNKEYED.hash(A_ROW))

    assert UNKEYED.matches(row)
    assert not UNKEYED.matches(row._replace(**strange))


def test_a_fingerprint_is_computed_as_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit-trail.md").read_text()
    (command,) = re.findall(r"^\$ (printf .*)$", page, re.MULTILINE)
    said = subprocess.run(
        ["/bin/sh", "-c", command], check=True, env={**environment({}), "KEY": "correct horse"}, capture_output=True
    )

    assert said.stdout.decode().strip() == Seal(b"correct horse").fingerprint
    assert UNKEYED.fingerprint is None


def test_bytes_that_are_no_text_are_told_apart() -> None:
    broken = [b"\xff", b"\xfe", b"\xef\xbf\xbd", b"\xed\xb3\xbf"]
    hashes = {UNKEYED.hash(A_ROW._replace(user_id=data.decode("utf-8", "surrogateescape"))) for data in broken}

    assert len(hashes) == len(broken)


def test_the_key_shows_nowhere() -> None:
    seal = Seal(b"correct horse battery staple")

    assert "horse" not in f"{seal!r} {seal} {vars(type(seal))}"
