#!/usr/bin/env bash
# One command for a machine with an accelerator. Usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]
#
# Everything is written to OUT, in this order, each part within what is left of SECONDS (540):
#   env.txt         versions and devices
#   tests.txt       the tests that need an accelerator
#   benchmark.json  stages, ceilings, MFU and roofline of the default net; sweep.json: how cost grows with the batch
#   peer.json       the same net in PyTorch (torch.compile, bfloat16, channels last), in turn with ours
#   run/, release/  the release weights, trained for the time left, evaluated (evaluate.json) and packed
# A part that fails is named and the next one goes on; a later call with the same OUT trains on from the checkpoint.
# BATCH, STEPS, CONFIG and PEER_PYTHON change the benchmarks; --set changes the training.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]"}
seconds=${2:-540}
shift $(($# < 2 ? $# : 2))
batch=${BATCH:-128} steps=${STEPS:-30} config=${CONFIG:-configs/unet.py}
mkdir -p "$out"
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
started=$SECONDS failed=""

left() { echo $((seconds - (SECONDS - started))); }

# part NAME RESERVED COMMAND...: runs a command into OUT/NAME.txt while more than RESERVED seconds are left
part() {
  local name=$1 time=$(($(left) - $2)) status=0
  shift 2
  if [ "$time" -le 0 ]; then
    failed="$failed $name(no time)"
    return
  fi
  timeout --signal=INT --kill-after=20 "$time" "$@" >"$out/$name.txt" 2>&1 || status=$?
  echo "== $name: exit $status, $(left) s left"
  tail -n 12 "$out/$name.txt"
  # 124: the time was up, as it is meant for the training; its last checkpoint stands.
  if [ "$status" -ne 0 ] && ! { [ "$name" = train ] && [ "$status" -eq 124 ]; }; then failed="$failed $name($status)"; fi
}

veerjax=(python3 -m veerjax)
timing=(--config "$config" --set "batch=$batch" --steps "$steps")
part env 0 "${veerjax[@]}" env
JAX_PLATFORMS="" part tests 60 python3 -m pytest -q -m '' -p no:cacheprovider tests/test_accelerator.py
part benchmark 60 "${veerjax[@]}" benchmark "${timing[@]}" --json "$out/benchmark.json"
part sweep 60 "${veerjax[@]}" benchmark "${timing[@]}" --sweep "batch=$((batch / 4)),$batch,$((batch * 2))" \
  --json "$out/sweep.json" --plot "$out/sweep.png"
part peer 60 "${veerjax[@]}" benchmark "${timing[@]}" --against torch --peer-python "${PEER_PYTHON:-python3}" \
  --json "$out/peer.json"
part train 60 "${veerjax[@]}" train --config configs/release.py --workdir "$out/run" "$@"
# The last two may take as long as they need: what was trained is worth nothing unseen.
seconds=$((SECONDS - started + 600))
part evaluate 0 "${veerjax[@]}" evaluate --weights "$out/run" --limit 500 --batch 32 --json "$out/evaluate.json"
part release 0 python3 tools/make_release.py "$out/run" "$out/release"
echo "done in $((SECONDS - started)) s; everything is in $out"
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
