"""The table [logs] of config.toml: what the logs keep, and what of them is uploaded in which form."""
# ruff: noqa: RUF009 - `setting` returns a dataclass field, as dataclasses.field does

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from chargepoint.setting import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """[logs]: how much the security log and the queue of what is to be sent of it keep; the oldest events go first."""

    security_log_max_events: int = setting(
        20_000, unit="events", low=100, high=1_000_000, why="about 5 MB; years of ordinary life, days of an attack"
    )
    security_log_max_age: timedelta = setting(
        timedelta(days=365), unit="days", low=1, high=3650, why="an attack is often looked into months later"
    )
    event_queue_max_events: int = setting(
        10_000, unit="events", low=10, high=1_000_000, why="about 3 MB; more than an outage of months brings"
    )
    security_log_format: Literal["jsonl", "csv"] = setting(
        "jsonl", why="of the upload (docs/logs.md); JSON lines lose nothing, csv is for spreadsheets"
    )
    security_log_gzip: bool = setting(
        default=False, why="the upload is read as it is; true makes it a tenth, for links that are paid by the byte"
    )
    upload_retries: int = setting(
        3, unit="retries", low=0, high=100, why="where GetLog.req leaves it open; a short outage is survived"
    )
    upload_retry_interval: timedelta = setting(
        timedelta(seconds=60), unit="s", low=0, high=86_400, why="where GetLog.req has none; a modem is back by then"
    )
    agent_log_max_kib: int = setting(
        1024,
        unit="KiB",
        low=0,
        high=65_536,
        why="of one file of the agent's own log, days of ordinary life; 0 keeps none",
    )
    agent_log_files: int = setting(
        4, unit="files", low=1, high=20, why="the newest and three before it: a storm of lines leaves what led to it"
    )
    agent_log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", why="whatever standard error gets; debug writes some lines for each message, which wears flash out"
    )
    agent_log_write_after: timedelta = setting(
        timedelta(minutes=10),
        unit="s",
        low=1,
        high=86_400,
        why="spares the flash; a power cut takes so much of the log",
    )
    mask_id_tags: bool = setting(
        default=True, why="diagnostics go to people who need not know who charged; false leaves id tags in them"
    )
