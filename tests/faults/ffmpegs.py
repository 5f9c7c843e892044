"""Programs that stand in for ffmpeg and fail in one way each; the real one where told so."""

from __future__ import annotations

import os
from pathlib import Path

import imageio_ffmpeg

# shell code that is run in ffmpeg's place where it encodes; $out is the file it should write
WAYS = {
    "exits with an error": "cat >/dev/null; echo Disk trouble >&2; exit 1",
    "is killed at once": "kill -9 $$",
    "is killed after some frames": "head -c 40000 >/dev/null; kill -9 $$",
    "writes seven bytes and is content": 'cat >/dev/null; printf 1234567 >"$out"',
    "writes nothing and is content": "cat >/dev/null",
    "writes an empty file and is content": 'cat >/dev/null; : >"$out"',
    "reads nothing and is content": 'printf 1234567 >"$out"',
    "leaves out frames": '"$real" "${@:1:$#-1}" -frames:v 1 "file:$out"',
    "cuts the file": '"$real" "$@" && truncate -s 600 "$out"',
    "writes another size": '"$real" "${@:1:$#-1}" -vf scale=32:32 "file:$out"',
    "writes a good file but fails": '"$real" "$@"; exit 3',
}


def stand_in(folder: Path, way: str, after: int = 0) -> str:
    """The path of a program that behaves so when it encodes.

    Args:
        folder: Where it lies.
        way: Of `WAYS`.
        after: How many videos it writes well before.
    """
    count = folder / "encoded"
    count.write_text("0")
    program = folder / "ffmpeg"
    program.write_text(
        f"""#!/bin/bash
real={imageio_ffmpeg.get_ffmpeg_exe()}
case " $* " in
  *" libx264 "*) ;;
  *) exec "$real" "$@" ;;
esac
for last; do :; done
out=${{last#file:}}
done=$(cat {count})
echo $((done + 1)) >{count}
[ "$done" -lt {after} ] && exec "$real" "$@"
{WAYS[way]}
"""
    )
    os.chmod(program, 0o755)
    return str(program)
