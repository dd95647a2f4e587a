"""`audit resolve`: a person closes an unknown."""

from typing import Annotated

import typer

from bot.cli.database import configured, with_database
from bot.cli.operator import operator
from bot.domain.errors import SettingsError
from bot.domain.models import Organization, RotationId
from bot.domain.resolution import Resolution, Resolutions
from bot.store.resolutions import SqlResolutions


def resolve(
    rotation: Annotated[str, typer.Argument(help="The rotation's id, as the bot's messages name it.")],
    *,
    judgement: Annotated[Resolution, typer.Option("--as", help="What the rotation has been.")],
    note: Annotated[str, typer.Option(help="How you know; kept with the judgement, and announced.")],
) -> None:
    """Judge an unknown rotation, as one more event.

    The rotation stays recorded as unknown, as only Turso's answer can say more. A judgement can be corrected by
    another one.
    """
    settings = configured()
    if settings.turso_organization is None:
        raise SettingsError("TURSO_ORGANIZATION is required.")
    organization = Organization(settings.turso_organization)
    judged = with_database(
        settings,
        lambda database: Resolutions(SqlResolutions(database, settings.seal(), organization), operator()).resolve(
            RotationId(rotation), judgement, note
        ),
        writes=True,
    )
    typer.echo(
        f"Rotation {judged.id} of {judged.group} is judged to have {judgement}. "
        "It stays recorded as unknown; the bot announces the judgement.",
        err=True,
    )
