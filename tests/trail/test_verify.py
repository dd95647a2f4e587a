"""What verification finds, and what it calls it: on chains in memory, tampered with in every way at once."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import UsageError
from bot.domain.events import TrailHead
from bot.trail.chain import GENESIS, UNKEYED, Row, Seal
from bot.trail.diagnose import ChainFault
from bot.trail.report import Gap, VerifyOptions, VerifyReport, parse_anchor
from bot.trail.verify import verify
from tests.synthetic.events import events, sealed

KEYED = Seal(b"correct horse battery staple")
OTHER = Seal(b"wrong pony capacitor nail")
SEALS = pytest.mark.parametrize("seal", [UNKEYED, KEYED], ids=["unkeyed", "keyed"])
Chain = list[Row]


def chain(length: int, seal: Seal = UNKEYED) -> Chain:
    return list(sealed(events(1, length), seal))


def found(rows: Chain, seal: Seal, **terms: Any) -> tuple[ChainFault, int, str]:
    """Verify, and return what was found: there must be something."""
    finding = verify(rows, VerifyOptions(seal, **terms)).diagnosis
    assert finding is not None
    return finding.fault, finding.seq, finding.words


def renumbered(rows: Chain) -> Chain:
    return [row._replace(seq=seq) for seq, row in enumerate(rows, 1)]


def changed(rows: Chain, number: int, /, **columns: Any) -> Chain:
    return [row._replace(**columns) if row.seq == number else row for row in rows]


def without(rows: Chain, *gone: int) -> Chain:
    return [row for row in rows if row.seq not in gone]


def swapped(rows: Chain, one: int, other: int) -> Chain:
    order = [{one: other, other: one}.get(row.seq, row.seq) for row in rows]
    return renumbered([rows[seq - 1] for seq in order])


def inserted(rows: Chain, place: int, seal: Seal | None = None) -> Chain:
    """Insert a row, with a fitting hash if a seal is given, and number the rest anew."""
    row = rows[place - 1]._replace(user_id="U0MALLORY")
    row = row if seal is None else row._replace(hash=seal.hash(row))
    return renumbered([*rows[: place - 1], row, *rows[place - 1 :]])


def resealed(rows: Chain, seal: Seal) -> Chain:
    return list(sealed(rows, seal))


@SEALS
def test_a_chain_as_it_was_written_is_sound(seal: Seal) -> None:
    rows = chain(30, seal)
    told: list[int] = []
    report = verify(
        iter(rows), VerifyOptions(seal, anchors=[TrailHead(7, rows[6].hash), TrailHead(30, rows[29].hash)]), told.append
    )

    assert report == VerifyReport(TrailHead(0, GENESIS), TrailHead(30, rows[29].hash), 0, None)
    assert (report.rows, told[-1]) == (30, 30)


def test_progress_is_told_now_and_then() -> None:
    told: list[int] = []
    verify(sealed(events(1, 25_000)), VerifyOptions(UNKEYED), told.append)

    assert told == [10_000, 20_000]


def test_no_rows_are_sound_unless_an_anchor_says_otherwise() -> None:
    assert verify([], VerifyOptions(UNKEYED, anchors=[TrailHead(0, GENESIS)])) == VerifyReport(
        TrailHead(0, GENESIS), TrailHead(0, GENESIS), 0, None
    )
    assert found([], UNKEYED, anchors=[TrailHead(3, "a" * 64)])[:2] == (ChainFault.CUT, 1)


Deed = Callable[[Chain], Chain]
DEEDS: dict[str, tuple[Deed, ChainFault, int, str]] = {
    "a column changed": (lambda rows: changed(rows, 5, user_id="U0MALLORY"), ChainFault.CHANGED, 5, "does not match"),
    "two next to each other": (
        lambda rows: changed(changed(rows, 5, user_id="U1"), 6, user_id="U1"), ChainFault.CHANGED, 5, "does not match",
    ),
    "the last one changed": (lambda rows: changed(rows, 20, at="never"), ChainFault.CHANGED, 20, "does not match"),
    "its predecessor's hash": (
        lambda rows: changed(rows, 5, prev_hash="f" * 64), ChainFault.CHANGED, 5, "does not match",
    ),
    "its hash": (lambda rows: changed(rows, 5, hash=rows[4].hash.upper()), ChainFault.CHANGED, 5, "does not match"),
    "a number in the middle": (lambda rows: changed(rows, 5, seq=-5), ChainFault.CHANGED, 5, "number"),
    "the last number": (lambda rows: changed(rows, 20, seq=25), ChainFault.CHANGED, 20, "number"),
    "a number that is none": (lambda rows: changed(rows, 5, seq="five"), ChainFault.CHANGED, 5, "number"),
    "a number and more": (lambda rows: changed(rows, 5, seq=None, at="never"), ChainFault.CHANGED, 5, "the bot writes"),
    "NULL where there is none": (lambda rows: changed(rows, 5, at=None), ChainFault.CHANGED, 5, "as the bot writes"),
    "bytes for text": (lambda rows: changed(rows, 5, user_id=b"U5"), ChainFault.CHANGED, 5, "as the bot writes"),
    "bytes for a hash": (lambda rows: changed(rows, 5, hash=b"f" * 64), ChainFault.CHANGED, 5, "as the bot writes"),
    "half a letter": (lambda rows: changed(rows, 5, group="\ud83d"), ChainFault.CHANGED, 5, "as the bot writes"),
    "broken bytes": (lambda rows: changed(rows, 5, group="group5\udcff"), ChainFault.CHANGED, 5, "does not match"),
    "overwritten by a copy": (
        lambda rows: changed(rows, 5, **{**rows[2]._asdict(), "seq": 5}), ChainFault.REORDERED, 5, "written as row 3",
    ),
    "a row deleted": (lambda rows: without(rows, 5), ChainFault.MISSING, 5, "Row 4 is followed by row 6"),
    "rows deleted": (lambda rows: without(rows, 5, 6, 7), ChainFault.MISSING, 5, "Row 4 is followed by row 8"),
    "the first deleted": (lambda rows: without(rows, 1, 2), ChainFault.MISSING, 1, "begins with row 3"),
    "deleted, renumbered": (lambda rows: renumbered(without(rows, 5, 6)), ChainFault.MISSING, 5, "written as row 7"),
    "all but the last": (lambda rows: renumbered(rows[19:]), ChainFault.MISSING, 1, "was written as row 20"),
    "deleted at the start, renumbered": (lambda rows: renumbered(rows[3:]), ChainFault.MISSING, 1, "written as row 4"),
    "neighbours swapped": (lambda rows: swapped(rows, 5, 6), ChainFault.REORDERED, 5, "was written as row 6"),
    "far ones swapped": (lambda rows: swapped(rows, 5, 17), ChainFault.REORDERED, 5, "was written as row 17"),
    "the last two swapped": (lambda rows: swapped(rows, 19, 20), ChainFault.REORDERED, 19, "was written as row 20"),
    "the last swapped": (lambda rows: swapped(rows, 15, 20), ChainFault.REORDERED, 15, "was written as row 20"),
    "out of order in a file": (
        lambda rows: [*rows[:4], rows[9], *rows[5:9], rows[4], *rows[10:]], ChainFault.REORDERED, 5, "after row 10",
    ),
    "one twice": (lambda rows: [*rows[:9], rows[4], *rows[9:]], ChainFault.INSERTED, 5, "comes after row 9"),
    "two with one number": (
        lambda rows: [*rows[:4], rows[4]._replace(user_id="U0MALLORY"), *rows[4:]],
        ChainFault.INSERTED, 5, "What follows was written as row 5",
    ),
    "one inserted": (lambda rows: inserted(rows, 5), ChainFault.INSERTED, 5, "What follows was written as row 5"),
    "two inserted": (lambda rows: inserted(inserted(rows, 5), 5), ChainFault.INSERTED, 5, "those up to row 6"),
    "a copy inserted": (
        lambda rows: renumbered([*rows[:4], rows[2], *rows[4:]]), ChainFault.INSERTED, 5, "was written as row 5",
    ),
    "a copy added": (lambda rows: renumbered([*rows, rows[2]]), ChainFault.INSERTED, 21, "was written as row 3"),
    "linked to nothing": (lambda rows: changed(rows, 1, prev_hash="f" * 64), ChainFault.CHANGED, 1, "does not match"),
}  # fmt: skip


@SEALS
@pytest.mark.parametrize("deed", DEEDS)
def test_what_was_done_is_named(deed: str, seal: Seal) -> None:
    tamper, fault, seq, words = DEEDS[deed]
    found_fault, found_seq, said = found(tamper(chain(20, seal)), seal)

    assert (found_fault, found_seq) == (fault, seq)
    assert words in said


class TestWithoutTheKey:
    """What somebody can do who can write to the database, and computes hashes as anybody can."""

    def test_an_unkeyed_chain_shows_a_row_made_anew_by_its_successor(self) -> None:
        row = chain(20)[4]._replace(user_id="U0MALLORY")
        rows = changed(chain(20), 5, user_id="U0MALLORY", hash=UNKEYED.hash(row))

        assert found(rows, UNKEYED)[:2] == (ChainFault.CHANGED, 5)
        assert "Row 6 names another predecessor" in found(rows, UNKEYED)[2]

    def test_an_unkeyed_chain_shows_a_fitting_row_by_what_follows(self) -> None:
        fault, seq, words = found(inserted(chain(20), 5, UNKEYED), UNKEYED)

        assert (fault, seq) == (ChainFault.INSERTED, 5)
        assert "The content of row 6 was written as row 5" in words

    def test_an_unkeyed_chain_shows_a_beginning_that_was_removed(self) -> None:
        rows = renumbered(chain(20)[3:])
        rows[0] = rows[0]._replace(hash=UNKEYED.hash(rows[0]))

        assert found(rows, UNKEYED)[:2] == (ChainFault.MISSING, 1)

    def test_an_unkeyed_chain_made_anew_over_a_gap_shows_the_gap(self) -> None:
        assert found(resealed(without(chain(20), 5), UNKEYED), UNKEYED)[:2] == (ChainFault.MISSING, 5)

    def test_an_unkeyed_chain_made_anew_is_shown_by_an_anchor_alone(self) -> None:
        rows = chain(20)
        forged = resealed(changed(rows, 5, user_id="U0MALLORY"), UNKEYED)

        assert verify(forged, VerifyOptions(UNKEYED)).diagnosis is None
        assert found(forged, UNKEYED, anchors=[TrailHead(18, rows[17].hash)])[:2] == (ChainFault.REWRITTEN, 18)

    def test_a_keyed_chain_shows_every_row_sealed_without_the_key(self) -> None:
        rows = chain(20, KEYED)
        forged = changed(rows, 5, user_id="U0MALLORY")[4]
        one = changed(rows, 5, user_id="U0MALLORY", hash=UNKEYED.hash(forged))
        last = changed(rows, 20, user_id="U0MALLORY", hash=UNKEYED.hash(rows[19]._replace(user_id="U0MALLORY")))

        assert found(one, KEYED)[:2] == (ChainFault.UNSEALED, 5)
        assert found(last, KEYED)[:2] == (ChainFault.UNSEALED, 20)
        assert found(resealed(rows, UNKEYED), KEYED)[:2] == (ChainFault.UNSEALED, 1)
        assert found([*rows[:4], *resealed_after(rows, 4, UNKEYED)], KEYED)[:2] == (ChainFault.UNSEALED, 5)

    def test_another_key_shows(self) -> None:
        rows = chain(20, KEYED)

        assert found(resealed(rows, OTHER), KEYED)[:2] == (ChainFault.WRONG_KEY, 1)
        assert found([*rows[:4], *resealed_after(rows, 4, OTHER)], KEYED)[:2] == (ChainFault.WRONG_KEY, 5)
        assert "another key" in found(rows[:1], OTHER)[2]

    def test_a_key_that_is_not_set_shows(self) -> None:
        fault, seq, words = found(chain(20, KEYED), Seal())

        assert (fault, seq) == (ChainFault.WRONG_KEY, 1)
        assert "AUDIT_KEY is not set" in words


def resealed_after(rows: Chain, seq: int, seal: Seal) -> Iterator[Row]:
    return sealed(rows[seq:], seal, rows[seq - 1].hash)


class TestAKeyThatCameLater:
    """Rows 1 to 8 are from before there was a key."""

    @pytest.fixture
    def rows(self) -> Chain:
        rows = chain(20)
        return [*rows[:8], *resealed_after(rows, 8, KEYED)]

    def test_it_must_be_said(self, rows: Chain) -> None:
        assert found(rows, KEYED)[:2] == (ChainFault.UNSEALED, 1)
        assert found(rows, KEYED, unkeyed_until=7)[:2] == (ChainFault.UNSEALED, 8)

    @pytest.mark.parametrize("until", [8, 9, 20, 100])
    def test_then_it_is_sound(self, rows: Chain, until: int) -> None:
        report = verify(
            rows,
            VerifyOptions(
                KEYED, unkeyed_until=until, anchors=[TrailHead(3, rows[2].hash), TrailHead(20, rows[19].hash)]
            ),
        )

        assert (report.diagnosis, report.unkeyed_until, report.rows) == (None, 8, 20)

    def test_no_row_without_the_key_is_taken_after_the_first_with_it(self, rows: Chain) -> None:
        forged = [*rows[:10], *resealed_after(rows, 10, UNKEYED)]

        assert found(forged, KEYED, unkeyed_until=15)[:2] == (ChainFault.UNSEALED, 11)

    def test_the_first_row_with_the_key_holds_those_before_it(self, rows: Chain) -> None:
        forged = [*resealed(changed(rows, 5, user_id="U0MALLORY")[:8], UNKEYED), *rows[8:]]

        assert found(forged, KEYED, unkeyed_until=8)[0] is ChainFault.CHANGED

    def test_what_was_done_before_it_is_named(self, rows: Chain) -> None:
        assert found(without(rows, 5), KEYED, unkeyed_until=8)[:2] == (ChainFault.MISSING, 5)
        assert found(swapped(rows, 3, 6), KEYED, unkeyed_until=8)[:2] == (ChainFault.REORDERED, 3)
        assert found(inserted(rows, 8), KEYED, unkeyed_until=8)[:2] == (ChainFault.INSERTED, 8)


NEXT = Seal(b"another pony staple battery")
LAST = Seal(b"yet another pony of correct horses")


def rekeyed(*seals: Seal, each: int = 6) -> Chain:
    """Write `each` rows under each key; the last of them names the next key."""
    rows: Chain = []
    for seal, following in zip(seals, (*seals[1:], None), strict=True):
        part = list(events(len(rows) + 1, len(rows) + each))
        if following is not None:
            named = f'{{"fingerprint":"{following.fingerprint}"}}'
            part[-1] = part[-1]._replace(action="audit.rekeyed", detail=named)
        rows += sealed(part, seal, rows[-1].hash if rows else GENESIS)
    return rows


@pytest.mark.fault("F57")
class TestAKeyThatWasChanged:
    """Rows 1 to 6 are under the first key, 7 to 12 under the next, and 13 to 18 under the last."""

    @pytest.fixture
    def rows(self) -> Chain:
        return rekeyed(KEYED, NEXT, LAST)

    def test_it_is_sound_with_every_key(self, rows: Chain) -> None:
        report = verify(rows, VerifyOptions(LAST, (KEYED, NEXT), anchors=[TrailHead(9, rows[8].hash)]))

        assert (report.diagnosis, report.rows, report.changes, report.in_force) == (None, 18, (6, 12), True)

    def test_a_part_begins_under_any_key_and_says_if_it_ends_under_an_earlier_one(self, rows: Chain) -> None:
        options = VerifyOptions(LAST, (KEYED, NEXT), partial=True)
        middle, end = verify(rows[2:9], options), verify(rows[9:], options)

        assert (middle.diagnosis, middle.rows, middle.in_force) == (None, 7, False)
        assert (end.diagnosis, end.rows, end.in_force) == (None, 9, True)

    def test_the_key_changes_only_where_a_row_says_so(self, rows: Chain) -> None:
        unsaid = [*chain(6, KEYED), *sealed(events(7, 12), NEXT, chain(6, KEYED)[-1].hash)]
        back = [*rows[:12], *sealed(events(13, 18), KEYED, rows[11].hash)]

        assert found(unsaid, NEXT, earlier=(KEYED,))[:2] == (ChainFault.WRONG_KEY, 7)
        assert found(back, LAST, earlier=(KEYED, NEXT))[:2] == (ChainFault.EARLIER_KEY, 13)
        assert found([*rows, *sealed(events(19, 19), NEXT, rows[17].hash)], LAST, earlier=(KEYED, NEXT))[:2] == (
            ChainFault.EARLIER_KEY,
            19,
        )

    def test_whoever_knows_an_earlier_key_forges_nothing_before_the_change_and_no_end(self, rows: Chain) -> None:
        before = [*sealed(changed(rows, 3, user_id="U0MALLORY")[:6], KEYED), *rows[6:]]
        instead = chain(18, KEYED)

        assert found(before, LAST, earlier=(KEYED, NEXT))[0] is ChainFault.CHANGED
        assert found(instead, LAST, earlier=(KEYED, NEXT))[:2] == (ChainFault.CUT, 19)
        assert found(rows[:9], LAST, earlier=(KEYED, NEXT))[:2] == (ChainFault.CUT, 10)

    def test_without_an_earlier_key_it_is_not_verifiable_before_the_next(self, rows: Chain) -> None:
        fault, seq, words = found(rows, LAST, earlier=(NEXT,))
        both = found(rows, LAST)

        assert (fault, seq) == (ChainFault.UNVERIFIABLE, 7)
        assert "rows 1 to 6" in words
        assert "--anchor 7:HASH" in words
        assert both[:2] == (ChainFault.UNVERIFIABLE, 13)
        assert found(rows, LAST, earlier=(KEYED,))[:2] == (ChainFault.UNVERIFIABLE, 13)

    @pytest.mark.parametrize("seq", [6, 7])
    def test_an_anchor_there_covers_what_comes_before(self, rows: Chain, seq: int) -> None:
        report = verify(rows, VerifyOptions(LAST, (NEXT,), anchors=[TrailHead(seq, rows[seq - 1].hash)]))

        assert (report.diagnosis, report.rows, report.first) == (None, 12, 7)
        assert report.gaps == (Gap(1, 6, anchored=True),)

    def test_no_other_anchor_does(self, rows: Chain) -> None:
        for seq in (3, 5, 8, 18):
            anchors = [TrailHead(seq, rows[seq - 1].hash)]
            assert found(rows, LAST, earlier=(NEXT,), anchors=anchors)[:2] == (ChainFault.UNVERIFIABLE, 7)
        wrong = [TrailHead(6, "f" * 64)]
        assert found(rows, LAST, earlier=(NEXT,), anchors=wrong)[:2] == (ChainFault.REWRITTEN, 6)

    def test_so_it_is_for_few_rows(self) -> None:
        assert found(rekeyed(KEYED, NEXT, each=1), NEXT)[:2] == (ChainFault.UNVERIFIABLE, 2)
        assert found(rekeyed(KEYED, NEXT, LAST, each=2), LAST)[:2] == (ChainFault.UNVERIFIABLE, 5)
        assert found(rekeyed(KEYED, NEXT, each=2)[:2], NEXT)[:2] == (ChainFault.UNVERIFIABLE, 3)

    def test_what_was_changed_next_to_a_change_of_the_key_is_called_changed(self, rows: Chain) -> None:
        for seq in (5, 6, 7, 12, 13):
            assert found(changed(rows, seq, user_id="U0"), LAST, earlier=(KEYED, NEXT))[:2] == (ChainFault.CHANGED, seq)

    def test_what_is_not_verifiable_must_still_be_linked(self, rows: Chain) -> None:
        assert found(without(rows, 3), LAST, earlier=(NEXT,))[0] is not ChainFault.UNVERIFIABLE
        assert found(changed(rows, 3, hash="f" * 64), LAST, earlier=(NEXT,))[:2] == (ChainFault.WRONG_KEY, 1)

    def test_a_key_that_is_not_the_newest_is_told_which_one_is_missing(self, rows: Chain) -> None:
        fault, seq, words = found(rows, NEXT, earlier=(KEYED,))

        assert (fault, seq) == (ChainFault.WRONG_KEY, 13)
        assert words.endswith(f"Row 12 changed the key to the one with the fingerprint {LAST.fingerprint}.")
        assert found(rows, OTHER)[:2] == (ChainFault.WRONG_KEY, 1)

    @pytest.mark.parametrize("anchored", [None, 6, 7, 9])
    def test_a_row_that_was_changed_is_no_row_whose_key_is_lost(self, rows: Chain, anchored: int | None) -> None:
        heads = [] if anchored is None else [TrailHead(anchored, rows[anchored - 1].hash)]
        for gone in ([1], [6], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12], [10, 11]):
            forged = rows
            for seq in gone:
                forged = changed(forged, seq, user_id="U0MALLORY")
            assert found(forged, LAST, earlier=(KEYED, NEXT), anchors=heads)[:2] == (ChainFault.CHANGED, gone[0])
            part = found(forged[:15], LAST, earlier=(KEYED, NEXT), anchors=heads, partial=True)
            assert part[:2] == (ChainFault.CHANGED, gone[0])

    @pytest.mark.parametrize("first", [1, 3, 8, 14])
    def test_nobody_without_a_key_makes_a_part_whose_key_is_lost(self, rows: Chain, first: int) -> None:
        for named in (KEYED, NEXT, LAST)[first == 1 :]:  # a change to the oldest key at hand may be true
            said = f'{{"fingerprint":"{named.fingerprint}"}}'
            forged = changed(changed(rows, first, user_id="U0MALLORY"), first + 1, action="audit.rekeyed", detail=said)
            for noted in (first + 1, first + 2):
                anchors = [TrailHead(noted, rows[noted - 1].hash)]
                assert found(forged, LAST, earlier=(KEYED, NEXT), anchors=anchors)[:2] == (ChainFault.CHANGED, first)

    def test_a_key_that_was_changed_to_a_lost_one_vouches_for_nothing_more(self, rows: Chain) -> None:
        after = [*rows[:6], *sealed(events(7, 8), KEYED, rows[5].hash)]

        assert found(after, LAST, earlier=(KEYED,))[:2] == (ChainFault.EARLIER_KEY, 7)
        assert found(after, KEYED)[:2] == (ChainFault.EARLIER_KEY, 7)

    def test_many_changed_rows_are_no_other_key(self) -> None:
        rows = rekeyed(KEYED, NEXT, each=40)
        for first, last in ((1, 30), (5, 35), (45, 70)):
            forged = [row._replace(user_id="U0") if first <= row.seq <= last else row for row in rows]
            assert found(forged, NEXT, earlier=(KEYED,))[:2] == (ChainFault.CHANGED, first)

    def test_a_lost_key_between_two_others_leaves_a_gap_there(self, rows: Chain) -> None:
        changed_after = changed(rows, 13, user_id="U0MALLORY")
        options = {"earlier": (KEYED,), "anchors": [TrailHead(12, rows[11].hash)]}
        report = verify(rows, VerifyOptions(LAST, (KEYED,), anchors=[TrailHead(12, rows[11].hash)]))

        assert (report.diagnosis, report.gaps) == (None, (Gap(7, 12, anchored=True),))
        assert found(changed_after, LAST, **options)[:2] == (ChainFault.CHANGED, 13)

    def test_right_after_the_change_no_row_has_the_new_key(self, rows: Chain) -> None:
        report = verify(rows[:12], VerifyOptions(LAST, (KEYED, NEXT)))

        assert (report.diagnosis, report.rows, report.in_force, report.changes) == (None, 12, True, (6, 12))


class TestAWrongKey:
    @pytest.mark.fault("F57")
    @pytest.mark.parametrize("length", [1, 2, 20])
    def test_it_is_called_wrong_and_nothing_changed(self, length: int) -> None:
        quoted = Seal(b'"correct horse battery staple"')

        assert found(chain(length, KEYED), OTHER)[:2] == (ChainFault.WRONG_KEY, 1)
        assert "docker keeps the quotes" in found(chain(length, KEYED), quoted)[2]
        assert "docker" not in found(chain(length, KEYED), OTHER)[2]

    def test_it_is_called_wrong_after_rows_without_a_key_too(self) -> None:
        rows = [*chain(8), *resealed_after(chain(9), 8, KEYED)]

        assert found(rows, OTHER, unkeyed_until=8)[:2] == (ChainFault.WRONG_KEY, 9)

    def test_the_last_row_under_a_key_that_fits_was_changed(self) -> None:
        assert found(changed(chain(20, KEYED), 20, at="never"), KEYED)[:2] == (ChainFault.CHANGED, 20)


class TestAnchors:
    def test_a_tail_that_was_cut_is_shown_by_an_anchor_alone(self) -> None:
        rows = chain(20, KEYED)

        assert verify(rows[:15], VerifyOptions(KEYED)).diagnosis is None
        fault, seq, words = found(rows[:15], KEYED, anchors=[TrailHead(10, rows[9].hash), TrailHead(18, rows[17].hash)])
        assert (fault, seq) == (ChainFault.CUT, 16)
        assert "row 18" in words
        assert "ends with row 15" in words

    def test_every_anchor_counts(self) -> None:
        rows = chain(20)
        good = TrailHead(10, rows[9].hash)

        assert found(rows, UNKEYED, anchors=[good, TrailHead(10, "f" * 64)])[:2] == (ChainFault.REWRITTEN, 10)
        assert found(rows, UNKEYED, anchors=[good, TrailHead(0, "f" * 64)])[:2] == (ChainFault.REWRITTEN, 0)
        assert found(rows, UNKEYED, anchors=[good, TrailHead(21, "f" * 64)])[:2] == (ChainFault.CUT, 21)

    @pytest.mark.parametrize(
        "text",
        ["12", "12:", ":aa", f"-1:{'a' * 64}", f"1:{'g' * 64}", f"1:{'a' * 63}", "²:" + "a" * 64, f"0:{'0' * 64}"],
    )
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="SEQ:HASH"):
            parse_anchor(text)

    def test_it_is_read_as_the_bot_tells_it(self) -> None:
        head = TrailHead(12, "ab" * 32)

        assert parse_anchor(f" {str(head).upper()}\n") == head


class TestAPart:
    """An export begins anywhere."""

    def test_it_is_sound_by_itself(self) -> None:
        rows = chain(20, KEYED)
        report = verify(
            rows[4:15],
            VerifyOptions(KEYED, partial=True, anchors=[TrailHead(4, rows[3].hash), TrailHead(9, rows[8].hash)]),
        )

        assert report == VerifyReport(TrailHead(4, rows[3].hash), TrailHead(15, rows[14].hash), 0, None)
        assert report.rows == 11

    def test_an_anchor_outside_is_not_met(self) -> None:
        rows = chain(20)

        assert found(rows[4:15], UNKEYED, partial=True, anchors=[TrailHead(4, "f" * 64)])[:2] == (
            ChainFault.REWRITTEN,
            4,
        )
        assert found(rows[4:15], UNKEYED, partial=True, anchors=[TrailHead(3, rows[2].hash)])[:2] == (
            ChainFault.MISSING,
            3,
        )
        assert found(rows[4:15], UNKEYED, partial=True, anchors=[TrailHead(18, rows[17].hash)])[:2] == (
            ChainFault.CUT,
            16,
        )

    def test_the_whole_trail_is_no_part(self) -> None:
        assert found(chain(20)[4:], UNKEYED)[:2] == (ChainFault.MISSING, 1)
        assert found(changed(chain(20), 1, prev_hash="f" * 64), UNKEYED, partial=True)[:2] == (ChainFault.CHANGED, 1)


COLUMNS = st.sampled_from(Row._fields)
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just("a" * 64)
)


@st.composite
def tampered(draw: st.DrawFn, seal: Seal) -> tuple[Chain, Chain, int]:
    """Draw a chain, the same after one deed, and the row that it was done to; only the last is not just cut off."""
    rows = chain(draw(st.integers(2, 12)), seal)
    seq = draw(st.integers(1, len(rows)))
    other = draw(st.integers(1, len(rows)).filter(lambda number: number != seq))
    column, value = draw(COLUMNS), draw(VALUES)
    if column == "seq" and isinstance(value, bool):
        value = int(value)  # no database and no export gives a truth value for a number, and True is 1
    deeds = [
        lambda: changed(rows, seq, **{column: value}),
        lambda: swapped(rows, seq, other),
        lambda: inserted(rows, seq),
    ]
    if seq < len(rows):
        deeds += [
            lambda: without(rows, seq),
            lambda: renumbered(without(rows, seq)),
            lambda: inserted(rows, seq, UNKEYED),
        ]
    return rows, draw(st.sampled_from(deeds))(), seq


@SEALS
@given(data=st.data())
def test_any_single_deed_is_found(seal: Seal, data: st.DataObject) -> None:
    rows, after, _ = data.draw(tampered(seal).filter(lambda drawn: not same(drawn[0], drawn[1])))
    report = verify(after, VerifyOptions(seal))

    assert report.diagnosis is not None
    assert report.diagnosis.words.endswith(".")
    assert all(
        same([row], [rows[index]]) for index, row in enumerate(after[: report.rows]) if row.user_id != "U0MALLORY"
    )


def same(some: Chain, others: Chain) -> bool:
    """Compare with types: in Python 1 == 1.0 == True."""
    return repr(some) == repr(others)


@SEALS
@given(data=st.data())
def test_any_head_that_was_noted_shows_any_cut(seal: Seal, data: st.DataObject) -> None:
    rows = chain(data.draw(st.integers(1, 12)), seal)
    noted = data.draw(st.integers(1, len(rows)))
    left = data.draw(st.integers(0, len(rows)))
    finding = verify(rows[:left], VerifyOptions(seal, anchors=[TrailHead(noted, rows[noted - 1].hash)])).diagnosis

    assert (finding is None) == (noted <= left)


@given(
    st.lists(st.lists(VALUES, min_size=12, max_size=12).map(Row._make), max_size=6),
    st.booleans(),
    st.integers(0, 5),
)
def test_nothing_in_the_rows_can_break_verification(rows: Chain, partial: bool, unkeyed_until: int) -> None:  # noqa: FBT001 - drawn
    report = verify(rows, VerifyOptions(KEYED, partial=partial, unkeyed_until=unkeyed_until))

    assert (report.diagnosis is None) == (not rows)
