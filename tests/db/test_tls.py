"""TLS on a real server: whose certificate it must be if the address is another one."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from execlog import InvalidArgument, StoreUnavailable, check_migrations
from execlog.db.connect import Connector
from execlog.embedded import EmbeddedPostgres

NAME = "db.example.test"


class Served:
    """A server that takes nothing but TLS on loopback, and its certificate."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.certificate = certificate

    def dsn(self, host: str, more: str = "", *, roots: bool = True) -> str:
        check = f"&sslrootcert={quote(str(self.certificate))}" if roots else ""
        return f"postgresql://postgres@{host}:{self.port}/postgres?application_name=t{check}{more}"


def binaries() -> Iterator[Path]:
    """What the other tests run, and what the system has."""
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def certificate(folder: Path) -> Path:
    made = folder / "server.crt"
    names = f"subjectAltName=DNS:{NAME},DNS:localhost"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={NAME}"),
            *("-addext", names, "-keyout", folder / "server.key", "-out", made),
        ],
        check=True,
        capture_output=True,
        timeout=50,
    )
    return made


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl, which makes certificates")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="execlog-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for found in binaries():
            data = folder / found.parent.name
            with pytest.MonkeyPatch.context() as patched:
                patched.setenv("EXECLOG_POSTGRES_BIN", str(found))
                EmbeddedPostgres(data).start().close()
            made = certificate(data)
            (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
            owner = data.stat()
            for name in ("server.key", "server.crt", "pg_hba.conf"):
                os.chown(data / name, owner.st_uid, owner.st_gid)
                (data / name).chmod(0o600)
            port = listening(stack, found, data, owner)
            if port is not None:
                own = folder / "root.crt"
                own.write_bytes(made.read_bytes())
                yield Served(port, own)
                return
        pytest.skip("there is no Postgres with TLS here")


def listening(stack: ExitStack, found: Path, data: Path, owner: os.stat_result) -> int | None:
    """The port of the server that was started; None: it has no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "ssl": "on", "fsync": "off"}
    settings["unix_socket_directories"] = ""
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    user = owner.st_uid if os.geteuid() == 0 else None
    server = subprocess.Popen(
        [str(found / "postgres"), "-D", str(data), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=user,
    )
    stack.callback(server.wait, 30)
    stack.callback(server.terminate)
    for _ in range(3000):
        if server.poll() is not None:
            return None
        # Its own word that it accepts connections; before, it listens and refuses.
        state = data / "postmaster.pid"
        lines = state.read_text().splitlines() if state.exists() else []
        if len(lines) > 7 and lines[7].strip() == "ready":
            break
        time.sleep(0.01)
    return port


async def encrypted(dsn: str) -> bool:
    connection = await Connector(dsn, "target", writes=False)()
    try:
        asked = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        return bool(await connection.fetchval(asked))
    finally:
        await connection.close()


AT = "&hostaddr=127.0.0.1"


@pytest.mark.long
@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require", "prefer"])
async def test_the_certificate_is_that_of_the_host(served: Served, mode: str) -> None:
    assert await encrypted(served.dsn(NAME, f"&sslmode={mode}{AT}"))


@pytest.mark.long
@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
async def test_a_host_of_another_name(served: Served, mode: str) -> None:
    """Only one of the modes looks at the name."""
    dsn = served.dsn("other.example.test", f"&sslmode={mode}{AT}")
    if mode != "verify-full":
        assert await encrypted(dsn)
        return
    with pytest.raises(StoreUnavailable) as caught:
        await check_migrations(dsn)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert "other.example.test" in str(caught.value.__cause__)


@pytest.mark.long
async def test_a_certificate_that_nobody_trusts(served: Served, tmp_path: Path) -> None:
    other = certificate(tmp_path)
    dsn = served.dsn(NAME, f"&sslmode=verify-full{AT}&sslrootcert={other}", roots=False)
    with pytest.raises(StoreUnavailable) as caught:
        await check_migrations(dsn)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.long
async def test_without_an_address_it_is_as_before(served: Served) -> None:
    assert await encrypted(served.dsn("localhost", "&sslmode=verify-full"))
    with pytest.raises(StoreUnavailable) as caught:
        await check_migrations(served.dsn("127.0.0.1", "&sslmode=verify-full"))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.long
async def test_each_host_has_its_name(served: Served) -> None:
    hosts = f"wrong.example.test:{served.port},{NAME}"
    more = "&sslmode=verify-full&hostaddr=127.0.0.1,127.0.0.1"
    assert await encrypted(served.dsn(hosts, more))


@pytest.mark.long
async def test_a_query_that_is_given_up_is_cancelled(served: Served) -> None:
    """The driver asks for that on a connection of its own."""
    dsn = served.dsn(NAME, f"&sslmode=verify-full{AT}")
    connection = await Connector(dsn, "target", writes=False)()
    try:
        with pytest.raises(TimeoutError):
            await connection.fetch("select pg_sleep(50)", timeout=0.3)
        assert await connection.fetchval("select 1", timeout=20) == 1
    finally:
        await connection.close()


@pytest.mark.long
async def test_the_certificates_of_the_system(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = served.dsn("localhost", "&sslrootcert=system", roots=False)
    with pytest.raises(StoreUnavailable) as caught:
        await check_migrations(dsn)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    monkeypatch.setenv("SSL_CERT_FILE", str(served.certificate))
    assert await encrypted(dsn)


@pytest.mark.long
async def test_certificates_in_the_home(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    dsn = served.dsn(NAME, f"&sslmode=verify-full{AT}", roots=False)
    with pytest.raises(InvalidArgument, match=r"^target: sslmode=verify-full needs"):
        await check_migrations(dsn)
    (tmp_path / ".postgresql").mkdir()
    shutil.copy(served.certificate, tmp_path / ".postgresql" / "root.crt")
    assert await encrypted(dsn)


@pytest.mark.long
async def test_versions_of_tls(served: Served) -> None:
    dsn = served.dsn(NAME, f"&sslmode=verify-full{AT}&ssl_max_protocol_version=TLSv1.2")
    connection = await Connector(dsn, "target", writes=False)()
    try:
        asked = "select version from pg_stat_ssl where pid = pg_backend_pid()"
        assert await connection.fetchval(asked) == "TLSv1.2"
    finally:
        await connection.close()
    with pytest.raises(InvalidArgument, match="ssl_min_protocol_version"):
        await check_migrations(dsn + "&ssl_min_protocol_version=TLSv7")


@pytest.mark.long
async def test_a_server_without_a_way_in(served: Served) -> None:
    """What does not ask for TLS is refused by this server: the tests above had it."""
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await encrypted(served.dsn(NAME, f"&sslmode=disable{AT}"))
