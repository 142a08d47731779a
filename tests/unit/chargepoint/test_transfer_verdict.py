"""How endings are understood: the table, row by row."""

import pytest

from chargepoint.transfer_fault import Direction, Family, TransferFailed, TransferFault
from chargepoint.transfer_verdict import CurlCode, Ending, fault_of

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD
F = TransferFault


@pytest.mark.parametrize(
    ("reply", "direction", "fault"),
    [
        (401, UP, F.LOGIN_REFUSED),
        (403, UP, F.PERMISSION_DENIED),
        (407, DOWN, F.LOGIN_REFUSED),
        (404, DOWN, F.NOT_FOUND),
        (410, DOWN, F.NOT_FOUND),
        (409, UP, F.NOT_FOUND),
        (409, DOWN, F.FAILED),
        (405, UP, F.NOT_SUPPORTED),
        (501, UP, F.NOT_SUPPORTED),
        (413, UP, F.TOO_LARGE),
        (507, UP, F.REMOTE_FULL),
        (302, DOWN, F.BAD_ANSWER),
        (400, UP, F.FAILED),
        (503, DOWN, F.FAILED),
    ],
)
@pytest.mark.parametrize("code", [CurlCode.OK, CurlCode.SEND_ERROR])
def test_a_status_of_http_speaks_for_itself(
    reply: int, direction: Direction, fault: TransferFault, code: CurlCode
) -> None:
    assert fault_of(Ending(family=Family.HTTP, direction=direction, code=code, reply=reply, connected=True)) is fault


@pytest.mark.parametrize(
    ("code", "reply", "said", "direction", "fault"),
    [
        (CurlCode.LOGIN_DENIED, 530, "Login incorrect.", UP, F.LOGIN_REFUSED),
        (CurlCode.UPLOAD_FAILED, 530, "Please log in", UP, F.LOGIN_REFUSED),
        (CurlCode.UPLOAD_FAILED, 532, "Need account", UP, F.LOGIN_REFUSED),
        (CurlCode.UPLOAD_FAILED, 550, "Permission denied.", UP, F.PERMISSION_DENIED),
        (CurlCode.UPLOAD_FAILED, 553, "Could not create file.", UP, F.PERMISSION_DENIED),
        (CurlCode.REMOTE_ACCESS_DENIED, 550, "Failed to change directory.", UP, F.PERMISSION_DENIED),
        (CurlCode.REMOTE_ACCESS_DENIED, 550, "logs: No such file or directory", UP, F.NOT_FOUND),
        (CurlCode.REMOTE_ACCESS_DENIED, 550, "The system cannot find the file specified.", UP, F.NOT_FOUND),
        (CurlCode.FTP_COULDNT_RETR_FILE, 550, "Failed to open file.", DOWN, F.NOT_FOUND),
        (CurlCode.FTP_COULDNT_RETR_FILE, 550, "Not enough privileges.", DOWN, F.PERMISSION_DENIED),
        (CurlCode.REMOTE_FILE_NOT_FOUND, 550, "", DOWN, F.NOT_FOUND),
        (CurlCode.PARTIAL_FILE, 452, "", UP, F.REMOTE_FULL),
        (CurlCode.REMOTE_DISK_FULL, 552, "", UP, F.REMOTE_FULL),
        (CurlCode.PARTIAL_FILE, 426, "Failure writing: no space left on device", UP, F.REMOTE_FULL),
        (CurlCode.UPLOAD_FAILED, 502, "Command not implemented.", UP, F.NOT_SUPPORTED),
        (CurlCode.UPLOAD_FAILED, 534, "Policy requires SSL", UP, F.NOT_TRUSTED),
        (CurlCode.PARTIAL_FILE, 426, "Connection closed; transfer aborted.", DOWN, F.INTERRUPTED),
        (CurlCode.RECV_ERROR, 421, "Idle timeout", DOWN, F.INTERRUPTED),
        (CurlCode.PARTIAL_FILE, 451, "Local error", UP, F.FAILED),
        (CurlCode.USE_SSL_FAILED, 500, "AUTH not understood", UP, F.NOT_TRUSTED),
        (CurlCode.OPERATION_TIMEDOUT, 550, "No such file", UP, F.STALLED),
    ],
)
def test_a_reply_of_ftp_counts_where_libcurl_failed_of_it(
    code: CurlCode, reply: int, said: str, direction: Direction, fault: TransferFault
) -> None:
    ending = Ending(family=Family.FTP, direction=direction, code=code, reply=reply, said=said, connected=True)
    assert fault_of(ending) is fault


