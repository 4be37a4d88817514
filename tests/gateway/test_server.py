"""What a gateway process asks of its system."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.doubles import until

pytestmark = pytest.mark.process

FEW = """
import resource, sys
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
print('few', flush=True)
from gateway import server
from gateway.settings import load_settings
server.run(load_settings(None, {"GRADUS__SERVER__PORT": sys.argv[1]}))
"""


def test_a_gateway_may_open_as_many_files_as_the_system_lets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = subprocess.Popen([sys.executable, "-P", "-c", FEW, port], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "few\n"
        until(lambda: resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (before[1], before[1]))
    finally:
        process.kill()
        process.wait()
