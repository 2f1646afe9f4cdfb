import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from fchains.errors import DefinitionError, SerializationError
from fchains.packaging.bundle import Bundle
from fchains.packaging.guard import looks_secret
from fchains.packaging.snapshot import Snapshot
from tests.packaging.conftest import Write

SOURCES: dict[str, str | bytes] = {
    "pyproject.toml": '[tool.fchains]\ninclude = ["data/*.json"]\n',
    "app.py": "import util\n",
    "src/util.py": "from pkg import deep\n",
    "src/pkg/__init__.py": "",
    "src/pkg/deep.py": 'text = "ä"\r\n',
    "data/a.json": '{"a": 1}\n',
    "data/b.csv": "",
    "unused.py": "",
}
# A change here means that every deployed chain ships anew; then the format's name changes too.
GOLDEN = "93c2376f6a277294baa0deff02ccc813e334d2eb6a6a0cfdab63c58528201000"


def archive(files: dict[str, bytes], **about: object) -> bytes:
    """An archive made by hand, with a manifest that fits unless told otherwise."""
    try:
        digest = Bundle(files).digest
    except SerializationError:
        digest = ""
    manifest: dict[str, object] = {"format": "fchains bundle 1", "digest": digest, "paths": [], "modules": {}}
    manifest.update(about)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in {".fchains-bundle.json": json.dumps(manifest).encode(), **files}.items():
            made.writestr(name, content)
    return buffer.getvalue()


def test_a_bundle_has_the_imported_modules_and_the_included_files(write: Write) -> None:
    bundle = Bundle.of([write(SOURCES) / "app.py"])

    assert list(bundle.files) == [
        "app.py",
        "data/a.json",
        "src/pkg/__init__.py",
        "src/pkg/deep.py",
        "src/util.py",
    ]
    assert bundle.paths == ("", "src")
    assert bundle.modules == {
        "app": "app.py",
        "pkg": "src/pkg/__init__.py",
        "pkg.deep": "src/pkg/deep.py",
        "util": "src/util.py",
    }


def test_line_ends_and_encodings_are_kept(write: Write) -> None:
    assert Bundle.of([write(SOURCES) / "app.py"]).files["src/pkg/deep.py"] == 'text = "ä"\r\n'.encode()


def test_the_digest_is_golden(write: Write) -> None:
    assert Bundle.of([write(SOURCES) / "app.py"]).digest == GOLDEN
    assert Bundle({}).digest == "5837639236a48fdcdd5c534c86de11189a6b12731d31e560c267217cdfba1810"


def test_the_digest_depends_on_neither_place_nor_time_nor_mode(write: Write, tmp_path: Path) -> None:
    here = write({f"here/{name}": content for name, content in SOURCES.items()}) / "here"
    there = write({f"there/{name}": SOURCES[name] for name in reversed(SOURCES)}) / "there"
    os.utime(there / "app.py", (1, 1))
    (there / "src/util.py").chmod(0o700)

    assert Bundle.of([here / "app.py"]).digest == Bundle.of([there / "app.py"]).digest
    assert Bundle.of([here / "app.py"]).to_bytes() == Bundle.of([there / "app.py"]).to_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        Bundle({"a.py": b"2", "b.py": b""}, ("",), {"a": "a.py"}),
        Bundle({"a.py": b"1", "c.py": b""}, ("",), {"a": "a.py"}),
        Bundle({"a.py": b"1"}, ("",), {"a": "a.py"}),
        Bundle({"a.py": b"1", "b.py": b""}, ("src",), {"a": "a.py"}),
        Bundle({"a.py": b"1", "b.py": b""}, ("",), {"b": "a.py"}),
        Bundle({"a.py": b"", "b.py": b"1"}, ("",), {"a": "a.py"}),
    ],
)
def test_every_part_of_the_content_changes_the_digest(changed: Bundle) -> None:
    bundle = Bundle({"a.py": b"1", "b.py": b""}, ("",), {"a": "a.py"})

    assert changed.digest != bundle.digest
    assert changed != bundle


def test_bundles_of_equal_content_are_equal() -> None:
    one, other = Bundle({"a": b"1", "b": b"2"}), Bundle({"b": b"2", "a": b"1"})

    assert one == other
    assert len({one, other}) == 1
    assert one != "bundle"


def test_a_bundle_survives_the_journey(write: Write) -> None:
    bundle = Bundle.of([write(SOURCES) / "app.py"])
    arrived = Bundle.from_bytes(bundle.to_bytes())

    assert arrived == bundle
    assert (arrived.files, arrived.paths, arrived.modules) == (bundle.files, bundle.paths, bundle.modules)
    assert arrived.size == sum(len(content) for content in bundle.files.values())


def test_the_digest_does_not_depend_on_compression() -> None:
    bundle = Bundle({"a.py": b"x" * 1000})
    stored = archive(dict(bundle.files))

    assert len(stored) > len(bundle.to_bytes())
    assert Bundle.from_bytes(stored).digest == bundle.digest


def test_a_bundle_is_extracted_as_it_was(write: Write, tmp_path: Path) -> None:
    bundle = Bundle.of([write(SOURCES) / "app.py"])
    folder = bundle.extract(tmp_path / "out/deep")

    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == dict(bundle.files)
    assert [path.name for path in folder.parent.iterdir()] == ["deep"]


