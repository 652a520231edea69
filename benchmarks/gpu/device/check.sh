#!/usr/bin/env bash
# Runs on the device machine, in the root of the checkout that travelled: `bash benchmarks/gpu/device/check.sh STAGE...`.
#
#   one     unpack DALI; the project on the GPU (tests); forward passes against the card's ceilings
#   two     unpack Ray and the sample; precisions; decoders; the engine in one process, and on Ray
#   three   `psol run` whole, on Ray Train; throughput of training (BACKBONES='resnet50 vgg16 inception_v3 densenet161 vgg_gap')
#
# or any single step by its function's name. Every step has its limit, a step that fails stops no other, and each one's
# figures are in $OUT/results.tar as soon as it is done. /tmp/gpu outlives a call as long as the machine is warm.
# Where DALI turns out not to work on the GPU, NO_DALI=1 lets the rest run with Pillow. TINY=1 SLOW=5 tries
# the steps out without a GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)
carried=$project/.gpu
work=${WORK:-/tmp/gpu}
results=$work/results
site=$work/site
cub=$work/sample/cub
weights=$work/sample/vgg16.safetensors
mkdir -p "$results" "$site"
export PYTHONUNBUFFERED=1 PYTHONPATH=$site:$project:$project/benchmarks:$here PSOL_SHARED=
export TOKENIZERS_PARALLELISM=false
[ -n "${TINY:-}" ] && export PSOL_TEST_DEVICE=cpu
[ -n "${NO_DALI:-}" ] && rm -rf "$site/nvidia/dali"

# step NAME SECONDS COMMAND...
step() {
  local name=$1 limit=$(($2 * ${SLOW:-1})) begun=$SECONDS
  shift 2
  echo "== $name"
  timeout -k 5 "$limit" "$@" 2>&1 | tee "$results/$name.txt" | grep -vE 'Warning|warnings.warn' | tail -n 45
  echo "== $name: exit ${PIPESTATUS[0]}, $((SECONDS - begun)) of $limit s"
  [ -n "${OUT:-}" ] && tar -C "$work" --exclude='*.parquet' -cf "$OUT/results.tar" results
  return 0
}

unpack() { # NAME: an archive that travelled, once
  [ -e "$carried/$1.tar.xz" ] && [ ! -e "$work/$1.done" ] || return 0
  xz -T0 -dc "$carried/$1.tar.xz" 2>/dev/null | tar -C "$site" -xf - 2>/dev/null ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter="fully_trusted")' \
      "$carried/$1.tar.xz" "$site"
  touch "$work/$1.done"
}

unpack_sample() {
  [ -e "$carried/sample.tar" ] && [ ! -e "$cub" ] || return 0
  mkdir -p "$work/sample"
  tar -C "$work/sample" -xf "$carried/sample.tar"
  python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' "$weights.xz" >"$weights"
  rm -rf "$work/many"
  python3 "$here/many.py" --from "$cub/images" --to "$work/many" --classes "${MANY_CLASSES:-12}" --images "${MANY_IMAGES:-1300}"
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit --format=csv,noheader
  lscpu | grep -E 'Model name|^CPU\(s\)|L3'
  df -h /tmp /dev/shm | tail -n 2
  python3 - <<'P'
import importlib.util as u, torch, numpy, sys
print(sys.version.split()[0], "torch", torch.__version__, "cuDNN", torch.backends.cudnn.version(), "numpy", numpy.__version__)
print({name: bool(u.find_spec(name)) for name in ("nvidia.dali", "ray", "jsonargparse", "triton", "timm", "cv2")})
if u.find_spec("nvidia.dali"):
    import nvidia.dali
    print("DALI", nvidia.dali.__version__)
P
}

tests() { step tests 100 python3 -m pytest -q -s -p no:cacheprovider --durations=5 "$project/tests/gpu/test_gpu.py"; }
dali_tests() { step dali_tests 60 python3 -m pytest -q -s -p no:cacheprovider --durations=5 "$project/tests/gpu/test_gpu_dali.py"; }
roofline() {
  step roofline 170 python3 "$here/roofline.py" --out "$results/roofline.json" --seconds 130 ${TINY:+--tiny}
}
precision() {
  step precision 70 python3 "$here/precision.py" --cub "$cub" --weights "$weights" --out "$results/precision.json" \
    ${TINY:+--most 12 --size 96}
}
decode() {
  step decode 60 python3 "$here/decode_sweep.py" --images "$cub/images" --out "$results/decode.json" --seconds 40 --each 1.5
}
engine() {
  step engine 120 python3 "$here/engine_ways.py" --images "$work/many" --weights "$weights" --seconds 70 \
    --best "$results/roofline.json" --out "$results/engine.json" ${TINY:+--num-images 24 --size 96}
}
engine_trace() { # what the GPU does meanwhile
  step engine_trace 45 python3 "$here/engine_trace.py" --images "$work/many" --weights random \
    --out "$results/engine_trace.json" ${TINY:+--num-images 24 --batch-size 8}
}
engine_ray() { # the project's own benchmark: decoder, network, engine with and without Ray
  step engine_ray 110 python3 "$project/benchmarks/ddt_throughput.py" --images "$work/many" --layout folder \
    --weights "$weights" --num-images 13000 --batch-size 64 --rounds 1 --skip-peers --out "$results/ddt_throughput.json" \
    ${TINY:+--num-images 24 --batch-size 8 --input-size 96}
}
# `psol run` on the sample: every stage, Ray Train and DALI's regions among them. Random trunks: it shows that it works.
run_all() {
  rm -rf "$work/run"
  step run_all 150 python3 -m psol_ray.cli run --config "$project/jobs/cub.yaml" --run_dir "$work/run" \
    --data.root "$cub" --boxes.weights "$weights" --localizer.weights random --localizer.epochs 4 \
    --localizer.backbone vgg_gap --localizer.batch_size 32 --localizer.ema_decay 0.9 --classifier.weights random \
    --classifier.epochs 2 --classifier.backbone resnet50 --classifier.batch_size 32 --classifier.micro_batch_size 16 \
    ${TINY:+--boxes.input_size 96 --localizer.input_size 64 --classifier.input_size 64 --localizer.epochs 1 --classifier.epochs 1}
  cp "$work/run/metrics.json" "$results/run_metrics.json" 2>/dev/null
}
train() { # a process a backbone, so that one that is cut off costs itself
  for backbone in ${BACKBONES:-resnet50 vgg16}; do
    step "train_$backbone" 50 python3 "$project/benchmarks/train_throughput.py" --images "$work/many" --layout folder \
      --backbones "$backbone" --batch-size "${TRAIN_BATCH:-128}" --rounds 1 --seconds 2.5 \
      --out "$results/train_$backbone.json" ${TINY:+--batch-size 2}
  done
}

one() {
  unpack dali
  step machine 40 bash -c "$(declare -f machine); machine"
  tests
  dali_tests
  roofline
}
two() {
  unpack ray
  unpack_sample
  precision
  decode
  engine
  engine_trace
  engine_ray
}
three() {
  run_all
  train
}

for stage in "$@"; do "$stage"; done
echo "== all: $SECONDS s"
