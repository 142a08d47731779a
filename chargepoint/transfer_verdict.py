"""How the words of libcurl and of file servers are understood: a table.

The first rule that fits wins. What a server itself said comes before what libcurl made of it. A status of HTTP speaks
for itself; a reply of FTP counts only where libcurl failed of it. Nothing of what a server said comes out of here, for
it may repeat a user name or a password. Pure.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from chargepoint.transfer_fault import Direction, Family, TransferFault


class CurlCode(IntEnum):
    """The codes of libcurl that are looked at; they are part of its fixed interface, so pycurl need not be loaded."""

    OK = 0
    UNSUPPORTED_PROTOCOL = 1
    URL_MALFORMAT = 3
    NOT_BUILT_IN = 4
    COULDNT_RESOLVE_PROXY = 5
    COULDNT_RESOLVE_HOST = 6
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    REMOTE_ACCESS_DENIED = 9
    FTP_ACCEPT_FAILED = 10
    FTP_WEIRD_PASS_REPLY = 11
    FTP_WEIRD_PASV_REPLY = 13
    FTP_WEIRD_227_FORMAT = 14
    FTP_CANT_GET_HOST = 15
    FTP_COULDNT_SET_TYPE = 17
    PARTIAL_FILE = 18
    FTP_COULDNT_RETR_FILE = 19
    WRITE_ERROR = 23
    UPLOAD_FAILED = 25
    READ_ERROR = 26
    OPERATION_TIMEDOUT = 28
    FTP_COULDNT_USE_REST = 31
    RANGE_ERROR = 33
    SSL_CONNECT_ERROR = 35
    BAD_DOWNLOAD_RESUME = 36
    ABORTED_BY_CALLBACK = 42
    GOT_NOTHING = 52
    SEND_ERROR = 55
    RECV_ERROR = 56
    SSL_CERTPROBLEM = 58
    SSL_CIPHER = 59
    PEER_FAILED_VERIFICATION = 60
    BAD_CONTENT_ENCODING = 61
    FILESIZE_EXCEEDED = 63
    USE_SSL_FAILED = 64
    LOGIN_DENIED = 67
    REMOTE_DISK_FULL = 70
    SSL_CACERT_BADFILE = 77
    REMOTE_FILE_NOT_FOUND = 78
    SSH = 79
    SSL_ISSUER_ERROR = 83
    SSL_INVALID_CERT_STATUS = 91
    TOO_LARGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an exchange with a server ended.

    Attributes:
        family: by which protocol.
        direction: which way.
        code: libcurl's.
        reply: the last status of HTTP or reply of FTP, 0 where there was none.
        said: the text beside it.
        connected: whether the server had answered at all.
    """

    family: Family
    direction: Direction
    code: int
    reply: int = 0
    said: str = ""
    connected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row of the table; what is None fits everything."""

    fault: TransferFault
    family: Family | None = None
    direction: Direction | None = None
    codes: frozenset[int] | None = None
    replies: range | frozenset[int] | None = None
    says: re.Pattern[str] | None = None
    connected: bool | None = None

    def fits(self, ending: Ending) -> bool:
        """Whether this row speaks of such an ending."""
        return (
            self.family in (None, ending.family)
            and self.direction in (None, ending.direction)
            and (self.codes is None or ending.code in self.codes)
            and (self.replies is None or ending.reply in self.replies)
            and (self.says is None or self.says.search(ending.said) is not None)
            and self.connected in (None, ending.connected)
        )


def _http(fault: TransferFault, *replies: int, direction: Direction | None = None) -> Rule:
    return Rule(fault=fault, family=Family.HTTP, direction=direction, replies=frozenset(replies))


def _ftp(
    fault: TransferFault, *replies: int, direction: Direction | None = None, says: re.Pattern[str] | None = None
) -> Rule:
    return Rule(
        fault=fault, family=Family.FTP, direction=direction, codes=_OF_REPLY, replies=frozenset(replies), says=says
    )


def _curl(fault: TransferFault, *codes: CurlCode, family: Family | None = None, connected: bool | None = None) -> Rule:
    return Rule(fault=fault, family=family, codes=frozenset(codes), connected=connected)


_OF_REPLY: Final = frozenset(
    {
        CurlCode.REMOTE_ACCESS_DENIED,
        CurlCode.FTP_ACCEPT_FAILED,
        CurlCode.FTP_COULDNT_SET_TYPE,
        CurlCode.PARTIAL_FILE,
        CurlCode.FTP_COULDNT_RETR_FILE,
        CurlCode.UPLOAD_FAILED,
        CurlCode.FTP_COULDNT_USE_REST,
        CurlCode.SEND_ERROR,
        CurlCode.RECV_ERROR,
        CurlCode.LOGIN_DENIED,
        CurlCode.REMOTE_DISK_FULL,
        CurlCode.REMOTE_FILE_NOT_FOUND,
        CurlCode.WEIRD_SERVER_REPLY,
    }
)
"""The codes of libcurl that follow from a reply of an FTP server."""

# FTP has one reply, 550, for what is not there and for what is not permitted; only its text tells, in most servers.
_IS_MISSING: Final = re.compile(r"no such|not found|cannot find|can't find|n't exist|not exist", re.IGNORECASE)
_IS_FORBIDDEN: Final = re.compile(r"permi|privilege|denied|allowed|forbidden|read-?only", re.IGNORECASE)
_IS_FULL: Final = re.compile(r"no space|disk full|quota|storage|not enough space", re.IGNORECASE)

_F, _U, _D = TransferFault, Direction.UPLOAD, Direction.DOWNLOAD

RULES: Final[tuple[Rule, ...]] = (
    _http(_F.LOGIN_REFUSED, 401, 407, 511),
    _http(_F.PERMISSION_DENIED, 403, 451),
    _http(_F.NOT_FOUND, 404, 410),
    _http(_F.NOT_FOUND, 409, direction=_U),  # RFC 4918, section 9.7.1: the directory of a PUT is missing
    _http(_F.NOT_SUPPORTED, 405, 501, 505),
    _http(_F.TOO_LARGE, 413, direction=_U),
    _http(_F.REMOTE_FULL, 507),
    Rule(fault=_F.BAD_ANSWER, family=Family.HTTP, replies=range(300, 400)),
    Rule(fault=_F.FAILED, family=Family.HTTP, replies=range(400, 600)),
    _ftp(_F.LOGIN_REFUSED, 430, 530, 532),
    _ftp(_F.NOT_TRUSTED, 431, 522, 533, 534, 535, 536, 537),
    _ftp(_F.REMOTE_FULL, 452, 552, direction=_U),
    _ftp(_F.REMOTE_FULL, 426, 450, 451, 550, direction=_U, says=_IS_FULL),
    _ftp(_F.NOT_FOUND, 550, direction=_U, says=_IS_MISSING),
    _ftp(_F.PERMISSION_DENIED, 550, 553, direction=_U),
    _ftp(_F.PERMISSION_DENIED, 550, 553, direction=_D, says=_IS_FORBIDDEN),
    _ftp(_F.NOT_FOUND, 550, 553, direction=_D),
    _ftp(_F.NOT_SUPPORTED, 500, 502, 504),
    _ftp(_F.INTERRUPTED, 421, 425, 426),
    _ftp(_F.FAILED, 450, 451, 501, 503, 551),
    # Our own schemes are judged before: libcurl says so of an answer that is not of the protocol.
    _curl(_F.BAD_ANSWER, CurlCode.UNSUPPORTED_PROTOCOL, connected=True),
    _curl(_F.UNSUPPORTED_SCHEME, CurlCode.UNSUPPORTED_PROTOCOL, CurlCode.NOT_BUILT_IN),
    _curl(_F.BAD_URL, CurlCode.URL_MALFORMAT),
    _curl(_F.NAME_UNKNOWN, CurlCode.COULDNT_RESOLVE_HOST, CurlCode.COULDNT_RESOLVE_PROXY),
    _curl(_F.UNREACHABLE, CurlCode.COULDNT_CONNECT),
    _curl(_F.UNREACHABLE, CurlCode.OPERATION_TIMEDOUT, connected=False),
    _curl(_F.STALLED, CurlCode.OPERATION_TIMEDOUT),
    _curl(_F.HOST_KEY_NOT_TRUSTED, CurlCode.PEER_FAILED_VERIFICATION, family=Family.SFTP),
    _curl(
        _F.NOT_TRUSTED,
        CurlCode.PEER_FAILED_VERIFICATION,
        CurlCode.SSL_CERTPROBLEM,
        CurlCode.SSL_CIPHER,
        CurlCode.USE_SSL_FAILED,
        CurlCode.SSL_CACERT_BADFILE,
        CurlCode.SSL_ISSUER_ERROR,
        CurlCode.SSL_INVALID_CERT_STATUS,
    ),
    _curl(_F.LOGIN_REFUSED, CurlCode.LOGIN_DENIED),
    _curl(_F.PERMISSION_DENIED, CurlCode.REMOTE_ACCESS_DENIED),
    _curl(_F.NOT_FOUND, CurlCode.REMOTE_FILE_NOT_FOUND),
    _curl(_F.REMOTE_FULL, CurlCode.REMOTE_DISK_FULL),
    _curl(_F.TOO_LARGE, CurlCode.FILESIZE_EXCEEDED),
    _curl(
        _F.BAD_ANSWER,
        CurlCode.WEIRD_SERVER_REPLY,
        CurlCode.FTP_WEIRD_PASS_REPLY,
        CurlCode.FTP_WEIRD_PASV_REPLY,
        CurlCode.FTP_WEIRD_227_FORMAT,
        CurlCode.FTP_CANT_GET_HOST,
        CurlCode.BAD_CONTENT_ENCODING,
        CurlCode.TOO_LARGE,
    ),
    _curl(
        _F.INTERRUPTED,
        CurlCode.PARTIAL_FILE,
        CurlCode.GOT_NOTHING,
        CurlCode.SEND_ERROR,
        CurlCode.RECV_ERROR,
        CurlCode.FTP_ACCEPT_FAILED,
    ),
)
"""How each ending is understood; what stands in no row is FAILED."""


def fault_of(ending: Ending) -> TransferFault:
    """Return what a failed exchange failed of."""
    return next((rule.fault for rule in RULES if rule.fits(ending)), TransferFault.FAILED)
