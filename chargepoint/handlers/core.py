"""Requests of the Core profile: configuration, reset and data transfer."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from chargepoint.handlers.domain import Domain
from chargepoint.hardware.port import ResetKind
from chargepoint.payload import call_result, enums
from chargepoint.rpc import Reply

LAST_WORD: Final = timedelta(seconds=0.5)  #: time; a Reset.req right behind, as in OCTT TC_083, over a slow mobile link

_OF_TRANSFERS: Final = frozenset({"supportedfeatureprofiles", "supportedfiletransferprotocols"})
"""Keys whose values follow from what libcurl can do here, in lower case."""


async def get_configuration(domain: Domain, request: Any) -> Reply:
    """Answer the keys in the order in which they were asked for, and what is not known.

    More keys than GetConfigurationMaxKeys are cut: the Central System asks again for the rest. AuthorizationKey is
    write-only and never among them (A01.FR.12).
    """
    wanted = request.key
    if wanted is not None:
        wanted = wanted[: domain.configuration.integer("GetConfigurationMaxKeys")]
    if not wanted or not _OF_TRANSFERS.isdisjoint(map(str.lower, wanted)):
        await domain.transfers.learn()
    listing = domain.configuration.listing(wanted)
    return Reply(
        call_result.GetConfiguration(
            configuration_key=[
                {"key": known.key, "readonly": known.readonly, "value": known.value} for known in listing.known
            ],
            unknown_key=list(listing.unknown) or None,
        )
    )


async def change_configuration(domain: Domain, request: Any) -> Reply:
    """Set one key (A01.FR.02, A05.FR.01 to A05.FR.07).

    The answer goes first. A change that takes a new connection then closes the present one; the new one is opened with
    what was stored (A05.FR.06, A05.FR.07). Before a profile is left, what the Central System sends right behind its
    order is waited for: after our close frame no answer goes out (docs/decisions/0144-a-reset-behind-an-upgrade.md).
    """
    change = await domain.configuration.change(request.key, request.value)
    conf = call_result.ChangeConfiguration(status=enums.ConfigurationStatus(change.status.value))
    if not domain.configuration.ends_connection(change):
        return Reply(conf)

    async def reconnect() -> None:
        if change.key == "SecurityProfile":
            await asyncio.sleep(LAST_WORD.total_seconds())
        domain.reconnect(f"{change.key} was changed by the Central System")

    return Reply(conf, then=reconnect)


async def reset(domain: Domain, request: Any) -> Reply:
    """Accept, and reboot once the answer is out."""
    kind = ResetKind(request.type)

    async def begin() -> None:
        domain.reset(kind)

    return Reply(call_result.Reset(status=enums.ResetStatus.accepted), then=begin)


async def data_transfer(domain: Domain, request: Any) -> Reply:
    """No vendor's extension is known here."""
    return Reply(call_result.DataTransfer(status=enums.DataTransferStatus.unknown_vendor_id))
