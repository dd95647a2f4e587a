"""`sandbox`: the real bot against a local Slack and a local Turso, in a browser or as a script."""

import asyncio
import errno
import signal
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bot.domain.errors import UsageError

PortOption = Annotated[
    int, typer.Option(min=0, max=65535, metavar="PORT", help="The page's port on 127.0.0.1; 0 for any free port.")
]
NoOpenOption = Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")]
KeepOption = Annotated[
    Path | None, typer.Option(file_okay=False, metavar="FOLDER", help="Keep the database in this folder.")
]
ScriptOption = Annotated[bool, typer.Option("--script", help="Play the story on the terminal and exit.")]


def run_sandbox(
    *, port: PortOption = 0, no_open: NoOpenOption = False, keep: KeepOption = None, script: ScriptOption = False
) -> None:
    """Try the bot without Slack and Turso.

    Starts the real bot against a local Slack and a local Turso, and opens a page on 127.0.0.1. With --script, plays
    the story on the terminal instead, and exits with 0 only if every step went as expected.
    """
    from bot.sandbox.script import run_script  # noqa: PLC0415 - only this command imports the sandbox

    if not script:
        asyncio.run(_serve_page(port, keep, open_browser=not no_open))
    elif not asyncio.run(run_script(typer.echo, keep)):
        raise typer.Exit(1)


async def _serve_page(port: int, keep: Path | None, *, open_browser: bool) -> None:
    from bot.sandbox.bot_process import BotFailedError  # noqa: PLC0415 - as above
    from bot.sandbox.page import PageServer  # noqa: PLC0415 - as above
    from bot.sandbox.sandbox import Sandbox  # noqa: PLC0415 - as above

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with Sandbox(keep) as sandbox, PageServer(sandbox, port) as page:
            typer.echo(f"Sandbox: {page.url} (press Ctrl-C to stop)")
            if open_browser:
                await asyncio.to_thread(webbrowser.open, page.url)
            await sandbox.ready()
            typer.echo("The bot is running. It is real; Slack and Turso are local stand-ins.")
            await stop.wait()
    except BotFailedError as error:
        typer.echo(f"The bot did not start:\n{error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise UsageError(f"Port {port} is in use, or you may not open it.") from None
