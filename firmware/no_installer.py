"""The installer of a Charge Point on which nobody installs firmware: it changes nothing and knows nothing."""

from firmware.installer import Image, InstallFailed, Outcome, Slots, Tell


class NoInstaller:
    """The installer where config.toml names none; every request is Rejected before it comes here."""

    @property
    def cancellable(self) -> bool:
        """Nothing is ever under way."""
        return True

    async def install(self, image: Image, tell: Tell) -> Outcome:
        """Refuse: an update that was begun with another configuration ends here."""
        raise InstallFailed("nobody installs firmware here, [firmware] installer is none")

    async def inspect(self) -> Slots:
        """Know of nothing."""
        return Slots(running_version=None, running_sha256=None, waiting_sha256=None, installing=False, confirmed=True)

    async def mark_good(self) -> None:
        """Nothing is on trial."""

    async def withdraw(self) -> bool:
        """Nothing waits."""
        return True

    async def running_version(self) -> str | None:
        """Not known here."""
        return None
