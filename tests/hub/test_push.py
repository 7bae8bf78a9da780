"""Push: weights compressed, everything else unchanged, and nothing uploaded twice."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

import codec
import hub
from hub import pushing, remote
from hub.card import with_section
from tests.hub.access import Tokens
from tests.hub.faults import Fault
from tests.hub.models import weights
from tests.hub.server import HubServer
from tests.hub.uploads import Limits

MODEL, OTHER, NOISE = weights(1), weights(2, rows=300), os.urandom(200_000)
NAME = "model.safetensors"
CARD = "---\nlicense: mit\n---\n# A model\n\nText.\n"
INDEX = '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my model"
    for name, content in {
        NAME: MODEL, "sub dir/b.bin": OTHER, "noise.bin": NOISE, "config.json": b"{}", "README.md": CARD.encode(),
        "model.safetensors.index.json": INDEX.encode(), "tiny.bin": b"small", ".git/HEAD": b"x", "empty.txt": b"",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pushed(server: HubServer, path: Path | None, repo: str = "org/m", **options: Any) -> hub.PushReport:
    return hub.push(repo, path, **{"endpoint": server.url, "token": "writer", **options})


def listed(server: HubServer, repo: str = "org/m") -> set[str]:
    tree = HfApi(server.url).list_repo_tree(repo, recursive=True)
    return {e.path for e in tree if hasattr(e, "size")} - {".gitattributes"}


def uploaded(server: HubServer) -> int:
    """Bytes of files that went up, in whatever way."""
    return server.bytes_received(method="PUT")


UNCHANGED = {"noise.bin", "config.json", "README.md", "model.safetensors.index.json", "tiny.bin", "empty.txt"}


@pytest.mark.parametrize("multipart", [False, True])
def test_a_folder(make_hub_server: Callable[..., HubServer], folder: Path, tmp_path: Path, multipart: bool) -> None:
    limits = Limits(multipart_threshold=100_000, part_size=70_000) if multipart else Limits()
    server = make_hub_server(limits=limits)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    report = pushed(server, folder)
    assert listed(server) == UNCHANGED | {f"{NAME}.weft", "sub dir/b.bin.weft"}
    assert {f.name for f in report.files if f.action == "compressed"} == {NAME, "sub dir/b.bin"}
    weft = server.file("org/m", f"{NAME}.weft")
    assert codec.decompress(weft) == MODEL and len(weft) < 0.7 * len(MODEL)
    assert server.file("org/m", "noise.bin") == NOISE and server.file("org/m", "empty.txt") == b""
    assert server.file("org/m", "model.safetensors.index.json") == INDEX.encode()
    card = server.file("org/m", "README.md").decode()
    assert (
        card.startswith(CARD) and "codec pull org/m" in card and card == with_section(CARD.encode(), "org/m").decode()
    )
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert report.stored_bytes < 0.8 * report.original_bytes
    back = hub.pull("org/m", local_dir=tmp_path / "back", endpoint=server.url)
    assert {f.name for f in back.files} >= {NAME, "sub dir/b.bin"} | UNCHANGED
    for path, content in before.items():
        name = path.relative_to(folder)
        if ".git" not in name.parts and name.name != "README.md":
            assert (tmp_path / "back" / name).read_bytes() == content
    assert not list(Path(tempfile.gettempdir()).glob("weft-push-*"))


def test_what_is_there_is_skipped(hub_server: HubServer, folder: Path) -> None:
    first = pushed(hub_server, folder)
    hub_server.reset()
    again = pushed(hub_server, folder)
    assert uploaded(hub_server) == 0 and {f.action for f in again.files} == {"skipped"} and again.commit == ""
    assert hub_server.requests("POST", "/commit/") == []
    (folder / NAME).write_bytes(OTHER)
    third = pushed(hub_server, folder)
    assert [f.name for f in third.files if f.action != "skipped"] == [NAME]
    assert codec.decompress(hub_server.file("org/m", f"{NAME}.weft")) == OTHER
    assert third.commit not in ("", first.commit)


def test_a_push_that_broke_off_goes_on(hub_server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "COMMIT_FILES", 1)

    def stop(file: hub.PushedFile) -> None:
        if file.name == "noise.bin":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pushed(hub_server, folder, note=stop)
    assert listed(hub_server) == {f"{NAME}.weft"}
    hub_server.reset()
    report = pushed(hub_server, folder)
    assert {f.name for f in report.files if f.action == "skipped"} == {NAME}
    assert listed(hub_server) == UNCHANGED | {f"{NAME}.weft", "sub dir/b.bin.weft"}
    assert uploaded(hub_server) < len(OTHER) + len(NOISE)


def test_originals_are_replaced_or_kept(hub_server: HubServer, folder: Path) -> None:
    hub_server.add_repo("org/m", {NAME: OTHER, "config.json": "{}"})
    report = pushed(hub_server, folder, keep_originals=True)
    assert hub_server.file("org/m", NAME) == MODEL and report.deleted == ()
    assert codec.decompress(hub_server.file("org/m", f"{NAME}.weft")) == MODEL
    assert {f.action for f in pushed(hub_server, folder, keep_originals=True).files} == {"skipped"}
    report = pushed(hub_server, folder)
    assert set(report.deleted) == {NAME, "sub dir/b.bin"}
    assert listed(hub_server) == UNCHANGED | {f"{NAME}.weft", "sub dir/b.bin.weft"}
    # and the other way round: what does not become smaller any more takes the place of its weft file
    (folder / NAME).write_bytes(NOISE)
    assert pushed(hub_server, folder).deleted == (f"{NAME}.weft",)
    assert hub_server.file("org/m", NAME) == NOISE and f"{NAME}.weft" not in listed(hub_server)


def test_dry_run(hub_server: HubServer, folder: Path) -> None:
    report = pushed(hub_server, folder, dry_run=True)
    assert hub_server.requests("POST") == [] and report.commit == ""
    (model,) = [f for f in report.files if f.name == NAME]
    assert model.action == "compressed" and 0.6 < model.stored_bytes / model.original_bytes < 0.72
    pushed(hub_server, folder)
    hub_server.reset()
    assert {f.name: f.action for f in pushed(hub_server, folder, dry_run=True).files}[NAME] == "skipped"
    assert hub_server.requests("POST") == []


def test_a_branch_and_a_private_repo(make_hub_server: Callable[..., HubServer], folder: Path) -> None:
    server = make_hub_server(tokens=Tokens(write=("writer",), read=("reader",)))
    pushed(server, folder, private=True)
    repo = server.store.find("org/m")
    assert repo is not None and repo.private
    with pytest.raises(RepositoryNotFoundError):
        listed(server)
    (folder / "config.json").write_text('{"a": 1}')
    pushed(server, folder, revision="next")
    assert server.file("org/m", "config.json", "next") == b'{"a": 1}' and server.file("org/m", "config.json") == b"{}"


@pytest.mark.parametrize("token", ["reader", "stranger", False])
def test_no_write_access_is_said_before_the_work(
    make_hub_server: Callable[..., HubServer], folder: Path, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_hub_server(tokens=Tokens(write=("writer",), read=("reader",)))
    server.add_repo("org/m", {"config.json": "{}"})
    monkeypatch.setattr(codec, "compress_file", None, raising=False)
    with pytest.raises(HfHubHTTPError):
        pushed(server, folder, token=token)
    assert listed(server) == {"config.json"}


def test_a_twin_of_a_repo(make_hub_server: Callable[..., HubServer], tmp_path: Path, folder: Path) -> None:
    server = make_hub_server(redirect=True)
    server.add_repo("org/source", {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()})
    server.set_faults(*(Fault("cut", path="^/cdn/", nth=n, at=100_000) for n in (1, 2, 3)))
    report = pushed(server, None, "org/twin", from_repo="org/source@main")
    assert listed(server, "org/twin") == UNCHANGED | {f"{NAME}.weft", "sub dir/b.bin.weft"}
    assert codec.decompress(server.file("org/twin", f"{NAME}.weft")) == MODEL
    assert server.file("org/twin", "README.md").decode() == with_section(CARD.encode(), "org/twin").decode()
    assert {f.name for f in report.files if f.action == "compressed"} == {NAME, "sub dir/b.bin"}
    server.reset()
    again = pushed(server, None, "org/twin", from_repo="org/source")
    assert uploaded(server) == 0 and {f.action for f in again.files if f.name != "noise.bin"} == {"skipped"}
    assert server.bytes_sent(NAME, "GET") == 0
    assert pushed(server, None, "org/twin", from_repo="org/source", dry_run=True).commit == ""


def test_a_source_that_gives_other_bytes_than_it_lists(hub_server: HubServer) -> None:
    hub_server.add_repo("org/source", {NAME: MODEL})
    hub_server.set_faults(Fault("corrupt", at=50_000, times=0))
    with pytest.raises(codec.CorruptFileError, match="nothing was uploaded"):
        pushed(hub_server, None, "org/twin", from_repo="org/source")
    assert uploaded(hub_server) == 0


def test_xet_storage(make_hub_server: Callable[..., HubServer], folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet")
    server = make_hub_server(xet=True)
    pushed(server, folder)
    assert server.requests("GET", "xet-write-token") and uploaded(server) == 0
    report = hub.pull("org/m", cache_dir=tmp_path / "c", endpoint=server.url)
    assert (Path(report.folder) / NAME).read_bytes() == MODEL
    assert {f.action for f in pushed(server, folder).files} == {"skipped"}


def test_one_file(hub_server: HubServer, folder: Path) -> None:
    report = pushed(hub_server, folder / NAME)
    assert [(f.name, f.action) for f in report.files] == [(NAME, "compressed"), ("README.md", "extended")]
    assert listed(hub_server) == {f"{NAME}.weft", "README.md"}
    assert hub_server.file("org/m", "README.md").decode().startswith("# m\n")


def test_what_makes_no_sense(hub_server: HubServer, folder: Path, tmp_path: Path) -> None:
    for options in ({"path": None}, {"path": folder, "from_repo": "org/source"}):
        with pytest.raises(ValueError, match="either a path or from_repo"):
            pushed(hub_server, **options)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        pushed(hub_server, tmp_path / "nowhere")
    (folder / f"{NAME}.weft").write_bytes(b"x")
    with pytest.raises(codec.CodecError, match="same place"):
        pushed(hub_server, folder)
    assert hub_server.records() == []


@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_the_card_keeps_its_text_and_one_section(line: bytes) -> None:
    card = CARD.encode().replace(b"\n", line)
    once = with_section(card, "org/m")
    assert once.startswith(card) and once.count(b"\n") == once.count(line)
    assert with_section(once, "org/m") == once and with_section(once, "org/n").count(b"weft: begin") == 1
    edited = once.replace(b"Text.", b"Other text.") + line + b"A last word." + line
    assert b"Other text." in with_section(edited, "org/m") and b"A last word." in with_section(edited, "org/m")
    assert with_section(b"", "org/m") == with_section(b"\n", "org/m").replace(b"\r", b"")
    assert b"codec pull org/d --repo-type dataset" in with_section(b"", "org/d", "dataset")


@pytest.mark.parametrize("card", [b"# Mod\xe8le", b"---\na: [\n---\n# x", b"---\n- a\n- b\n---\n"])
def test_a_card_that_the_hub_would_refuse_is_found_before_the_work(
    hub_server: HubServer, folder: Path, card: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "README.md").write_bytes(card)
    monkeypatch.setattr(codec, "compress_file", None, raising=False)
    with pytest.raises(codec.CodecError, match=r"README\.md"):
        pushed(hub_server, folder)
    assert uploaded(hub_server) == 0


def test_a_card_without_weights_goes_up_as_it_is(hub_server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "README.md").write_bytes(b"# T\r\nx\r\n")
    report = pushed(hub_server, tmp_path / "d")
    assert hub_server.file("org/m", "README.md") == b"# T\r\nx\r\n" and [f.action for f in report.files] == ["copied"]


@pytest.mark.parametrize("kind", ["drop", "reset", "status"])
def test_a_commit_that_breaks_off_is_sent_again(hub_server: HubServer, folder: Path, kind: str) -> None:
    hub_server.set_faults(Fault(kind, path="/commit/", method="POST", status=503))
    report = pushed(hub_server, folder)
    assert listed(hub_server) == UNCHANGED | {f"{NAME}.weft", "sub dir/b.bin.weft"}
    repo = hub_server.store.find("org/m")
    assert repo is not None and sum(hub_server.injected.values()) == 1
    assert report.commit == HfApi(hub_server.url).repo_info("org/m").sha


def test_an_original_that_changes_meanwhile_is_not_kept(
    hub_server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = codec.verify_file

    def verified(*args: Any, **options: Any) -> codec.Report:
        report = verify(*args, **options)
        (folder / NAME).write_bytes(OTHER)
        return report

    monkeypatch.setattr(codec, "verify_file", verified, raising=False)
    with pytest.raises(codec.SourceChangedError):
        pushed(hub_server, folder, keep_originals=True)
    assert NAME not in listed(hub_server)


def test_a_twin_with_originals_takes_little_room(
    hub_server: HubServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.add_repo("org/source", {f"{k}.bin": weights(k, rows=200) for k in range(4)})
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    held: list[int] = []
    pushed(
        hub_server, None, "org/twin", from_repo="org/source", keep_originals=True,
        note=lambda file: held.append(sum(p.stat().st_size for p in room.rglob("*.bin"))),
    )  # fmt: skip
    assert max(held) == 0 and list(room.iterdir()) == []
