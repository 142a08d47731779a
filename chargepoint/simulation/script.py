"""What a test has the simulated Central System do instead of answering well.

A step stands for an action, or for ``"*"``, every action without steps of its own. Steps with a number of `times` are
used up first, in the order given; the standing step, of which there is one an action, comes after them.

Nothing here waits or sends: the connection carries the steps out.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chargepoint.simulation import schema
from chargepoint.simulation.frame import Payload

ANY_ACTION: Final = "*"


@dataclass(frozen=True, slots=True)
class Answer:
    """A CALLRESULT with this payload, or what the function makes of the request's payload.

    Attributes:
        payload: the answer, or a function from the request's payload to it.
        checked: refuse an answer that breaks its schema; False to send a bad one on purpose.
    """

    payload: Mapping[str, Any] | Callable[[Payload], Mapping[str, Any]]
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Error:
    """A CALLERROR."""

    code: str = "InternalError"
    description: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer at all."""


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes (binary message) or this text instead of an answer; ``{id}`` in a text becomes the message id."""

    data: str | bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The TCP connection dropped instead of an answer, with a RST if `reset`."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class WrongId:
    """The usual answer under another message id."""

    unique_id: str = "not-the-id-that-was-asked"


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual answer; with `times`, so many requests go well before the next step."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """Another step, once the event is set; meanwhile other messages are served."""

    until: asyncio.Event
    then: "Step" = Usual()


Step = Answer | Error | Silence | Raw | Cut | WrongId | Usual | Delayed


class Script:
    """The steps of all actions."""

    def __init__(self) -> None:
        self._counted: dict[str, deque[Step]] = {}
        self._standing: dict[str, Step] = {}

    def add(self, action: str, step: Step, times: int | None = None) -> None:
        """Add a step for an action: `times` times, or from now on.

        Raises:
            ValueError: the action is none that a Charge Point sends, or an answer breaks its schema.
        """
        if action != ANY_ACTION and action not in schema.FROM_CHARGE_POINT:
            raise ValueError(f"no Charge Point sends {action!r}")
        if isinstance(step, Answer) and step.checked and isinstance(step.payload, Mapping) and action != ANY_ACTION:
            try:
                schema.check_response(action, dict(step.payload))
            except schema.Violation as violation:
                raise ValueError(f"this is no {action}.conf: {violation.reason}") from violation
        if times is None:
            self._standing[action] = step
        else:
            self._counted.setdefault(action, deque()).extend([step] * times)

    def clear(self, action: str | None = None) -> None:
        """Forget the steps of an action, or all of them."""
        for steps in (self._counted, self._standing):
            if action is None:
                steps.clear()
            else:
                steps.pop(action, None)

    def next(self, action: str) -> Step:
        """Use up and return the step for a request that has just come."""
        for name in (action, ANY_ACTION):
            if counted := self._counted.get(name):
                return counted.popleft()
            if name in self._standing:
                return self._standing[name]
        return Usual()
