"""A TCP proxy with faults, on loopback, to a TCP port or a Unix socket: what stands between a service and its database here."""
import asyncio
import random
import socket
import struct
import threading


class FaultProxy:
    """Runs in a thread of its own. Change `mode`, `delay` and `cut_after` while it works:

    mode       pass: forward; silent: keep connections and forward nothing; refuse: reset new connections
    delay      seconds each chunk waits, give or take `jitter`
    cut_after  reset a connection after so many bytes of answers: an acknowledgement that gets lost
    """

    def __init__(self, target):
        self.target, self.mode, self.delay, self.jitter, self.cut_after = target, "pass", 0.0, 0.0, 0
        self.cuts, self._live, self._ready = 0, set(), threading.Event()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()
        if not self._ready.wait(10):
            raise RuntimeError("the fault proxy did not start")

    def cut_all(self):
        """Resets every open connection."""
        done = threading.Event()

        def cut():
            for writers in list(self._live):
                self._reset(*writers)
            done.set()

        self._loop.call_soon_threadsafe(cut)
        done.wait(5)

    def stop(self):
        self.cut_all()
        # What is cancelled halfway would be reported as an error.
        self._loop.set_exception_handler(lambda *_: None)

        async def end():
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)

    def _run(self):
        asyncio.set_event_loop(self._loop)

        async def begin():
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()

    def _reset(self, *writers):
        self.cuts += 1
        for writer in writers:
            try:
                at = writer.get_extra_info("socket")
                if at.family != socket.AF_UNIX:
                    at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            except (OSError, AttributeError):
                pass

    async def _serve(self, reader, writer):
        if self.mode == "refuse":
            return self._reset(writer)
        try:
            if isinstance(self.target, str):
                up_reader, up_writer = await asyncio.open_unix_connection(self.target)
            else:
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return self._reset(writer)
        pair = (writer, up_writer)
        self._live.add(pair)
        both = [asyncio.ensure_future(self._pump(reader, up_writer, pair, False)), asyncio.ensure_future(self._pump(up_reader, writer, pair, True))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(both, timeout=1)
        self._live.discard(pair)
        for one in (*both, *pair):
            try:
                one.cancel() if isinstance(one, asyncio.Future) else one.close()
            except (OSError, RuntimeError):
                pass

    async def _pump(self, reader, writer, pair, is_answer):
        sent = 0
        try:
            while data := await reader.read(65536):
                while self.mode == "silent":
                    await asyncio.sleep(0.02)
                if self.delay:
                    await asyncio.sleep(max(0.0, self.delay + random.uniform(-self.jitter, self.jitter)))
                sent += len(data)
                if is_answer and self.cut_after and sent > self.cut_after:
                    return self._reset(*pair)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
