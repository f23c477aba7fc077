"""What a load balancer does: looks at readiness, and gives new requests to replicas that are ready."""
import threading
import time


class Balancer:
    def __init__(self, replicas, every=0.2):
        self.replicas, self.every, self._turn = replicas, every, 0
        self._up = [False] * len(replicas)
        self._look()
        self._stop = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def pick(self):
        """The address of a ready replica, in turns."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            up = [one for one, is_up in zip(self.replicas, self._up) if is_up]
            if up:
                self._turn += 1
                return "127.0.0.1", up[self._turn % len(up)].port
            time.sleep(0.02)
        raise OSError("no replica is ready")

    def is_up(self, place):
        return self._up[place]

    def stop(self):
        self._stop.set()

    def _look(self):
        for place, replica in enumerate(self.replicas):
            self._up[place] = replica.process.poll() is None and replica.status("/health/ready", 2) == 200

    def _work(self):
        while not self._stop.wait(self.every):
            self._look()
