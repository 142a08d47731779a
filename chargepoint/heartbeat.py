"""When the next Heartbeat.req is due.

Any message tells the Central System that the Charge Point lives, so OCPP 1.6 (section 4.6) lets it leave out a
heartbeat as long as others were sent within the interval. But only the answer to a heartbeat brings the time, so one
goes out every day whatever else is said. Pure: time arrives as an argument.
"""

from datetime import timedelta
from typing import Final

LONGEST_SILENCE: Final = timedelta(days=1)  #: time; OCPP 1.6 section 4.6 advises a heartbeat every 24 hours


def next_heartbeat_in(interval: timedelta, since_sent: timedelta, since_heartbeat: timedelta) -> timedelta:
    """How long to wait until a Heartbeat.req is due; zero or less means now.

    Args:
        interval: HeartbeatInterval; zero asks for no more than the daily one.
        since_sent: how long ago the Charge Point sent any message.
        since_heartbeat: how long ago it got the last currentTime.
    """
    daily = LONGEST_SILENCE - since_heartbeat
    if interval <= timedelta():
        return daily
    return min(interval - since_sent, daily)
