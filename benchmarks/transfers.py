"""How fast files come and go beside the `curl` program, what that takes of memory, and what it does to the event loop.

Guaranteed: the server is a process of its own and the same for both; ours runs in a fresh process each time; ours and
curl go by turns. A download of ours is on the disk, hashed and verified when its time is taken; the other is only
hashed.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.bed import Bed
from benchmarks.process import Broken
from benchmarks.result import Of, Row, Wish
from chargepoint.simulation.firmware_signing import sha256_of, sign
from chargepoint.simulation.pki import Pki

HERE: Final = Path(__file__).parent
MIB: Final = 1_048_576
FILE_BYTES: Final = 1024 * MIB
QUICK_FILE_BYTES: Final = 128 * MIB
REPETITIONS: Final = 5
QUICK_REPETITIONS: Final = 2

UPLOAD_WISH: Final = Wish(0.9, at_least=True)
DOWNLOAD_WISH: Final = Wish(0.85, at_least=True)
MEMORY_WISH: Final = Wish(16, of=Of.VALUE)
DELAY_WISH: Final = Wish(3)


async def measure(bed: Bed) -> list[Row]:
    """Send by HTTP and FTP, then fetch by HTTP."""
    if shutil.which("curl") is None or shutil.which("sha256sum") is None:
        raise Broken("the programs curl and sha256sum are needed as baselines")
    size_bytes = QUICK_FILE_BYTES if bed.quick else FILE_BYTES
    with TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        file = directory / "file"
        await asyncio.to_thread(_fill, file, size_bytes)
        signed = await asyncio.to_thread(_sign, file)
        async with _server(file) as (http, ftp):
            rows = []
            for what, kind, url in (
                ("upload by http", "upload", f"http://127.0.0.1:{http}/log"),
                ("upload by ftp", "upload", f"ftp://127.0.0.1:{ftp}/log"),
                ("download by http with SHA-256 and signature", "download", f"http://127.0.0.1:{http}/image"),
            ):
                rows += await _compared(what, kind, url, file, signed, quick=bed.quick)
    return rows


async def _compared(what: str, kind: str, url: str, file: Path, signed: tuple[str, str], *, quick: bool) -> list[Row]:
    ours, bare = [], []
    for _ in range(QUICK_REPETITIONS if quick else REPETITIONS):
        bare.append(await _curl(kind, url, file))
        ours.append(await _ours(kind, url, file, signed))
    mib = (QUICK_FILE_BYTES if quick else FILE_BYTES) / MIB
    return [
        Row(
            f"{what}, {mib:.0f} MiB, beside curl",
            "MiB/s",
            [mib / each["seconds"] for each in ours],
            [mib / seconds for seconds in bare],
            DOWNLOAD_WISH if kind == "download" else UPLOAD_WISH,
        ),
        Row(f"growth of memory by it ({what})", "MiB", [each["growth"] / MIB for each in ours], wish=MEMORY_WISH),
        Row(
            f"delay of the event loop, 99 of 100, beside an idle one ({what})",
            "ms",
            [each["busy"] * 1000 for each in ours],
            [each["idle"] * 1000 for each in ours],
            DELAY_WISH,
        ),
    ]


async def _ours(kind: str, url: str, file: Path, signed: tuple[str, str]) -> dict[str, Any]:
    target = file.with_name("fetched") if kind == "download" else file
    told = (kind, url, target, *signed)
    found: dict[str, Any] = json.loads(await _run(sys.executable, "-m", "benchmarks.transfer_run", *told))
    if kind == "download":
        target.unlink()
    return found


async def _curl(kind: str, url: str, file: Path) -> float:
    began = time.perf_counter()
    if kind == "upload":
        await _run("curl", "-sS", "--noproxy", "*", "-T", file, url)
    else:
        reading, writing = os.pipe()
        hashing = asyncio.create_task(_run("sha256sum", stdin=reading))
        await _run("curl", "-sS", "--noproxy", "*", url, stdout=writing)
        await hashing
    return time.perf_counter() - began


async def _run(*command: str | Path, stdin: int = asyncio.subprocess.DEVNULL, stdout: int | None = None) -> bytes:
    """Run a program and return what it says; the ends of pipes that it is given are closed here."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=HERE.parent,
    )
    for end in (stdin, stdout):
        if end is not None and end >= 0:
            os.close(end)
    try:
        said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Broken(f"{command[0]} failed: {complaint.decode('utf-8', 'replace')[-500:]}")
    return said or b""


@asynccontextmanager
async def _server(file: Path) -> AsyncIterator[tuple[int, int]]:
    """Run the server; yields its ports for HTTP and FTP."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, HERE / "bare_file_server.py", file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        http, ftp = map(int, (await process.stdout.readline()).split())
        yield http, ftp
    finally:
        process.stdin.close()
        await process.wait()


def _fill(file: Path, size_bytes: int) -> None:
    with file.open("wb") as content:
        for _ in range(size_bytes // MIB):
            content.write(os.urandom(MIB))


def _sign(file: Path) -> tuple[str, str]:
    """Return a signing certificate and the signature over the file."""
    signing = Pki.create().firmware_signing_certificate()
    return signing.certificate_pem.decode(), sign(sha256_of(file), signing)
