"""What a Charge Point did that OCPP-J 1.6 or the white paper does not allow.

A finding is a statement, not an error: the Central System goes on, so that one run shows all that is wrong.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Rule(StrEnum):
    """The rules that are watched."""

    FRAME = "not an OCPP-J frame"
    BINARY_FRAME = "a binary frame"
    SCHEMA = "a payload that breaks its schema"
    UNKNOWN_ACTION = "an action that no Charge Point sends"
    REPEATED_ID = "a message id used twice on one connection"
    OVERLAPPING_CALL = "a CALL while another one is still unanswered"
    UNKNOWN_ANSWER = "an answer to an id that was never asked"
    REPEATED_ANSWER = "a second answer to one CALL"
    ERROR_CODE = "a CALLERROR code that Table 7 does not have"
    BEFORE_BOOT = "a CALL before BootNotification was accepted"
    ANSWER_WHILE_REJECTED = "an answer while BootNotification is rejected"
    EARLY_BOOT = "a BootNotification before the interval was over"
    SUBPROTOCOL = "no subprotocol ocpp1.6 in the upgrade request"
    BASIC_HEADER = "a Basic header that is malformed or names somebody else"
    HEX_CREDENTIAL = "the hex digits of AuthorizationKey as password instead of its bytes"
    UNASKED_CREDENTIAL = "a Basic header in a profile that has none"
    TLS_OFFER = "a ClientHello against A00.FR.312 or A00.FR.318"
    UNASKED_IDLE = "the status Idle although nobody has asked"
    UNASKED_STATUS = "a status of something that was never ordered"
    MISSING_REQUEST_ID = "a status without the requestId of its order"
    STATUS_ORDER = "a status that cannot follow the one before"
    STATUS_OF_CANCELED = "a new status of an order that was canceled"
    UNKNOWN_TRANSACTION = "a transactionId that was never given out"
    SECOND_STOP = "a second, different StopTransaction of one transaction"
    WEBSOCKET = "a WebSocket frame against RFC 6455"


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach.

    Attributes:
        rule: the rule that was broken.
        detail: how, never with a secret in it.
        identity: the Charge Point, "" while unknown.
        connection: number of the connection.
        found_at: when, aware UTC.
    """

    rule: Rule
    detail: str
    identity: str
    connection: int
    found_at: datetime

    def __str__(self) -> str:
        return f"{self.identity or 'unknown Charge Point'}: {self.rule} ({self.detail})"
