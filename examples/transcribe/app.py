"""Long recordings to text: cut at pauses, recognize the pieces at the same time, join the results.

python examples/transcribe/app.py                  # the five clips, with word error rate and time
python examples/transcribe/app.py talk.wav         # any WAV file with 16 kHz, mono, 16 bits
python examples/transcribe/app.py --times 5        # the clips for two minutes, on two replicas
REPLICAS=1 python examples/transcribe/app.py --times 5
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from audio import cut_at_pauses, read_wav
from fchains import Image, chainlet, setup, use, use_runner
from scoring import word_errors
from speech import RATE, AudioChunk, Recognizer, Segment, Transcript
from sphinx import SphinxRecognizer

CLIPS = Path(__file__).with_name("clips")
REPLICAS = int(os.environ.get("REPLICAS", "2"))
SILENCE = AudioChunk(start=0.0, pcm=bytes(RATE))

image = Image.debian_slim(python="3.11").pip_install("numpy==2.4.6", "pocketsphinx==5.1.1")


@setup
def recognizer() -> Recognizer:
    return SphinxRecognizer()


@chainlet(image=image, replicas=REPLICAS)
def transcribe_piece(chunk: AudioChunk, *, model: Recognizer = use(recognizer)) -> list[Segment]:
    """The segments of one piece, in the time of the recording."""
    return [segment.later(chunk.start) for segment in model.recognize(chunk.pcm)]


@chainlet(entrypoint=True, image=image)
async def transcribe_file(audio: bytes) -> Transcript:
    """The transcript of a WAV file."""
    samples = read_wav(audio)
    pieces = await transcribe_piece.map(cut_at_pauses(samples))
    return Transcript(
        duration=len(samples) / RATE, segments=[segment for piece in pieces for segment in piece]
    )


def reference(path: Path) -> list[str] | None:
    """The words of a clip, if the `transcripts.json` beside it knows them."""
    listed = path.with_name("transcripts.json")
    known: dict[str, str] = json.loads(listed.read_text()) if listed.exists() else {}
    return known[path.name].split() if path.name in known else None


def report(path: Path, transcript: Transcript) -> tuple[int, int]:
    """Print a transcript; return its wrong words, and how many words were said, as far as known."""
    print(path.name)
    for segment in transcript.segments:
        print(f"  {segment.start:6.2f} to {segment.end:6.2f} s  {segment.text}")
    said = reference(path)
    if said is None:
        return 0, 0
    errors = word_errors(said, transcript.text.split())
    print(f"  {errors} of {len(said)} words wrong")
    return errors, len(said)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Transcribe recordings.")
    parser.add_argument("wav", nargs="*", type=Path, help="16 kHz mono WAV files (default: the clips)")
    parser.add_argument("--runner", default="local", help="where the chain runs (default: %(default)s)")
    parser.add_argument("--times", type=int, default=1, help="how often to transcribe them (default: 1)")
    options = parser.parse_args(arguments)
    paths: list[Path] = options.wav or sorted(CLIPS.glob("*.wav"))
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"there is no file {', '.join(missing)}")
    paths *= options.times

    with use_runner(options.runner):
        began = time.perf_counter()
        list(transcribe_piece.map([SILENCE] * REPLICAS))  # so that all replicas have loaded their model
        ready = time.perf_counter()
        duration, wrong, said = 0.0, 0, 0
        for path, call in [(path, transcribe_file.remote(path.read_bytes())) for path in paths]:
            try:
                transcript = call.result()
            except ValueError as error:
                sys.exit(f"{path}: {error}")
            errors, words = report(path, transcript)
            duration, wrong, said = duration + transcript.duration, wrong + errors, said + words
        done = time.perf_counter()

    print(f"setup {ready - began:.1f} s, transcription {done - ready:.1f} s for {duration:.1f} s of speech")
    if said:
        print(f"word error rate {wrong / said:.0%}")


if __name__ == "__main__":
    main()
