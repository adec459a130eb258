"""`python -m lab.network.traffic SOCKET`: runs until it is killed; the lab starts it."""

import resource
import socket
import sys

from lab.network.traffic.loop import Loop
from lab.network.traffic.requests import Requests


def main() -> None:
    """Listen at the unix socket that is named and answer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        Requests(Loop(), listener).run()


if __name__ == "__main__":
    main()
