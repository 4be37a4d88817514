"""What is promised of connections to servers, whatever is said over them."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import aclosing

import pytest

from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Refusal, Unreachable
from tests.gateway.upstreams.faults import NOWHERE
from tests.gateway.upstreams.raw import OK, SAID, Handler, listening, saying, servers, to
from tests.gateway.upstreams.servers import EVENTS, STREAM_HEAD, Script, Server, hangs, says, serving, streams


def read(*answers: bytes, times: int = 1, closes: bool = False) -> list[bytes]:
    """What was said in so many answers in a row."""

    async def main() -> list[bytes]:
        said = []
        async with servers() as asked, listening(saying(*answers, closes=closes)) as end:
            for _ in range(times):
                said.append((await asked.complete(to(f"http://{end}/v1"))).raw)
                await asyncio.sleep(0.05)
        return said

    return asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        SAID,
        OK + b'transfer-encoding: chunked\r\n\r\n4\r\n{"sa\r\n6\r\nid":1}\r\n0\r\n\r\n',
        OK
        + b"Content-Encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
        % (len(gzip.compress(b'{"said":1}')), gzip.compress(b'{"said":1}')),
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + SAID,
    ],
    ids=["length", "chunked", "compressed, though nobody asked for it", "hints first"],
)
def test_an_answer_is_read_and_its_connection_used_again(answer: bytes) -> None:
    assert read(answer, answer, times=2) == [b'{"said":1}'] * 2


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    assert read(OK + b'\r\n{"said":1}', closes=True) == [b'{"said":1}']


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"content-length: 99\r\n\r\n{}",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"",
        b"220 smtp ready\r\n",
        OK + b"x: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
        OK + b"x: y\r\n" * 1000 + b"content-length: 2\r\n\r\n{}",
        OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=[
        "short",
        "without an end",
        "no chunks",
        "nothing",
        "not HTTP",
        "long head",
        "many lines",
        "not gzip",
    ],
)
def test_what_is_no_answer_may_have_cost_something(answer: bytes) -> None:
    sent: list[bool] = []

    async def main() -> None:
        async with servers() as asked, listening(saying(answer, closes=True)) as end:
            with pytest.raises(Unreachable) as caught:
                await asked.complete(to(f"http://{end}/v1", on_sent=lambda: sent.append(True)))
            assert not caught.value.unsent

    asyncio.run(main())
    assert sent == [True]


def test_what_a_server_says_unasked_is_nobodys_answer() -> None:
    """It would be the answer to the next request."""
    assert read(SAID + SAID.replace(b"said", b"evil"), SAID, times=2) == [b'{"said":1}'] * 2


def test_a_connection_that_its_server_closed_meanwhile_is_not_used_again() -> None:
    assert read(SAID, times=3, closes=True) == [b'{"said":1}'] * 3


def test_a_request_whose_connection_breaks_under_it_is_not_sent_again_in_silence() -> None:
    """A kept connection on which the server hears the next request, and says nothing: it may be at work."""
    heads: list[str] = []

    async def main() -> None:
        async with servers() as asked, listening(saying(SAID, b"", heads=heads, closes=True)) as end:
            await asked.complete(to(f"http://{end}/v1"))
            with pytest.raises(Unreachable):
                await asked.complete(to(f"http://{end}/v1"))

    asyncio.run(main())
    assert len(heads) == 2


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "script", [hangs, streams(EVENTS[0], then=hangs)], ids=["before its answer", "in its answer"]
)
def test_who_leaves_closes_the_connection(script: Script, streamed: bool) -> None:
    async def main(server: Server, asked: OpenAIServers) -> None:
        async def hear() -> None:
            if not streamed:
                await asked.complete(to(server.url))
            async with aclosing(asked.stream(to(server.url))) as events:
                async for _ in events:
                    pass

        asking = asyncio.create_task(hear())
        while not server.bodies:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.closed.wait(), 5)

    async def run() -> None:
        async with serving(script) as server, servers() as asked:
            await main(server, asked)

    asyncio.run(run())


def test_a_stream_that_nobody_reads_is_not_read_ahead() -> None:
    sent = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(STREAM_HEAD)
        part = EVENTS[1] * 1000
        try:
            while sent < 100_000_000:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
                sent += len(part)
        except ConnectionError:
            pass

    async def main() -> int:
        async with (
            servers() as asked,
            listening(handle) as end,
            aclosing(asked.stream(to(f"http://{end}/v1"))) as events,
        ):
            await anext(events)
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.1)
            return sent

    assert asyncio.run(main()) < 30_000_000


def test_a_thousand_streams_are_open_at_once() -> None:
    event = STREAM_HEAD + b"%x\r\n%b\r\n" % (len(EVENTS[1]), EVENTS[1])

    async def main() -> int:
        async with servers() as asked, listening(saying(event)) as end:
            opened = [asked.stream(to(f"http://{end}/v1", connect_s=60)) for _ in range(1000)]
            said = await asyncio.gather(*map(anext, opened))
            await asyncio.gather(*(each.aclose() for each in opened))
        return len(said)

    assert asyncio.run(main()) == 1000


def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    async def main(server: Server, asked: OpenAIServers) -> None:
        with pytest.raises(Refusal):
            await asked.complete(to(server.url))
        await asked.complete(to(server.url))

    async def run() -> Server:
        moved = says(b"{}", 307, location="/elsewhere", set_cookie="a=b")
        async with serving(moved, says(b"{}")) as server, servers() as asked:
            await main(server, asked)
        return server

    server = asyncio.run(run())
    assert server.paths == ["/v1/chat/completions"] * 2
    assert not any("cookie" in headers for headers in server.headers)


def test_a_server_reads_who_asks_and_that_its_answer_need_not_be_compressed() -> None:
    heads: list[str] = []

    async def main() -> None:
        async with servers() as asked, listening(saying(SAID, heads=heads)) as end:
            await asked.complete(to(f"http://{end}/v1"))

    asyncio.run(main())
    lines = heads[0].lower().splitlines()
    assert {"accept: */*", "accept-encoding: identity", "user-agent: gradus"} <= set(lines)
    assert lines.count("content-type: application/json") == 1


@pytest.mark.parametrize(("url", "api_key"), [(NOWHERE, "key\r\nx-evil: 1"), ("http://[::1/v1", "key")])
def test_what_cannot_be_sent_is_not(url: str, api_key: str) -> None:
    async def main() -> None:
        async with servers() as asked:
            with pytest.raises(Unreachable) as caught:
                await asked.complete(to(url, api_key=api_key, on_sent=lambda: pytest.fail("it was not")))
            assert "evil" not in str(caught.value)

    asyncio.run(main())


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass
    writer.close()


@pytest.mark.parametrize(
    ("handle", "connect_s", "why"), [(hangs_up, 60, "."), (waits, 0.05, "no connection within 0.05 s")]
)
def test_nothing_was_sent_where_there_was_no_handshake(handle: Handler, connect_s: float, why: str) -> None:
    async def main() -> None:
        async with servers() as asked, listening(handle) as end:
            call = to(f"https://{end}/v1", connect_s=connect_s, on_sent=lambda: pytest.fail("it was not"))
            with pytest.raises(Unreachable, match=why):
                await asked.complete(call)

    asyncio.run(main())


def test_nothing_was_sent_where_nobody_listens() -> None:
    async def main() -> None:
        async with servers() as asked:
            with pytest.raises(Unreachable):
                await asked.complete(to(NOWHERE, on_sent=lambda: pytest.fail("it was not")))

    asyncio.run(main())
