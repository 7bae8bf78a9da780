"""What files are called: the suffix of weft files, and the names that models have."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

#: What is put behind the name of an original.
SUFFIX: Final = ".weft"

#: Files below this many bytes are not worth compressing: headers, vocabularies, configurations.
SMALL: Final = 64 * 1024

#: What files of models are called, in lower case.
MODEL_PATTERNS: Final = (
    *("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.gguf", "*.ggml", "*.onnx", "*.onnx.data"),
    *("*.onnx_data", "*.npz", "*.npy", "*.h5", "*.hdf5", "*.keras", "*.tflite", "*.msgpack", "*.pb"),
    *("*.model", "*.nnue", "*.weights", "*.pdparams", "*.params", "*.caffemodel", "*.mlmodel"),
    *("*.distcp", "*.pkl", "*.data-?????-of-?????"),
)


def is_model_name(name: str) -> bool:
    """Whether a file of this name is taken for one that holds a model's weights. Folders before it do not matter.

    >>> import codec
    >>> codec.is_model_name("unet/model-00001-of-00002.safetensors"), codec.is_model_name("config.json")
    (True, False)
    """
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    return any(fnmatchcase(base, pattern) for pattern in MODEL_PATTERNS)
