"""Read rotations from their rows."""

from typing import Any

from sqlalchemy import Row

from bot.domain.models import Actor, ChannelId, Databases, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.states import State


def rotation_of(row: Row[Any]) -> Rotation:
    """Read a rotation from its row."""
    return Rotation(
        id=RotationId(row.id),
        organization=Organization(row.organization),
        group=GroupName(row.group),
        requester=Actor(TeamId(row.team_id), UserId(row.user_id)),
        channel_id=ChannelId(row.channel_id),
        reason=row.reason,
        state=State(row.state),
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        lease_until=row.lease_until,
        ended_at=row.ended_at,
        detail=row.detail,
        resolved_as=None if row.resolved_as is None else State(row.resolved_as),
        databases=None if row.databases is None else Databases(row.databases["count"], tuple(row.databases["names"])),
    )
