"""Clocks: a store refuses requests whose time is a quarter of an hour off."""

import http.client
import os
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

from psol_ray.preflight.findings import Finding

__all__ = ["check_store_clock", "judge_clock", "offset_of", "store_endpoint"]

# S3 and those that speak its language refuse what is older, or newer.
_REFUSED_SECONDS = 900.0
_ODD_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_AWS = "https://s3.amazonaws.com"


def offset_of(ask: Callable[[], float], times: int = 3) -> float:
    """Seconds that another clock is ahead of this one, by the quickest of some answers: half of its way is each way."""
    answers = []
    for _ in range(times):
        before = time.time()
        there = ask()
        after = time.time()
        answers.append((after - before, there - (before + after) / 2))
    return min(answers)[1]


def judge_clock(name: str, seconds: float, *, store: bool) -> Finding:
    """Args:
    name: the row.
    seconds: how far the clock is off.
    store: whether an object store is used.
    """
    # What a machine is off by less than a tenth is the way of the answer.
    amount = round(seconds, 1) + 0.0
    if abs(seconds) <= _ODD_SECONDS:
        return Finding(name, amount=amount, unit="s")
    remedy = f"the clock there is {seconds:+.0f} s off; switch on NTP (`timedatectl set-ntp true`)"
    if store and abs(seconds) > _REFUSED_SECONDS:
        remedy = f"{remedy}: a store refuses requests that are {_REFUSED_SECONDS / 60:.0f} minutes off"
        return Finding(name, "", "broken", remedy, amount, "s")
    return Finding(name, "", "odd", remedy, amount, "s")


def store_endpoint(uri: str) -> str | None:
    """Where the object store of a URI answers; None where it is none that speaks S3."""
    parts = urlsplit(uri)
    if parts.scheme != "s3":
        return None
    query = parse_qs(parts.query)
    given = query.get("endpoint_override") or [os.environ.get("AWS_ENDPOINT_URL_S3") or ""]
    endpoint = given[0] or os.environ.get("AWS_ENDPOINT_URL") or _AWS
    return endpoint if "://" in endpoint else f"{query.get('scheme', ['https'])[0]}://{endpoint}"


def check_store_clock(endpoint: str) -> Iterator[Finding]:
    """Compare this machine's clock with the store's, which has whole seconds."""
    name = "clock, off the store's"
    try:
        before = time.time()
        there = _date(endpoint)
        after = time.time()
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        yield Finding(name, "not known", "odd", f"{endpoint} cannot be reached there ({error}); see its network")
        return
    yield judge_clock(name, (before + after) / 2 - (there + 0.5), store=True)


def _date(endpoint: str) -> float:
    parts = urlsplit(endpoint)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.netloc, timeout=_ANSWER_SECONDS)
    try:
        connection.request("HEAD", "/")
        return parsedate_to_datetime(connection.getresponse().headers["Date"]).timestamp()
    finally:
        connection.close()
