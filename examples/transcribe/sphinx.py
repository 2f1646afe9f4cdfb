"""pocketsphinx behind the interface of the chain: a small model, which comes with its package."""

from typing import Any

from speech import RATE, Segment

FRAMES_PER_SECOND = 100
SHORTEST = RATE // 10 * 2  # bytes of 0.1 s; the decoder fails for good at a piece without a single frame


class SphinxRecognizer:
    """The English model that is packaged with pocketsphinx.

    It keeps the interpreter's lock while it decodes, about a fifth of the time that was spoken.
    """

    def __init__(self) -> None:
        from pocketsphinx import Decoder  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

        # The limit on the active models of a frame halves the time and costs no word here.
        self._decoder: Any = Decoder(samprate=RATE, maxhmmpf=3000, loglevel="FATAL")

    def recognize(self, pcm: bytes) -> list[Segment]:
        decoder = self._decoder
        # Without this the noise level of one piece would be taken for that of the next.
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm.ljust(SHORTEST, b"\0"), full_utt=True)
        decoder.end_utt()
        words = [part for part in decoder.seg() or () if not part.word.startswith(("<", "["))]
        if not words:
            return []
        start, end = words[0].start_frame, words[-1].end_frame + 1
        text: str = decoder.hyp().hypstr
        return [Segment(start=start / FRAMES_PER_SECOND, end=end / FRAMES_PER_SECOND, text=text)]