def test_extracting_twice_changes_nothing_and_an_empty_folder_is_used(tmp_path: Path) -> None:
    bundle = Bundle({"a.py": b"1"})
    (tmp_path / "out").mkdir()
    bundle.extract(tmp_path / "out")
    (tmp_path / "out/__pycache__").mkdir()

    assert bundle.extract(tmp_path / "out") == tmp_path / "out"


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("mine")

    with pytest.raises(SerializationError, match="holds other files; give an empty folder"):
        Bundle({"a.py": b"1"}).extract(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    assert (tmp_path / "a.py").read_text() == "mine"


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", Bundle({"a": b"1"}).to_bytes()[:-10]])
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(SerializationError, match=rf"these {len(data)} bytes are no bundle"):
        Bundle.from_bytes(data)


def test_a_flipped_bit_is_noticed() -> None:
    data = bytearray(Bundle({"a.py": bytes(range(256)) * 4}).to_bytes())
    data[data.index(b"a.py") + 10] ^= 1

    with pytest.raises(SerializationError):
        Bundle.from_bytes(bytes(data))


def test_a_zip_of_something_else_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a.py", b"")

    with pytest.raises(SerializationError, match="are no bundle"):
        Bundle.from_bytes(buffer.getvalue())


def test_a_bundle_of_another_format_says_so() -> None:
    with pytest.raises(SerializationError, match="format 'fchains bundle 9', this fchains reads"):
        Bundle.from_bytes(archive({}, format="fchains bundle 9"))


@pytest.mark.parametrize(("about", "value"), [("digest", "00"), ("paths", ["x"]), ("modules", {"a": "b"})])
def test_a_manifest_that_does_not_fit_the_files_is_noticed(about: str, value: object) -> None:
    with pytest.raises(SerializationError, match="the bundle is damaged"):
        Bundle.from_bytes(archive({"a.py": b"1"}, **{about: value}))


@pytest.mark.parametrize(
    "name",
    ["../a.py", "/etc/a", "a/../../b", "a//b", "./a", "C:/a", "a\\b", "a/", "a\nb", ".fchains-bundle.json"],
)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(SerializationError, match="cannot hold a file named"):
        Bundle({name: b""})
    if "\n" not in name and not name.startswith(".fchains"):
        with pytest.raises(SerializationError):
            Bundle.from_bytes(archive({name: b""}))


def test_a_path_for_sys_path_does_not_lead_out_either() -> None:
    with pytest.raises(SerializationError):
        Bundle({}, ("../x",))


def test_missing_first_party_imports_are_reported_together(write: Write) -> None:
    root = write({"pyproject.toml": "", "app.py": "import p.gone\nimport p.lost\n", "p/__init__.py": ""})

    with pytest.raises(DefinitionError) as caught:
        Bundle.of([root / "app.py"])
    assert "app.py:1: `import p.gone`" in str(caught.value)
    assert "app.py:2: `import p.lost`" in str(caught.value)


def test_included_python_files_bring_their_imports(write: Write) -> None:
    root = write(
        {
            "pyproject.toml": '[tool.fchains]\ninclude = ["plugins"]\n',
            "app.py": "",
            "plugins/a.py": "import util",
            "util.py": "",
        }
    )

    assert list(Bundle.of([root / "app.py"]).files) == ["app.py", "plugins/a.py", "util.py"]


def test_without_entries_there_are_no_files(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write({"a.py": ""}))

    assert Bundle.of([]).files == {}


@pytest.mark.parametrize("name", [".env", "certs/server.pem", "id_rsa", "deploy.key", ".env.production"])
def test_a_file_that_looks_like_a_secret_is_refused(write: Write, name: str) -> None:
    root = write({"pyproject.toml": f'[tool.fchains]\ninclude = ["{name}"]\n', "app.py": "", name: "x"})

    with pytest.raises(DefinitionError, match=r"looks like a secret(.|\n)*secrets=\[\"NAME\"\]"):
        Bundle.of([root / "app.py"])


@pytest.mark.parametrize("name", [".env.example", "id_rsa.pub", "key.json", "environment.yml", "a/pem.txt"])
def test_harmless_names_are_no_secrets(name: str) -> None:
    assert not looks_secret(name)


def test_a_large_file_is_refused_with_the_way_out(write: Write) -> None:
    root = write({"pyproject.toml": '[tool.fchains]\ninclude = ["w.bin"]\n', "app.py": "", "w.bin": b""})
    with (root / "w.bin").open("wb") as file:
        file.truncate(11 * 2**20)

    with pytest.raises(DefinitionError, match=r"w\.bin has 11\.0 MiB(.|\n)*Image\.add_local_file"):
        Bundle.of([root / "app.py"])


def test_a_file_that_changes_meanwhile_is_noticed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(SOURCES)
    read = Snapshot.read

    def read_and_change(self: Snapshot, path: Path) -> bytes:
        content = read(self, path)
        if path.name == "util.py":
            path.write_text("import pkg\n")
        return content

    monkeypatch.setattr(Snapshot, "read", read_and_change)

    with pytest.raises(DefinitionError, match=r"util\.py:1: this file changed while"):
        Bundle.of([root / "app.py"])


def test_a_file_that_vanishes_meanwhile_is_noticed(write: Write) -> None:
    root = write({"a.py": "1"})
    snapshot = Snapshot()
    snapshot.read(root / "a.py")
    snapshot.verify()
    (root / "a.py").unlink()

    with pytest.raises(DefinitionError, match=r"a\.py:1: this file changed while"):
        snapshot.verify()
