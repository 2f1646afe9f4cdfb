from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

import gpu
from fchains import use_runner
from speech import AudioChunk, Segment


@dataclass
class Whisper:
    """Stands for a loaded model: hears the loudest sample."""

    options: dict[str, object]

    def transcribe(
        self, samples: NDArray[np.float32], **options: object
    ) -> tuple[list[SimpleNamespace], object]:
        self.options.update(options)
        return [SimpleNamespace(start=0.0, end=1.0, text=f" {samples.max():.2f} ")], None


def test_samples_are_scaled_and_pieces_do_not_influence_each_other() -> None:
    options: dict[str, object] = {}

    segments = gpu.WhisperRecognizer(Whisper(options)).recognize(np.array([0, 16384], dtype="<i2").tobytes())

    assert segments == [Segment(start=0.0, end=1.0, text="0.50")]
    assert options["condition_on_previous_text"] is False


def test_the_variant_takes_its_own_resource() -> None:
    chunk = AudioChunk(start=2.0, pcm=np.array([8192], dtype="<i2").tobytes())

    with gpu.whisper.override(gpu.WhisperRecognizer(Whisper({}))), use_runner("inline"):
        heard = gpu.transcribe_piece_gpu.remote(chunk).result()

    assert heard == [Segment(start=2.0, end=3.0, text="0.25")]
