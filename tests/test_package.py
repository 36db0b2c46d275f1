"""The package as a library: its names, what importing it costs, and the examples of its docstrings."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from factories.toy_artifacts import Format, byte_tokenizer, random_model

import nmforge
from nmforge.core.errors import NmforgeError

EXAMPLES = ["nmforge", "nmforge.runtime.model", "nmforge.compression.compress"]
LETTERS = "".join(chr(97 + i * i % 26) for i in range(200))


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    """Where the examples run: `toy.nmf.safetensors`, the folder `checkpoint` and `text.txt`."""
    random_model(tmp_path / "toy.nmf.safetensors", Format("2:4", 4, 16, "enumerative"), byte_tokenizer())
    (tmp_path / "checkpoint").symlink_to(checkpoint)
    (tmp_path / "text.txt").write_text(f"{LETTERS}\n\n{LETTERS[::-1]}\n")
    return tmp_path


@pytest.fixture
def toy(folder: Path) -> nmforge.Model:
    return nmforge.load(folder / "toy.nmf.safetensors")


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_of_docstrings(module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import nmforge; dir(nmforge); found = set(sys.modules) - before; "
        "print(sorted(name for name in found if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['nmforge']"


def test_loading_imports_neither_torch_nor_pydantic(folder: Path) -> None:
    program = (
        "import sys, nmforge; nmforge.load('toy.nmf.safetensors').generate('a', tokens=2); "
        "print({'torch', 'transformers', 'pandas', 'pydantic', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=folder)
    assert done.stdout.strip() == "set()"


def test_every_name_is_there() -> None:
    assert all(getattr(nmforge, name) is not None for name in nmforge.__all__)
    assert set(nmforge.__all__) <= set(dir(nmforge))
    with pytest.raises(AttributeError, match="module 'nmforge' has no attribute 'nope'"):
        nmforge.nope  # noqa: B018


def test_types_are_shipped() -> None:
    assert (Path(nmforge.__file__).parent / "py.typed").exists()


def test_layers_are_listed_by_name(toy: nmforge.Model) -> None:
    assert len(toy.layers) == 7
    assert list(toy.layers) == list(toy.header["layers"])
    assert "model.layers.0.mlp.up_proj" in toy.layers and "up_proj" not in toy.layers
    with pytest.raises(NmforgeError, match="has no compressed layer up_proj; nmforge inspect lists its layers"):
        toy.layers["up_proj"]


def test_the_weights_of_a_layer_are_those_it_multiplies_with(toy: nmforge.Model) -> None:
    layer = toy.layers["model.layers.0.mlp.up_proj"]
    n, k = layer.shape
    x = np.eye(k, dtype=np.float32)  # quantized without error, so a column of W comes out
    assert (layer.shape, layer.group_size) == ((96, 48), 16)
    assert np.allclose(layer.forward(x), layer.dequantize().T, rtol=1e-6)
    assert layer.forward(x).shape == (k, n)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.ones((2, 48)), r"up_proj: activations are float64\[2, 48\]; pass float32\[M, 48\]"),
        (np.ones((2, 47), dtype=np.float32), r"activations are float32\[2, 47\]; pass float32\[M, 48\]"),
        (np.ones(48, dtype=np.float32), r"activations are float32\[48\]; pass float32\[M, 48\]"),
        (np.full((1, 48), np.nan, dtype=np.float32), "activations hold NaN or infinity; pass finite numbers"),
    ],
)
def test_error_messages_of_a_layer(toy: nmforge.Model, backend: str, x: np.ndarray, sentence: str) -> None:
    with pytest.raises(NmforgeError, match=sentence):
        toy.layers["model.layers.0.mlp.up_proj"].forward(x, backend)


def test_an_unknown_backend_of_a_layer(toy: nmforge.Model) -> None:
    with pytest.raises(NmforgeError, match="backend 'gpu' of a layer is unknown; use cpu or reference"):
        toy.layers["model.layers.0.mlp.up_proj"].forward(np.ones((1, 48), dtype=np.float32), "gpu")


def test_a_model_generates_again_and_again(toy: nmforge.Model) -> None:
    pieces: list[str] = []
    first, again = (toy.generate("Once", 6, stream=pieces.append) for _ in range(2))
    assert first.token_ids == again.token_ids
    assert "".join(pieces) == 2 * first.text


def test_compress_wants_a_text_that_is_there(folder: Path) -> None:
    point = nmforge.DesignPoint("a", nmforge.Pattern(2, 4), "wanda", "rtn", 4, 32)
    for text, sentence in ((None, "design a is calibrated on text; name a"), ("no.txt", r"text no\.txt is not a file")):
        with pytest.raises(NmforgeError, match=sentence):
            nmforge.compress(folder / "checkpoint", text, point, folder / "a.nmf.safetensors")
    assert not (folder / "a.nmf.safetensors").exists()


def test_a_text_and_its_tokens_give_the_same_artifact(folder: Path) -> None:
    from nmforge.data.corpus import load_corpus
    from nmforge.data.tokens import write_tokens
    from nmforge.models.load import load_tokenizer

    write_tokens(
        load_corpus(str(folder / "text.txt"), None, folder),
        load_tokenizer(folder / "checkpoint"),
        folder / "tokens.safetensors",
    )
    point = nmforge.DesignPoint("a", nmforge.Pattern(2, 4), "wanda", "rtn", 4, 32)
    few = nmforge.CalibrationConfig(tokens=64, seqlen=32)
    made = [folder / f"{name}.nmf.safetensors" for name in ("text", "tokens")]
    for out, text in zip(made, ("text.txt", "tokens.safetensors"), strict=True):
        nmforge.compress(folder / "checkpoint", folder / text, point, out, calibration=few)
    assert made[0].read_bytes() == made[1].read_bytes()
