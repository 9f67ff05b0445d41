"""
Our service on a running Tor.

Owns: finding out whether a Tor is ours alone, giving it our service, and reading back that it has it. In: a control
connection and the service as we want it; out: nothing, or an error that says what is in the way.

``PublishHidServDescriptors`` is one switch for a whole Tor, and SETCONF replaces all services of its configuration:
with other services on it, either would harm them.
"""

from collections.abc import Callable

from rustbalance.onion.address import OnionAddress
from rustbalance.tor.control import TorControl
from rustbalance.tor.replies import Setting, services_on_circuits
from rustbalance.tor.torrc import (
    OWN_DIRECTORY,
    PUBLISH,
    HiddenService,
    foreign_directories,
    is_as_wanted,
    needs_a_fresh_start,
)

OPTIONS = "HiddenServiceOptions"

#: What gives a Tor of another user its directory.
PLACE_KEY = "rustbalance place-key --config FILE"


class NotOurs(Exception):
    """Other onion services live on that Tor; the message names them and says what to do. Nothing has been changed."""


class ServiceNotInPlace(Exception):
    """Tor has not got our service as we asked for it."""


class NotPlaced(Exception):
    """Tor does not take our service from its directory; the message says what to do."""


class WrongKey(Exception):
    """Tor has served another address from our directory; it has been taken away again. The message says what to do."""


async def ensure_service(
    control: TorControl, wanted: HiddenService, address: OnionAddress, prepare: Callable[[], None]
) -> None:
    """
    Give Tor the service ``wanted`` with publishing off, unless it has it already, and read it back.

    ``prepare`` fills the service's directory; it is called once it is certain that this Tor is ours alone.

    :raises NotOurs: there are other services. :raises ServiceNotInPlace: Tor says something else than we asked for.
    """
    found = await control.get_conf(OPTIONS)
    await _refuse_company(control, found, wanted, address)
    prepare()
    if is_as_wanted(found, await _publishing(control), wanted):
        return
    if needs_a_fresh_start(found, wanted.directory):
        await control.reset_conf(OWN_DIRECTORY)
    await control.set_conf(wanted.with_publishing_off())
    await confirm_service(control, wanted)


async def confirm_address(control: TorControl, wanted: HiddenService, address: OnionAddress) -> bool:
    """
    Say whether it is certain by now that Tor serves ``address`` from a directory that we cannot look into.

    Tor refuses a directory without ``ob_config``, but where only the keys are missing it makes new ones, and whatever
    keys there are it takes. Which address it serves shows as soon as it has a descriptor, or circuits.

    :raises WrongKey: it serves another one.
    """
    if await control.own_descriptor(address):
        return True
    if not services_on_circuits(await control.get_info("circuit-status")) - {address}:
        return False
    await control.reset_conf(OWN_DIRECTORY)
    raise WrongKey(
        f"this Tor finds the key of another service in {wanted.directory}; it is not to serve that, and has been told "
        f"so. Look into that directory, move it out of the way, and run as root: {PLACE_KEY}"
    )


async def confirm_service(control: TorControl, wanted: HiddenService) -> None:
    """
    Check that Tor has the service as wanted, alone, and does not publish.

    :raises ServiceNotInPlace: it has not.
    """
    found, publishing = await _found(control)
    if not is_as_wanted(found, publishing, wanted):
        has = ", ".join(f"{key}={value}" for key, value in (*found, (PUBLISH, publishing)))
        raise ServiceNotInPlace(f"Tor has not got the onion service as we asked for it; it has {has}")


async def is_in_place(control: TorControl, wanted: HiddenService) -> bool:
    """Say whether Tor has the service as wanted, alone, and does not publish."""
    return is_as_wanted(*await _found(control), wanted)


async def _found(control: TorControl) -> tuple[tuple[Setting, ...], str | None]:
    return await control.get_conf(OPTIONS), await _publishing(control)


async def _publishing(control: TorControl) -> str | None:
    return dict(await control.get_conf(PUBLISH)).get(PUBLISH)


async def _refuse_company(
    control: TorControl, found: tuple[Setting, ...], wanted: HiddenService, address: OnionAddress
) -> None:
    others = [*foreign_directories(found, wanted.directory)]
    others += sorted(str(other) for other in await control.service_addresses() if other != address)
    if others:
        raise NotOurs(
            f"this Tor hosts other onion services ({', '.join(others)}). Publishing is one switch for a whole Tor, so "
            "it must be ours alone: set tor.mode to managed, or move those services to another Tor. "
            "Nothing of it has been changed"
        )
