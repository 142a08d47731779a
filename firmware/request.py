"""A SignedUpdateFirmware.req as the update works with it: bounded, with times in UTC, and able to lie on the disk.

Guaranteed of a `FirmwareRequest` made by `of` or `from_json`: retries and retryInterval are within their bounds, and
both instants are aware.

What is *not* refused here, because the white paper has another place for it: a location that leads nowhere (L01.FR.26
lets the Central System cancel an update with one; it ends in DownloadFailed), and a signature that is missing or no
base64 (it ends in InvalidSignature). Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

MAX_RETRIES: Final = 100  #: retries; a Central System that says more means "for ever", which nobody wants
MAX_RETRY_INTERVAL: Final = timedelta(days=1)  #: time; between two tries; whoever waits longer asks again
MAX_SHOWN_LOCATION: Final = 120  #: characters; of a location in a status or a log line

_NO_LOCATION: Final = "a location that is no URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareRequest:
    """What the Central System wants installed.

    Attributes:
        request_id: goes into every notification of this update (L01.FR.10).
        location: where the image is; may hold a password, and is shown by `shown_location` only.
        retrieve_date_time: not fetched before, aware UTC.
        install_date_time: not installed before, aware UTC; None: as soon as possible (L01.FR.05).
        signing_certificate: PEM.
        signature: base64, as it came.
        retries: further tries after the first one (docs/decisions/0121); None leaves it to the Charge Point.
        retry_interval: between two tries; None leaves it to the Charge Point.
    """

    request_id: int
    location: str = field(repr=False)
    retrieve_date_time: datetime
    install_date_time: datetime | None
    signing_certificate: str = field(repr=False)
    signature: str = field(repr=False)
    retries: int | None
    retry_interval: timedelta | None

    @classmethod
    def of(
        cls,
        *,
        request_id: int,
        location: str,
        retrieve_date_time: datetime,
        signing_certificate: str,
        signature: str,
        install_date_time: datetime | None = None,
        retries: int | None = None,
        retry_interval_s: int | None = None,
    ) -> Self:
        """Take what a SignedUpdateFirmware.req says.

        Retries and retryInterval above their bounds are brought to the bound; below zero they say nothing.
        """
        most_s = int(MAX_RETRY_INTERVAL.total_seconds())
        return cls(
            request_id=request_id,
            location=location.strip(),
            retrieve_date_time=_aware(retrieve_date_time),
            install_date_time=install_date_time and _aware(install_date_time),
            signing_certificate=signing_certificate,
            signature=signature,
            retries=None if retries is None or retries < 0 else min(retries, MAX_RETRIES),
            retry_interval=(
                None
                if retry_interval_s is None or retry_interval_s < 0
                else timedelta(seconds=min(retry_interval_s, most_s))
            ),
        )

    @property
    def shown_location(self) -> str:
        """The location for people: without credentials and query, either of which may open the door to the server."""
        try:
            parts = urlsplit(self.location)
            host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        except ValueError:
            return _NO_LOCATION
        # An at sign behind the host may be the end of a password that holds a slash and was not percent-encoded.
        if not parts.scheme or not host or "@" in parts.path:
            return _NO_LOCATION
        return f"{parts.scheme}://{host}{parts.path}"[:MAX_SHOWN_LOCATION]

    @property
    def file_name(self) -> str | None:
        """The last name in the location's path, None where it ends in none."""
        try:
            path = urlsplit(self.location).path
        except ValueError:
            return None
        return unquote(path.rpartition("/")[2]) or None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads again."""
        interval = self.retry_interval
        return {
            "request_id": self.request_id,
            "location": self.location,
            "retrieve_date_time": self.retrieve_date_time.isoformat(),
            "install_date_time": self.install_date_time and self.install_date_time.isoformat(),
            "signing_certificate": self.signing_certificate,
            "signature": self.signature,
            "retries": self.retries,
            "retry_interval_s": None if interval is None else interval.total_seconds(),
        }

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Self:
        """Read what `to_json` has returned.

        Raises:
            ValueError: it has not.
        """
        try:
            install, interval = read["install_date_time"], read["retry_interval_s"]
            return cls.of(
                request_id=int(read["request_id"]),
                location=str(read["location"]),
                retrieve_date_time=datetime.fromisoformat(read["retrieve_date_time"]),
                install_date_time=None if install is None else datetime.fromisoformat(install),
                signing_certificate=str(read["signing_certificate"]),
                signature=str(read["signature"]),
                retries=None if read["retries"] is None else int(read["retries"]),
                retry_interval_s=None if interval is None else int(interval),
            )
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError("not a request for a firmware update") from error


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone")
    return instant
