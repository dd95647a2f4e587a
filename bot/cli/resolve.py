"""`audit resolve`: record a person's judgement of a rotation whose outcome is unknown."""

from typing import Annotated

import typer

from bot.cli.database import load_settings, require_organization, with_database
from bot.cli.operator import operator
from bot.cli.options import RotationArgument, masked
from bot.domain.models import RotationId
from bot.domain.resolution import Resolution, Resolutions
from bot.store.resolutions import SqlResolutions

ResolutionOption = Annotated[Resolution, typer.Option("--as", help="What the rotation turned out to be.")]
JudgementNoteOption = Annotated[
    str,
    typer.Option(
        metavar="TEXT", callback=masked, help="How you know. It is recorded and announced with the judgement."
    ),
]


def resolve_rotation(rotation: RotationArgument, *, resolution: ResolutionOption, note: JudgementNoteOption) -> None:
    """Judge a rotation whose outcome is unknown.

    The judgement is one more event: the rotation stays recorded as unknown. Another judgement can correct it.
    """
    settings = load_settings()
    organization = require_organization(settings)
    judged = with_database(
        settings,
        lambda database: Resolutions(SqlResolutions(database, settings.seal(), organization), operator()).resolve(
            RotationId(rotation), resolution, note
        ),
        writes=True,
    )
    typer.echo(
        f"Rotation {judged.id} of {judged.group} was judged to have {resolution}. "
        "It stays recorded as unknown; the bot announces the judgement.",
        err=True,
    )
