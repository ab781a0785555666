#!/usr/bin/env bash
# Installs what is missing, builds, tests and validates. Ends with one line: verdict and paths.
#
#   ./run_all.sh [--quick]    build, unit tests, validation on small shapes and both presets (default)
#   ./run_all.sh --full       the same with all amplitudes and gradient scales
#   ./run_all.sh --test       build and tests only: the test command of the README
#   --no-install              never install anything; a missing package is then CMake's error
#
# Environment: ANEVAL_PRESET (release) chooses the CMake preset, ANEVAL_DATA a folder with stories260K.bin and tok512.bin:
# kernels are then judged on that model's activations as well.
set -euo pipefail
cd "$(dirname "$0")"

mode=quick install=yes
for argument in "$@"; do
  case "$argument" in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --test) mode=test ;;
    --no-install) install=no ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run_all.sh: $argument: unknown option: see ./run_all.sh --help" >&2; exit 2 ;;
  esac
done
preset=${ANEVAL_PRESET:-release}

install_debian() {
  local wanted=(g++ cmake ninja-build git libbenchmark-dev libgtest-dev libgmock-dev libeigen3-dev libhwy-dev libfccp-dev
    nlohmann-json3-dev libfmt-dev libcli11-dev libfast-float-dev libxxhash-dev)
  # The independent oracle of the reference; tests that need it are reported as skipped without it.
  [ "$mode" = test ] && [ -n "${CI:-}" ] && wanted+=(python3-torch python3-numpy)
  local missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  echo "== installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_macos() {
  command -v brew >/dev/null || { echo "run_all.sh: brew: not found: install Homebrew, or use --no-install" >&2; exit 2; }
  local wanted=(cmake ninja google-benchmark googletest eigen highway nlohmann-json fmt cli11 fast_float xxhash)
  local missing=() formula
  for formula in "${wanted[@]}"; do
    brew list --formula "$formula" >/dev/null 2>&1 || missing+=("$formula")
  done
  [ ${#missing[@]} = 0 ] || brew install "${missing[@]}"
}

if [ $install = yes ]; then
  if [ "$(uname)" = Darwin ]; then
    install_macos
  elif command -v apt-get >/dev/null; then
    install_debian
  else
    echo "run_all.sh: this system has neither apt nor brew: install the packages of README.md yourself (--no-install)" >&2
    exit 2
  fi
fi

echo "== building (preset $preset)"
cmake --preset "$preset" >build-configure.log 2>&1 || { cat build-configure.log >&2; rm -f build-configure.log; exit 2; }
rm -f build-configure.log
cmake --build --preset "$preset"

if [ $mode = test ]; then
  exec ctest --preset "$preset" -j "$(getconf _NPROCESSORS_ONLN)"
fi

aneval=build/$preset/aneval
run=results/$(date -u +%Y%m%dT%H%M%SZ)-$mode
mkdir -p "$run"
"$aneval" doctor --json >"$run/environment.json"
verdict=PASSED
step() {  # step NAME COMMAND…
  local name=$1 code=0
  shift
  echo "== $name"
  "$@" | tee "$run/$name.txt" || code=${PIPESTATUS[0]}
  [ "$code" = 0 ] || verdict=FAILED
}
step tests ctest --preset "$preset" -j "$(getconf _NPROCESSORS_ONLN)" --quiet --output-on-failure
step validate "$aneval" validate "--$mode" --out "$run/validate.csv"
data=${ANEVAL_DATA:-}
if [ -n "$data" ] && [ -f "$data/stories260K.bin" ]; then
  step validate-real "$aneval" validate --weights "$data/stories260K.bin" --tokenizer "$data/tok512.bin" \
    --text "Once upon a time, there was a little girl named Lily. She loved to play outside in the park." \
    --out "$run/validate-real.csv"
else
  echo "== validate-real: skipped, ANEVAL_DATA names no folder with stories260K.bin and tok512.bin"
fi
echo "$verdict: results in $run (validate.csv, environment.json)"
[ $verdict = PASSED ]
