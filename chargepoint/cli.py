"""The command line: arguments in, exit codes out.

Guaranteed: an error that can be foreseen is a line that says what, where and what to do, and an exit code of `Exit`; a
traceback means a fault of ours. Whatever may hold a secret is masked.
Not done here: the work. What only some commands need is imported by them alone.
"""
# ruff: noqa: T201 - a command line prints

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from chargepoint import __version__, control_client, log
from chargepoint.configuration_key import Kind
from chargepoint.configuration_table import KEYS
from chargepoint.control_client import MethodFailed, NoAgent, NotAnswered
from chargepoint.mistake import SettingsError, printable
from chargepoint.redact import MASK
from chargepoint.settings import Settings, load
from chargepoint.state import StateUnusable

T = TypeVar("T")

CONFIG_VARIABLE: Final = "CHARGEPOINT_CONFIG"
CERTIFICATE_USES: Final = ("central-system-root", "manufacturer-root", "charge-point-root", "charge-point-certificate")
SECRET_KEYS: Final = frozenset(key.name.lower() for key in KEYS.values() if key.kind is Kind.SECRET)
"""Configuration keys whose value is not shown, in lower case."""
SET: Final = ("Accepted", "RebootRequired")
"""The answers of `configuration.set` that mean that a key has its new value."""


class Exit(IntEnum):
    """What the exit status says; 1 is Python's own, too, for what nobody foresaw: to start again may help."""

    OK = 0
    FAILED = 1
    REFUSED = 2
    STATE_UNUSABLE = 3
    NO_AGENT = 4
    METHOD_FAILED = 5
    INTERRUPTED = 130


