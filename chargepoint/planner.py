"""What the next attempt to connect is made with, from the settings, the configuration and the certificate store.

One `Attempt` a security profile; the address is the profile's own, else the configured one with scheme and port
switched. The same attempt, made for a profile that is only wanted, tells what an upgrade to it would lack
(A05.FR.02 to A05.FR.04).

Not done here: connecting, trying the fallback root (link.py), deciding whose turn it is where a profile or a password
(fallback.py), or a Charge Point certificate (security/enrolment.py) is on trial.
"""

from dataclasses import replace

from chargepoint import log
from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.configuration import Configuration
from chargepoint.fallback import Fallback
from chargepoint.settings import Settings
from security.enrolment import Enrolment
from security.profile import SecurityProfile, url_for
from security.store import CaDomain, CertificateStore


class Planner:
    """Makes attempts.

    Args:
        settings: identity, addresses and concessions.
        configuration: the rule for wildcards.
        fallback: profile and password.
        certificates: the roots.
        enrolment: the Charge Point certificate.
        clock: says which certificates are valid.
    """

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        fallback: Fallback,
        certificates: CertificateStore,
        enrolment: Enrolment,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._configuration = configuration
        self._fallback = fallback
        self._certificates = certificates
        self._enrolment = enrolment
        self._clock = clock

    async def plan(self) -> Attempt:
        """Return the attempt of this moment (A00.FR.001: in the one profile whose turn it is)."""
        self._fallback.begin_try()
        return self._attempt(self._fallback.profile)

    def missing_prerequisite(self, target: int) -> str | None:
        """Say what a profile lacks, None where it could be used (A05.FR.02, A05.FR.03, A05.FR.04).

        Expired certificates do not count here, although an attempt would be made with them.
        """
        now = self._clock.now() if self._clock.is_set else None
        attempt = self._attempt(SecurityProfile(target))
        own = self._enrolment.choose(now)
        usable = replace(
            attempt,
            roots=tuple(
                root.pem.encode("ascii")
                for root in self._certificates.roots(CaDomain.CENTRAL_SYSTEM)
                if root.has_begun(now) and not root.has_expired(now)
            ),
            client_certificate=own if own and own.leaf.has_begun(now) and not own.leaf.has_expired(now) else None,
        )
        impediment = usable.impediment(system_trust_store=self._settings.interop.system_trust_store)
        return impediment.what if impediment else None

    def _attempt(self, profile: SecurityProfile) -> Attempt:
        address = self._settings.central_system
        fallback = self._certificates.fallback_root
        password = self._fallback.password
        if password is not None:
            log.keep_secret(password)  # A01.FR.12: whatever a library may say about it, no log shows it
        return Attempt(
            profile=profile,
            url=url_for(profile, address.url, address.urls),
            identity=self._settings.charge_point.identity,
            authorization_key=password,
            roots=self._certificates.root_pems(CaDomain.CENTRAL_SYSTEM),
            client_certificate=self._enrolment.choose(self._clock.now() if self._clock.is_set else None),
            tls_server_name=address.tls_server_name,
            allow_wildcards=self._configuration.boolean("AllowCentralSystemTLSWildcards"),
            fallback_roots=(fallback.pem.encode("ascii"),) if fallback else (),
        )
