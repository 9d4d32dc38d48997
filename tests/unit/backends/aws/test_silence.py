"""Nothing of a value in logs at any level, in errors and their chains, in reprs (I2)."""

from __future__ import annotations

import gc
import io
import json
import logging
import logging.config
import time
import traceback
from collections.abc import Callable, Iterator

import pytest
from aws_front import HANG_UP, Answer, Front, error
from aws_store import ACTOR, Store, create, intent, read, some_ref, update
from canary import Canary

from secrets_svc.core.errors import SecretsError
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """What any logger says, at any level, configured as people do it after the library was imported."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET + 1)
    for name in ("boto3", "botocore", "urllib3", "botocore.endpoint", "botocore.parsers"):
        logging.getLogger(name).setLevel(1)
        logging.getLogger(name).addHandler(handler)
    yield text
    root.removeHandler(handler)
    root.setLevel(before)
    for name in ("boto3", "botocore", "urllib3", "botocore.endpoint", "botocore.parsers"):
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger(name).removeHandler(handler)


def _shown(canary: Canary, text: str) -> list[str]:
    data = text.encode("utf-8", "surrogateescape")
    return [name for name, form in canary.forms().items() if form in data]


@pytest.mark.parametrize("make", [Canary.text, Canary.binary], ids=["text", "binary"])
def test_the_whole_life_of_a_value(
    store: Store, everything_logged: io.StringIO, make: Callable[[], Canary]
) -> None:
    canary, ref = make(), some_ref()
    writer, reader = store.writer(timeout=20.0), store.reader(timeout=20.0)
    made = create(writer, ref, canary.data)
    create(writer, some_ref(), canary.data)
    updated = update(writer, ref, canary.data, made.version)
    assert read(reader, ref) == canary.data
    shown = [repr(made), repr(updated), repr(writer.list(ref.scope)), repr(writer.history(ref))]
    shown += [
        repr(reader.resolve([ref])),
        repr(reader.read(ref, updated.version)),
        repr(reader),
        repr(writer),
    ]
    writer.rollback(ref, to=made.version, actor=ACTOR, operation_id=intent())
    writer.delete(ref, actor=ACTOR, operation_id=intent())
    writer.purge(ref, actor=ACTOR, operation_id=intent())
    assert _shown(canary, everything_logged.getvalue() + "".join(shown)) == []
    assert "botocore" not in everything_logged.getvalue()


def test_not_though_logging_is_configured_anew(store: Store, everything_logged: io.StringIO) -> None:
    """Which enables loggers that were there."""
    canary, ref = Canary.text(), some_ref()
    create(store.writer(), ref)
    names = {name: {"level": "DEBUG"} for name in logging.Logger.manager.loggerDict if "boto" in name}
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "loggers": names})
    update(store.writer(), ref, canary.data)
    assert read(store.reader(), ref) == canary.data
    assert _shown(canary, everything_logged.getvalue()) == []
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)


#: Answers that show what was asked: AWS's own texts may.
ECHOES: dict[str, Callable[[bytes], Answer]] = {
    "refused": lambda said: error("ValidationException", message=said.decode("latin-1")),
    "refused, status 500": lambda said: error("InternalServiceError", 500, said.decode("latin-1")),
    "as a code": lambda said: error(said.decode("latin-1")),
    "no right": lambda said: error("AccessDeniedException", message=said.decode("latin-1")),
    "garbage": lambda said: Answer(200, said),
    "garbage 400": lambda said: Answer(400, said),
    "cut off": lambda said: Answer(
        200, json.dumps({"SecretString": said.decode("latin-1")}).encode()[:-1], cut=9
    ),
    "hung up": lambda said: HANG_UP,
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("operation", ["CreateSecret", "PutSecretValue", "GetSecretValue"])
def test_errors(
    store: Store, troubled: Store, front: Front, everything_logged: io.StringIO, operation: str, echo: str
) -> None:
    """Whatever comes back: neither in the text, nor in anything that hangs on the error."""
    canary, ref = Canary.text(), some_ref()
    made = create(store.writer(), ref, canary.data)
    writer, reader = troubled.writer(), troubled.reader()
    calls: dict[str, Callable[[], object]] = {
        "CreateSecret": lambda: create(writer, SecretRef(ref.scope, "new"), canary.data),
        "PutSecretValue": lambda: update(writer, ref, canary.data),
        "GetSecretValue": lambda: reader.read(ref, made.version),
    }
    with front.failing(operation, ECHOES[echo](canary.data)), pytest.raises(SecretsError) as refused:
        calls[operation]()
    assert _shown(canary, "".join(traceback.format_exception(refused.value))) == []
    links, seen = [refused.value], []
    while links:
        link = links.pop()
        seen.append(f"{link!r} {link.args!r} {vars(link)!r}")
        links += [each for each in (link.__cause__, link.__context__) if each is not None]
        assert type(link).__module__.partition(".")[0] == "secrets_svc", "somebody else's error hangs on ours"
    assert _shown(canary, "".join(seen) + everything_logged.getvalue()) == []


def test_nothing_of_a_value_stays_with_the_store(store: Store) -> None:
    """No answer or request is kept."""
    canary = Canary.text()
    ref = some_ref()
    store.writer().create(
        ref, SecretValue(canary.data), SecretType.GENERIC, actor=ACTOR, operation_id=intent()
    )
    assert read(store.reader(), ref) == canary.data
    deadline = time.monotonic() + 5  # threads of connections may be at their last lines still
    while _holders(canary) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _holders(canary) == []


def _holders(canary: Canary) -> list[object]:
    gc.collect()
    text = canary.data.decode()
    return [
        each
        for each in gc.get_objects()
        if type(each) is dict and any(value == text for value in list(each.values()))
    ]
