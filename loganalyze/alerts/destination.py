"""Where alerts go: addresses that apprise knows, and web hooks as those of Slack and Discord."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from loganalyze.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from loganalyze.alerts.message import Message

HOOKS = {"SLACK_WEBHOOK_URL": "slack", "DISCORD_WEBHOOK_URL": "discord"}
TIMEOUT = 10.0  # seconds that one try may take to connect, and again to be answered
SECURE = ("http", "https")


@dataclass(frozen=True)
class Destination:
    """One place; ``name`` may be shown, the address it was made of may not: it holds a secret."""

    name: str
    send: Callable[[Message], bool]


def destinations(urls: Sequence[str], environ: Mapping[str, str]) -> tuple[Destination, ...]:
    """Return the places named by addresses and by the environment.

    Raises
    ------
    UsageError
        For an address that nobody understands.
    MissingExtra
        For one that needs apprise, which is not installed.
    """
    hooks = [(kind, environ[key]) for key, kind in HOOKS.items() if environ.get(key)]
    found = [_hook(kind, url) for kind, url in hooks]
    return (*found, *(_known(url) for url in urls))


def _hook(kind: str, url: str) -> Destination:
    """Return a web hook; a server of one's own gets what Slack or Discord would get."""
    if urlsplit(url).scheme not in SECURE:
        key = next(name for name, value in HOOKS.items() if value == kind)
        raise UsageError(f"{key} holds no web address (https://...)")
    own = _through_apprise(url, kind)
    if own is not None:
        return own
    shape = _slack if kind == "slack" else _discord
    return Destination(kind, lambda message: _post(url, shape(message)))


def _slack(message: Message) -> dict[str, object]:
    text = f"*{message.title}*\n{message.body}"
    for letter, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, escaped)  # a log may hold <!channel>
    return {"text": text, "username": "loganalyze"}


def _discord(message: Message) -> dict[str, object]:
    text = f"**{message.title}**\n{message.body}"
    return {"content": text, "username": "loganalyze", "allowed_mentions": {"parse": []}}


def _post(url: str, payload: Mapping[str, object]) -> bool:
    data = json.dumps(payload).encode()
    request = Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - http(s) only, see _hook
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        return 200 <= int(answer.status) < 300


def _known(url: str) -> Destination:
    """Return a place by an address of apprise."""
    scheme = url.partition(":")[0] if "://" in url else ""
    try:
        import apprise  # noqa: F401
    except ImportError:
        raise MissingExtra("alerts need apprise: pip install 'loganalyze[alerts]'") from None
    found = _through_apprise(url, scheme)
    if found is None:
        named = f"that begins with {scheme}://" if scheme.isalnum() else "without a scheme"
        raise UsageError(
            f"an alert address {named} is not understood; apprise's documentation lists those there are"
        )
    return found


def _through_apprise(url: str, name: str) -> Destination | None:
    """Return a place that apprise knows; None where it does not, or is not there."""
    try:
        from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
    except ImportError:
        return None
    from loganalyze.alerts.silence import silent

    with silent(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the many packages that its services are made with
        service = Apprise(asset=AppriseAsset(async_mode=False))
        if not service.add(url):
            return None

    def send(message: Message) -> bool:
        return bool(
            service.notify(
                title=message.title,
                body=message.body,
                notify_type=NotifyType(message.level),
                body_format=NotifyFormat.TEXT,
            )
        )

    return Destination(name, send)
