"""
Asking one directory for a descriptor.

Owns: HSFETCH with the answer that comes after it, and a deadline. In: a control connection of any Tor, an address and a
directory; out: what the directory gave, or why it gave nothing.
Source: control-spec, HSFETCH and HS_DESC_CONTENT; C tor's hs_client.c.

Tor asks for the descriptor of *its own* current time period, whatever directory it is sent to; the answer names the
blinded key. A directory that cannot be reached gives no event, hence the deadline.
"""

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from rustbalance.life import within
from rustbalance.onion.address import OnionAddress
from rustbalance.tor.control import ControlError, ControlRefused, TorControl
from rustbalance.tor.events import DescriptorFetched, DescriptorFetchFailed, DescriptorUploadFailed, Event

NO_ANSWER = "no answer"
UNKNOWN = "unknown to Tor"

Answer = DescriptorFetched | DescriptorFetchFailed


async def fetch_descriptor(
    control: TorControl, address: OnionAddress, directory: str, reactor: IReactorTime, seconds: float
) -> Answer:
    """
    Return what ``directory`` (a fingerprint) gives within ``seconds``.

    A failure has a reason of control-spec's, or ``NO_ANSWER``, ``UNKNOWN`` (this Tor does not know the directory), or
    what is wrong with ``control``; the last three name no blinded key.
    """
    answered: Deferred[Answer] = Deferred()
    unsubscribe = control.subscribe(lambda event: _heard(event, address, directory, answered))
    try:
        await control.ask(f"HSFETCH {address.label} SERVER={directory}")
        return await within(seconds, reactor, answered)
    except TimeoutError:
        return DescriptorFetchFailed(address, directory, "", NO_ANSWER)
    except ControlError as error:
        unknown = isinstance(error, ControlRefused) and error.code == 552
        return DescriptorFetchFailed(address, directory, "", UNKNOWN if unknown else str(error))
    finally:
        unsubscribe()


def _heard(event: Event, address: OnionAddress, directory: str, answered: "Deferred[Answer]") -> None:
    """
    Take the first word on this directory.

    A failure is told of twice, the reason first and then an empty text, which may come when it is asked again already.
    """
    if isinstance(event, DescriptorUploadFailed) and event.reason == "UNEXPECTED":
        event = DescriptorFetchFailed(event.address, event.fingerprint, event.blinded, event.reason)
    if not isinstance(event, DescriptorFetched | DescriptorFetchFailed) or answered.called:
        return
    if isinstance(event, DescriptorFetched) and not event.text.strip():
        return
    if (event.address, event.fingerprint) == (address, directory):
        answered.callback(event)
