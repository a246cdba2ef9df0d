# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guided setup tries out: where something else answers, that is a refusal and no end of the dialogue."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_model import Refused
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_world import RealWorld


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.6\r\n", b""])
def test_what_does_not_speak_http_is_refused(banner: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(banner)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Refused):
            RealWorld().get(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