class Refused(Exception):
    """Raised by a command that will not do what was asked; the text says why, a line for each reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Args:
        arguments: what follows the program's name; those of the process where None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(given).parse_args(given)
    log.set_up("text", "warning")  # `run` has its own wish
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()  # here, where a reader that has gone is expected
        return status
    except SettingsError as error:
        return _fail(Exit.REFUSED, *map(str, error.mistakes))
    except Refused as error:
        return _fail(Exit.REFUSED, *str(error).splitlines())
    except StateUnusable as error:
        return _fail(Exit.STATE_UNUSABLE, str(error))
    except (NoAgent, NotAnswered) as error:
        return _fail(Exit.NO_AGENT, str(error))
    except MethodFailed as error:
        details = [] if error.data is None else [json.dumps(error.data)]
        return _fail(Exit.METHOD_FAILED, f"{error} (code {error.code})", *details)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does. Python would complain once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    import logging

    log.set_up(options.log_format, options.log_level)
    logger = logging.getLogger("chargepoint.cli")
    try:
        settings = load(_config_path(options))
        for warning in settings.warnings:
            logger.warning("%s", warning)
        gc.disable()  # what is imported stays: a tenth of the start would go into looking for garbage in it
        from chargepoint import agent  # not before the configuration is known to be good: it is the heavy part
        from chargepoint.hardware.port import HardwareFailed

        gc.freeze()
        gc.enable()
        try:
            return _complete(agent.run(settings))
        except HardwareFailed as error:
            logger.error("%s", error)
            return Exit.FAILED
    except SettingsError as error:
        for mistake in error.mistakes:
            logger.error("%s", mistake)
        return Exit.REFUSED
    except Refused as error:
        logger.error("%s", error)
        return Exit.REFUSED
    except StateUnusable as error:
        logger.error("%s", error)
        return Exit.STATE_UNUSABLE


def _check(options: argparse.Namespace) -> int:
    path = _config_path(options)
    try:
        settings = load(path)
        from chargepoint import local

        local.check_passphrase(settings)
    except SettingsError as error:
        for mistake in error.mistakes:
            print(mistake)
        return Exit.REFUSED
    for warning in (*settings.warnings, *local.lacking(settings)):
        print(f"warning: {warning}")
    for key in local.overridden(settings):
        print(f"note: {key} has been set since; what the state directory keeps wins over {path}")
    print(f"{path} is good")
    return Exit.OK


def _demo(options: argparse.Namespace) -> int:
    from chargepoint.simulation import demo

    return int(demo.main(json=options.json))


def _central_system(options: argparse.Namespace) -> int:
    from chargepoint.simulation import command

    return int(command.main(options))


def _status(options: argparse.Namespace) -> int:
    status = _ask(load(_config_path(options)), "status")
    if options.json:
        print(json.dumps(status, indent=2))
        return Exit.OK
    from chargepoint import status_text

    print("\n".join(status_text.render(status)))
    return Exit.OK


def _configure(options: argparse.Namespace) -> int:
    values = _values(options.values)
    settings = load(_config_path(options))
    try:
        _ask(settings, "configuration.set", {"values": values})
        problems = []
    except MethodFailed as error:
        problems = str(error).splitlines()
        if isinstance(error.data, dict):  # key -> status
            problems += [f"{key} was set" for key, status in error.data.items() if status in SET]
    except NoAgent:
        from chargepoint import local

        problems = _complete(local.configure(settings, values))
        refused = {problem.partition(":")[0].lower() for problem in problems}
        if problems:
            problems += [f"{key} was set" for key in values if key.lower() not in refused]
    if problems:
        raise Refused("\n".join(problems))
    for key, value in values.items():
        print(f"{key} = {MASK if key.lower() in SECRET_KEYS else value}")
    return Exit.OK


def _install(options: argparse.Namespace) -> int:
    settings = load(_config_path(options))
    is_own = options.use == "charge-point-certificate"
    if is_own and options.key is None:
        raise Refused("a Charge Point certificate needs its private key: add --key FILE")
    if not is_own and options.key is not None:
        raise Refused("--key goes with --as charge-point-certificate only")
    pem, key = _read_pem(options.file), options.key and _read_pem(options.key)
    try:
        _ask(settings, "certificates.install", {"pem": pem, "use": options.use, "key": key})
    except MethodFailed as error:
        raise Refused(f"{options.file}: {error}") from error
    except NoAgent:
        from chargepoint import local

        if problem := _complete(local.install(settings, pem=pem, use=options.use, key=key)):
            raise Refused(f"{options.file}: {problem}") from None
    print(f"{options.file} is installed as {options.use}")
    return Exit.OK


def _reset(options: argparse.Namespace) -> int:
    from chargepoint import local

    settings = load(_config_path(options))
    directory = settings.state.directory
    if not options.yes:
        question = (
            f"This forgets all that {directory} holds but the security log: keys, certificates, settings, messages."
        )
        if _answer(f"{question}\nType yes to go on: ") != "yes":
            raise Refused("nothing was done; type yes, or add --yes where nobody can")
    _complete(local.reset(settings))
    print(f"{directory} is as the factory left it; the security log was kept")
    return Exit.OK


def _call(options: argparse.Namespace) -> int:
    try:
        params = json.loads(options.params)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the parameters are not JSON: {error}") from error
    if not isinstance(params, dict):
        raise Refused('the parameters are an object, such as {"connector": 1}')
    print(json.dumps(_ask(load(_config_path(options)), options.method, params), indent=2))
    return Exit.OK


def _fail(status: Exit, *lines: str) -> int:
    for line in lines:
        print(printable(line), file=sys.stderr)
    return status


def _config_path(options: argparse.Namespace) -> Path:
    return Path(options.config or os.environ.get(CONFIG_VARIABLE) or "config.toml")


def _ask(settings: Settings, method: str, params: dict[str, Any] | None = None) -> Any:
    if settings.control.socket is None:
        raise NoAgent(f'{settings.path}: [control] socket = "" switches the control socket off, so no agent answers')
    return control_client.call(settings.control.socket, method, params)


def _complete(work: Coroutine[Any, Any, T]) -> T:
    """Run work that opens the state directory, and the board, to its end."""
    import asyncio

    from chargepoint.hardware.discovery import DriverUnusable

    try:
        return asyncio.run(work)
    except DriverUnusable as error:
        raise Refused(str(error)) from error


def _values(pairs: Sequence[str]) -> Mapping[str, str]:
    """Return the keys and values of the command line; SecurityProfile last, for the others may be what it needs.

    ``-`` stands for one line of standard input where the value is a secret.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise Refused(f"{pair} is not of the form KEY=VALUE")
        if key.lower() in {known.lower() for known in values}:
            raise Refused(f"{key} is given twice")
        if key.lower() in SECRET_KEYS and value == "-":
            value = _read_secret(key)
        elif key.lower() in SECRET_KEYS:
            print(
                f"hint: {key}=- keeps the value out of the shell's history and the list of processes", file=sys.stderr
            )
        values[key] = value
    return dict(sorted(values.items(), key=lambda item: item[0].lower() == "securityprofile"))


