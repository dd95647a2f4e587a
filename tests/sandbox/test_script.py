"""The story on a terminal tells the truth, and its exit code does."""

from bot.sandbox.scenario import ALICE
from bot.sandbox.script import STORY, Play, a_stranger_is_refused, play


async def test_the_story_is_as_it_should_be() -> None:
    lines: list[str] = []
    right = await play(lines.append)
    said = "\n".join(lines)

    assert right, said
    assert "✗" not in said
    assert "alice: /turso-rotate payments key leaked in CI log" in said
    assert "[Rotate tokens] [Cancel]" in said
    assert "turso-rotate → #audit-log" in said
    assert "✓ the token of checkout-api is refused" in said
    assert "Unknown: the tokens of analytics may be rotated" in said
    assert said.count("── ") == len(STORY)


async def test_a_step_that_goes_wrong_is_told_and_the_rest_is_played() -> None:
    async def a_lie(scene: Play) -> None:
        """Nothing was recorded."""
        await scene.types(ALICE, "/turso-rotate help")
        scene.calls("payments", 3)

    lines: list[str] = []
    right = await play(lines.append, story=(a_lie, a_stranger_is_refused))
    said = "\n".join(lines)

    assert not right
    assert "✗ Turso was asked 3 times to rotate payments" in said
    assert "✓ recorded: rotation.denied" in said
    assert "✗ Not as it should be: Turso was asked 3 times to rotate payments" in said
