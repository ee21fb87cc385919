#!/usr/bin/env bash
# One command for a machine with an accelerator: what it is, then the release weights for the time left.
# Usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]     everything is written to OUT
# A later call with the same OUT goes on from the newest checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]"}
seconds=${2:-540}
shift $(($# < 2 ? $# : 2))
mkdir -p "$out"
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
started=$SECONDS
python3 -m veerjax env 2>&1 | tee "$out/env.txt"
status=0
timeout --signal=INT "$seconds" python3 -m veerjax train --config configs/release.py --workdir "$out/run" "$@" \
  >"$out/train.txt" 2>&1 || status=$?
# 124: the time was up; the last checkpoint stands.
if [ "$status" -ne 0 ] && [ "$status" -ne 124 ]; then
  tail -n 5 "$out/train.txt"
  exit "$status"
fi
tail -n 1 "$out/run/log.jsonl"
python3 -m veerjax evaluate --weights "$out/run" --limit 500 --batch 32 --json "$out/evaluate.json" 2>/dev/null
python3 tools/make_release.py "$out/run" "$out/release"
echo "trained and evaluated in $((SECONDS - started)) s; everything is in $out"
