"""The answers of a Central System that is content: one valid .conf for every .req that a Charge Point can send.

Not done here: judging the sender (connection.py), steps that a test orders instead (script.py).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from chargepoint.simulation.frame import Payload
from chargepoint.simulation.transactions import Transactions

HEARTBEAT_INTERVAL: Final = timedelta(seconds=300)  #: interval of BootNotification.conf; usual in the field

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class Duty:
    """Answers requests.

    Attributes:
        clock: the Central System's time, for currentTime.
        heartbeat_interval: interval of BootNotification.conf.
        transactions: the transactions of all Charge Points.
    """

    def __init__(self, clock: Clock = system_clock, heartbeat_interval: timedelta = HEARTBEAT_INTERVAL) -> None:
        self.clock = clock
        self.heartbeat_interval = heartbeat_interval
        self.transactions = Transactions()

    def answer(self, action: str, request: Payload, identity: str = "") -> Payload:
        """Return the payload of the .conf to a Charge Point's request that is valid by its schema."""
        match action:
            case "BootNotification":
                interval = int(self.heartbeat_interval.total_seconds())
                return {"status": "Accepted", "currentTime": self.current_time(), "interval": interval}
            case "Heartbeat":
                return {"currentTime": self.current_time()}
            case "Authorize":
                return {"idTagInfo": {"status": "Accepted"}}
            case "StartTransaction":
                number = self.transactions.number_of(identity, request)
                return {"idTagInfo": {"status": "Accepted"}, "transactionId": number}
            case "StopTransaction":
                return {"idTagInfo": {"status": "Accepted"}} if "idTag" in request else {}
            case "DataTransfer":
                return {"status": "UnknownVendorId"}
            case "SignCertificate":  # A02.FR.11, A02.FR.12, A03.FR.11, A03.FR.12
                return {"status": "Accepted" if _is_request(request["csr"]) else "Rejected"}
        return {}

    def current_time(self) -> str:
        """Return the Central System's time as it goes over the wire."""
        return self.clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_request(csr: str) -> bool:
    try:
        return x509.load_pem_x509_csr(csr.encode()).is_signature_valid
    except ValueError:
        return False