@pytest.mark.parametrize(
    ("code", "family", "connected", "fault"),
    [
        (CurlCode.UNSUPPORTED_PROTOCOL, Family.SFTP, False, F.UNSUPPORTED_SCHEME),
        (CurlCode.UNSUPPORTED_PROTOCOL, Family.HTTP, True, F.BAD_ANSWER),
        (CurlCode.URL_MALFORMAT, Family.HTTP, False, F.BAD_URL),
        (CurlCode.COULDNT_RESOLVE_HOST, Family.HTTP, False, F.NAME_UNKNOWN),
        (CurlCode.COULDNT_RESOLVE_PROXY, Family.HTTP, False, F.NAME_UNKNOWN),
        (CurlCode.COULDNT_CONNECT, Family.FTP, False, F.UNREACHABLE),
        (CurlCode.OPERATION_TIMEDOUT, Family.FTP, False, F.UNREACHABLE),
        (CurlCode.OPERATION_TIMEDOUT, Family.FTP, True, F.STALLED),
        (CurlCode.PEER_FAILED_VERIFICATION, Family.HTTP, True, F.NOT_TRUSTED),
        (CurlCode.PEER_FAILED_VERIFICATION, Family.SFTP, True, F.HOST_KEY_NOT_TRUSTED),
        (CurlCode.SSL_CONNECT_ERROR, Family.HTTP, True, F.FAILED),
        (CurlCode.LOGIN_DENIED, Family.SFTP, True, F.LOGIN_REFUSED),
        (CurlCode.REMOTE_ACCESS_DENIED, Family.SFTP, True, F.PERMISSION_DENIED),
        (CurlCode.REMOTE_FILE_NOT_FOUND, Family.SFTP, True, F.NOT_FOUND),
        (CurlCode.REMOTE_DISK_FULL, Family.SFTP, True, F.REMOTE_FULL),
        (CurlCode.FILESIZE_EXCEEDED, Family.HTTP, True, F.TOO_LARGE),
        (CurlCode.WEIRD_SERVER_REPLY, Family.FTP, True, F.BAD_ANSWER),
        (CurlCode.FTP_WEIRD_227_FORMAT, Family.FTP, True, F.BAD_ANSWER),
        (CurlCode.GOT_NOTHING, Family.HTTP, True, F.INTERRUPTED),
        (CurlCode.SEND_ERROR, Family.HTTP, True, F.INTERRUPTED),
        (CurlCode.PARTIAL_FILE, Family.HTTP, True, F.INTERRUPTED),
        (CurlCode.SSH, Family.SFTP, True, F.FAILED),
        (9999, Family.HTTP, True, F.FAILED),
    ],
)
def test_else_the_code_of_libcurl_decides(code: int, family: Family, fault: TransferFault, *, connected: bool) -> None:
    assert fault_of(Ending(family=family, direction=UP, code=code, connected=connected)) is fault


def test_only_what_may_pass_by_itself_is_worth_retrying() -> None:
    worth = {fault for fault in TransferFault if TransferFailed(fault).worth_retrying}
    assert worth == {
        F.NAME_UNKNOWN,
        F.UNREACHABLE,
        F.INTERRUPTED,
        F.STALLED,
        F.REMOTE_FULL,
        F.LOCAL_DISK,
        F.FAILED,
    }


def test_a_failure_says_what_and_why() -> None:
    failed = TransferFailed(TransferFault.NOT_FOUND, "ftp://h/x")
    assert str(failed) == "the server has no such file or directory: ftp://h/x"
    assert TransferFailed(TransferFault.NOT_FOUND).detail == "the server has no such file or directory"
