"""The scripted tour in the terminal reports what happened, and whether its checks passed."""

from bot.sandbox.scenario import ALICE
from bot.sandbox.script import STEPS, ScriptRun, a_stranger_is_refused, run_script


async def test_all_checks_of_the_script_pass() -> None:
    lines: list[str] = []
    passed = await run_script(lines.append)
    output = "\n".join(lines)

    assert passed, output
    assert "✗" not in output
    assert "alice: /turso-rotate payments key leaked in CI log" in output
    assert "[Rotate tokens] [Cancel]" in output
    assert "turso-rotate → #audit-log" in output
    assert "✓ the token of checkout-api is rejected" in output
    assert "Unknown: the tokens of analytics may have been rotated" in output
    assert "✓ All checks passed." in output
    assert output.count("── ") == len(STEPS)


async def test_a_failed_check_is_reported_and_the_other_steps_run() -> None:
    async def a_false_claim(run: ScriptRun) -> None:
        """Turso was called."""
        await run.types(ALICE, "/turso-rotate help")
        run.checks_calls("payments", 3)

    lines: list[str] = []
    passed = await run_script(lines.append, steps=(a_false_claim, a_stranger_is_refused))
    output = "\n".join(lines)

    assert not passed
    assert "✗ Turso was asked 3 times to rotate payments" in output
    assert "✓ recorded: rotation.denied" in output
    assert "✗ Failed: Turso was asked 3 times to rotate payments" in output
