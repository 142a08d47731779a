"""The steps of the demo about logs: uploaded over several schemes, and continued after a cut (N01)."""

import io
import json
import tarfile
from typing import Any, Final

from chargepoint.simulation.file_fault import CutAfter
from chargepoint.simulation.log_inbox import LogInbox, LogKind
from chargepoint.simulation.stage import Stage
from chargepoint.simulation.step import Step, demand

CUT_BYTES: Final = 300  #: bytes after which an upload is cut; a few events, so that more follow
NOT_SHOWN: Final = (
    "not shown: this installation lacks a library for it (pip install 'chargepoint[simulation,transfers]')"
)


async def _upload_security_log(stage: Stage) -> str:
    shown = []
    for server in (await stage.server_for("https"), await stage.server_for("sftp", "https")):
        content = await _upload(stage, LogInbox(server), "SecurityLog")
        events = [json.loads(line) for line in content.splitlines()]
        demand(events, "the file holds no event")
        shown.append(f"{len(events)} events by {server.scheme}")
    last = events[-1]
    return f"{', '.join(shown)}; the last: {last['timestamp']} {last['type']}"


async def _continue_an_upload(stage: Stage) -> str:
    server = await stage.server_for("ftp")
    server.add_fault(CutAfter(bytes=CUT_BYTES))
    content = await _upload(stage, LogInbox(server), "SecurityLog", retry_interval=0)
    first, *_, last = server.record.of("STOR", "APPE")
    demand(first.bytes == CUT_BYTES, f"{first.bytes} bytes came before the cut")
    demand(last.offset == CUT_BYTES, f"the upload went on at byte {last.offset}")
    return f"ftp cut after {CUT_BYTES} bytes, continued there: {len(content)} bytes in one file"


async def _upload_diagnostics(stage: Stage) -> str:
    server = await stage.server_for("ftps", "https")
    content = await _upload(stage, LogInbox(server), "DiagnosticsLog")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = sorted(name.rpartition("/")[2] for name in archive.getnames())
    demand(names, "the archive is empty")
    return f"by {server.scheme}, TLS all the way: {', '.join(names)}"


async def _upload(stage: Stage, inbox: LogInbox, kind: LogKind, *, retry_interval: int | None = None) -> bytes:
    """Order a log, see it announced, and return what has arrived."""
    order = inbox.log_request(kind, retries=2, retry_interval=retry_interval)
    conf = await stage.central_system.call("GetLog", order)
    demand(conf["status"] == "Accepted", f"GetLog.req was {conf['status']}")
    for status in ("Uploading", "Uploaded"):
        told: dict[str, Any] = await stage.central_system.expect("LogStatusNotification")
        demand(told == {"status": status, "requestId": order["requestId"]}, f"it told {told}, not {status}")
    return await inbox.received(conf["filename"])


LOG_STEPS: Final = (
    Step("Upload the security log", ("N01.FR.01", "N01.FR.02", "N01.FR.03", "N01.FR.09"), _upload_security_log),
    Step("Continue an upload after a cut", ("N01.FR.02", "N01.FR.07", "N01.FR.08"), _continue_an_upload),
    Step("Upload the diagnostics", ("N01.FR.04",), _upload_diagnostics),
)