def _read_secret(name: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"{name}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _read_pem(path: Path) -> str:
    from chargepoint.pem_check import read_pem

    try:
        return read_pem(path)
    except ValueError as error:
        raise Refused(f"{path}: {error}") from error


def _answer(question: str) -> str:
    print(question, end="", flush=True)
    return sys.stdin.readline().strip()


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; the options of the simulation are added only when it is called, for they cost its import."""
    parser = argparse.ArgumentParser(prog="chargepoint", description="An OCPP 1.6J Charge Point.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"chargepoint {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    with_config = argparse.ArgumentParser(add_help=False)
    with_config.add_argument(
        "--config", metavar="FILE", help=f"the configuration (default: ${CONFIG_VARIABLE}, else config.toml)"
    )

    def add(name: str, command: Callable[[argparse.Namespace], int], help_: str, *, config: bool = True) -> Any:
        parents = [with_config] if config else []
        added = commands.add_parser(name, help=help_, description=help_, parents=parents, allow_abbrev=False)
        added.set_defaults(command=command)
        return added

    run = add("run", _run, "run the agent in the foreground, log on standard error")
    run.add_argument("--log-format", choices=log.FORMATS, default="text", help="json: one object a line (default text)")
    run.add_argument("--log-level", choices=log.LEVELS, default="info", help="the least that is shown (default info)")
    add("check", _check, "say all that is wrong with the configuration")
    demo = add("demo", _demo, "show the use cases against a simulated Central System on this machine", config=False)
    demo.add_argument("--json", action="store_true", help="for programs: one JSON object with all steps")
    central_system = add("central-system", _central_system, "run the simulated Central System alone", config=False)
    if arguments[:1] == ["central-system"]:
        from chargepoint.simulation import command as simulation

        simulation.add_arguments(central_system)
    status = add("status", _status, "say what the running agent is doing")
    status.add_argument("--json", action="store_true", help="for programs: one JSON object")
    configure = add("configure", _configure, "set OCPP configuration keys with local rights (A00.FR.005)")
    configure.add_argument("values", nargs="+", metavar="KEY=VALUE", help="AuthorizationKey=- reads standard input")
    install = add("install", _install, "install a certificate locally")
    install.add_argument("file", type=Path, metavar="FILE", help="PEM, for a Charge Point certificate with its chain")
    install.add_argument(
        "--as", dest="use", choices=CERTIFICATE_USES, required=True, help="what it is trusted or used for"
    )
    install.add_argument("--key", type=Path, metavar="FILE", help="PEM, private key of a Charge Point certificate")
    reset = add("reset", _reset, "forget everything but the security log")
    reset.add_argument("--to-factory", action="store_true", required=True, help="say it in full")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    call = add("call", _call, "call a method of the running agent's control socket")
    call.add_argument("method", metavar="METHOD", help="such as security.events; a wrong name shows them all")
    call.add_argument("params", nargs="?", default="{}", metavar="JSON", help="an object, such as '{\"limit\": 10}'")
    return parser
