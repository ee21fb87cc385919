#!/usr/bin/env bash
# One command for a machine with an accelerator. Usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]
#
# What it does, in this order, within SECONDS (540) altogether:
#   env         versions and devices; stops where there is no accelerator, unless ALLOW_CPU=1
#   tests       the tests that need an accelerator
#   benchmark   stages, ceilings, MFU and roofline of the default net; sweep: how cost grows with the batch
#   peer        the same net in PyTorch (torch.compile, bfloat16, channels last), in turn with ours
#   train       the release weights for the time left, then packed (release) and evaluated
# OUT holds few and small files, as a lent machine may return no others: results.tar.gz (every part's text, JSON and
# plot), release.tar.gz, and run.tar.gz.* (the checkpoints in pieces); given again, OUT's run is trained on.
# BATCH, STEPS, CONFIG and PEER_PYTHON change the benchmarks; --set changes the training; PARTS="train release evaluate"
# runs these alone, as a second call would.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?"usage: tools/gpu_session.sh OUT [SECONDS] [--set KEY=VALUE ...]"}
seconds=${2:-540}
shift $(($# < 2 ? $# : 2))
parts=${PARTS:-env tests benchmark sweep peer train release evaluate}
batch=${BATCH:-128} steps=${STEPS:-30} config=${CONFIG:-configs/unet.py}
mkdir -p "$out"
work=$(mktemp -d)
mkdir "$work/results"
trap 'rm -rf "$work"' EXIT
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
if compgen -G "$out/run.tar.gz.*" >/dev/null; then cat "$out"/run.tar.gz.* | tar -xz -C "$work"; fi

left() { echo $((seconds - SECONDS)); }

pack_results() { tar -czf "$out/results.tar.gz" -C "$work" results; }

failed=""
# part NAME RESERVED MOST COMMAND...: a command's words go to results/NAME.txt; it gets at most MOST seconds, and what is
# left but for RESERVED
part() {
  local name=$1 time=$(($(left) - $2)) most=$3 status=0
  shift 3
  case " $parts " in *" $name "*) ;; *) return ;; esac
  if [ "$time" -gt "$most" ]; then time=$most; fi
  if [ "$time" -le 0 ]; then
    failed="$failed $name(no time)"
    return
  fi
  timeout --signal=TERM --kill-after=40 "$time" "$@" >"$work/results/$name.txt" 2>&1 || status=$?
  echo "== $name: exit $status, $(left) s left"
  tail -n 12 "$work/results/$name.txt"
  # 124: the time was up, as it is meant for the training; its last checkpoint stands.
  if [ "$status" -ne 0 ] && ! { [ "$name" = train ] && [ "$status" -eq 124 ]; }; then failed="$failed $name($status)"; fi
  pack_results
}

results="$work/results" run="$work/run"
veerjax=(python3 -m veerjax)
timing=(--config "$config" --set "batch=$batch" --steps "$steps")
part env 0 60 "${veerjax[@]}" env
if [ -z "${ALLOW_CPU:-}" ] && ! python3 -c 'import jax, sys; sys.exit(jax.default_backend() == "cpu")'; then
  echo "there is no accelerator here; ALLOW_CPU=1 runs everything on the CPU."
  exit 1
fi
JAX_PLATFORMS="" part tests 180 120 python3 -m pytest -q -m '' -p no:cacheprovider tests/test_accelerator.py
part benchmark 180 180 "${veerjax[@]}" benchmark "${timing[@]}" --json "$results/benchmark.json"
part sweep 180 150 "${veerjax[@]}" benchmark "${timing[@]}" --sweep "batch=$batch,$((batch * 2)),$((batch * 4))" \
  --json "$results/sweep.json" --plot "$results/sweep.png"
# The peer shares the device's memory.
XLA_PYTHON_CLIENT_PREALLOCATE=false part peer 120 180 "${veerjax[@]}" benchmark "${timing[@]}" --against torch \
  --peer-python "${PEER_PYTHON:-python3}" --json "$results/peer.json"
part train 90 "$seconds" "${veerjax[@]}" train --config configs/release.py --workdir "$run" --init-from release "$@"
if [ -d "$run" ] && tar -cz -C "$work" run | split -b 15M - "$work/run.tar.gz."; then
  rm -f "$out"/run.tar.gz.*
  mv "$work"/run.tar.gz.* "$out"
fi
part release 0 30 python3 tools/make_release.py "$run" "$work/release"
[ ! -d "$work/release" ] || tar -czf "$out/release.tar.gz" -C "$work" release
part evaluate 0 90 "${veerjax[@]}" evaluate --weights "$run" --limit 500 --batch 32 --json "$results/evaluate.json"
pack_results
echo "done in $SECONDS s; everything is in $out"
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
