"""Opens the OCPP-J exchange over each connection, with the bounds and the tolerance that config.toml gives it.

The memory of answers outlives a connection: a request that comes again over the next one is not carried out twice.
"""

from chargepoint.answer_memory import AnswerMemory
from chargepoint.link import Link
from chargepoint.rpc import Exchange, Limits, Serve
from chargepoint.schema import Tolerance
from chargepoint.settings import ConnectionSettings, InteropSettings
from security.event import RaiseEvent


class ExchangeOpener:
    """Makes one exchange a connection.

    Args:
        bounds: the table ``[connection]``.
        interop: the table ``[interop]``.
        raise_event: records what a peer does that it may not.
    """

    def __init__(self, bounds: ConnectionSettings, interop: InteropSettings, raise_event: RaiseEvent) -> None:
        self._memory = AnswerMemory(bounds.max_remembered_answers)
        self._limits = Limits(
            call_timeout=bounds.call_timeout,
            ping_timeout=bounds.ping_timeout,
            max_inbound_calls=bounds.max_inbound_calls,
        )
        self._tolerance = Tolerance(
            unknown_properties=interop.unknown_properties == "tolerate",
            over_long_strings=interop.over_long_strings == "tolerate",
        )
        self._raise_event = raise_event

    def __call__(self, link: Link, serve: Serve) -> Exchange:
        """Open the exchange over a connection."""
        return Exchange(
            link,
            serve,
            memory=self._memory,
            limits=self._limits,
            raise_event=self._raise_event,
            tolerance=self._tolerance,
        )
