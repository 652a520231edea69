#!/usr/bin/env bash
# Before the first call to the device machine, on this one: everything that will travel beside the checkout, in its folder
# .gpu.
#
#   CUB=CUB_200_2011 WEIGHTS=vgg16_features.safetensors bash benchmarks/gpu/make.sh [CHECKOUT]
#
# CHECKOUT is the project's (the default is where you are). CUB and WEIGHTS are by default below $PSOL_SHARED, as for the
# tests. Packed archives are kept in PACKS (~/.cache/psol_gpu): the first time takes some minutes, the next ones seconds,
# until a version or a script changes.
set -euo pipefail
kit=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "${1:-.}" && pwd)
packs=${PACKS:-$HOME/.cache/psol_gpu}
python=${PYTHON:-python3}
platforms="--platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64
  --platform manylinux2014_x86_64 --platform manylinux1_x86_64"

# The versions that the project pins; nvImageCodec's own decoder of JPEG needs nvJPEG.
names="nvidia-dali-cuda130 nvidia-nvimgcodec-cu13 nvidia-nvjpeg astunparse gast optree makefun jsonargparse
  docstring-parser typeshed-client tensorboardx tenacity ray jsonschema jsonschema-specifications referencing rpds-py pydantic
  pydantic-core typing-inspection annotated-types"
pins=$(for n in $names; do grep -m1 "^$n==" "$checkout/constraints.txt"; done)
packs=$packs/$( (echo "$pins"; cat "$kit/slim.py" "$kit/sample.py") | sha256sum | cut -c1-12)

mkdir -p "$packs/wheels"
if [ ! -e "$packs/ray.tar.xz" ]; then
  # shellcheck disable=SC2086
  $python -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --implementation cp $platforms -d "$packs/wheels" $pins
  nice "$python" "$kit/slim.py" --wheels "$packs/wheels" --out "$packs"
fi
if [ ! -e "$packs/sample.tar" ]; then
  $python -m venv "$packs/venv"
  "$packs/venv/bin/pip" install -q --disable-pip-version-check numpy safetensors
  "$packs/venv/bin/python" "$kit/sample.py" --cub "${CUB:-$PSOL_SHARED/data/CUB_200_2011}" \
    --weights "${WEIGHTS:-$PSOL_SHARED/weights/vgg16_features.safetensors}" --out "$packs"
fi

to=$checkout/.gpu
rm -rf "$to"
mkdir -p "$to"
cp "$packs/dali.tar.xz" "$packs/ray.tar.xz" "$packs/sample.tar" "$to/"

# What a call takes along: the checkout's own files, and what `carry` names.
tree=$(cd "$checkout" && git ls-files -z -co --exclude-standard | { xargs -0 -r du -cb 2>/dev/null || true; } |
  awk '/total$/ {sum += $1} END {print sum + 0}')
for call in "dali.tar.xz" "ray.tar.xz sample.tar"; do
  # shellcheck disable=SC2086
  bytes=$(cd "$to" && du -cb $call | awk 'END {print $1}')
  printf '%s: %.1f MiB of 64\n' "$call" "$(awk "BEGIN {print ($bytes + $tree) / 2^20}")"
done
if [ "$tree" -gt 4000000 ]; then
  echo "The checkout itself is $((tree >> 20)) MiB: keep data and weights outside it until the last call is over." >&2
fi
