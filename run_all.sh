#!/usr/bin/env bash
# From a fresh checkout to numbers: installs what is missing, builds, tests, validates, benchmarks and reports.
#
#   ./run_all.sh [--quick]    one big shape, short benchmarks (default)
#   ./run_all.sh --full       both big shapes, all amplitudes and gradient scales, the self-test, longer benchmarks
#   ./run_all.sh --test       build and tests only: the test command of the README; writes build/<preset>/ctest.xml (JUnit)
#   ./run_all.sh --install    installs what is missing, and nothing else
#   --no-install              never install anything; a missing package is then CMake's error
#
# Writes results/<run>/: report.html and summary.md to read, results.csv with every value, environment.json, logs of the steps. The last
# line is the verdict and where the results are; the exit code is 0 only when everything ran and passed.
# Environment: ANEVAL_PRESET (release) chooses the CMake preset; ANEVAL_DATA a folder with stories260K.bin and
# tok512.bin, whose activations kernels are then judged on as well.
set -euo pipefail
cd "$(dirname "$0")"

mode=quick install=yes
for argument in "$@"; do
  case "$argument" in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --test) mode=test ;;
    --install) mode=install ;;
    --no-install) install=no ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run_all.sh: $argument: unknown option: see ./run_all.sh --help" >&2; exit 2 ;;
  esac
done
preset=${ANEVAL_PRESET:-release}

install_debian() {
  local wanted=(g++ cmake ninja-build git libbenchmark-dev libgtest-dev libgmock-dev libeigen3-dev libhwy-dev libfccp-dev
    nlohmann-json3-dev libfmt-dev libcli11-dev libfast-float-dev libxxhash-dev gobjc)
  # What draws the charts of reports; Node.js of another source has it already.
  command -v npm >/dev/null || wanted+=(npm)
  # The independent oracle of the reference, what reads the workflows, the browser that opens reports, and what completions
  # and the manual are for; tests that need them are skipped without.
  [ "$mode" = test ] && [ -n "${CI:-}" ] && wanted+=(python3-torch python3-numpy python3-yaml chromium zsh man-db groff)
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
  command -v npm >/dev/null || wanted+=(node)
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

[ $mode != install ] || exit 0

echo "== building (preset $preset)"
cmake --preset "$preset" >build-configure.log 2>&1 || { cat build-configure.log >&2; rm -f build-configure.log; exit 2; }
rm -f build-configure.log
cmake --build --preset "$preset"

if [ $mode = test ]; then
  exec ctest --preset "$preset" -j "$(getconf _NPROCESSORS_ONLN)" --output-junit ctest.xml
fi

aneval=build/$preset/aneval
name=$(date -u +%Y%m%dT%H%M%SZ)-$mode
run=results/$name
mkdir -p "$run"
"$aneval" doctor --json >"$run/environment.json"
verdict=PASSED stopped=0 child= began=$SECONDS

# A signal to this script ends the step that runs; what the steps wrote until then is still merged and reported.
trap 'stopped=130; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' INT
trap 'stopped=143; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM

note() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$run/steps.tsv"; }  # NAME RESULT SECONDS NOTE

fail() {  # NAME SECONDS NOTE
  verdict=FAILED
  note "$1" failed "$2" "$3"
}

# step NAME COMMAND…: its output goes to the log, and to the terminal when there is one. True when it succeeded.
step() {
  local name=$1 log=$run/$1.txt start=$SECONDS code=0
  shift
  [ $stopped = 0 ] || return 1
  echo "== $name"
  if [ -t 1 ]; then
    "$@" > >(tee "$log") &
  else
    "$@" >"$log" 2>&1 &
  fi
  child=$!
  while kill -0 "$child" 2>/dev/null; do wait "$child" && code=0 || code=$?; done
  child=
  [ -t 1 ] || tail -n 1 "$log"
  if [ $code = 0 ]; then
    note "$name" ok $((SECONDS - start)) ""
  elif [ $stopped != 0 ]; then
    note "$name" interrupted $((SECONDS - start)) "by a signal"
    return 1
  else
    fail "$name" $((SECONDS - start)) "exit code $code"
    return 1
  fi
}

data=${ANEVAL_DATA:-}
tests=(--preset "$preset" -j "$(getconf _NPROCESSORS_ONLN)" --quiet --output-on-failure --output-log "$run/ctest.txt")
if [ $mode = quick ]; then
  # All 2^32 floats, twice: as long as all other tests together.
  tests+=(-E 'HalfBulk\.EveryFloat')
  note tests-exhaustive skipped 0 "fp16 conversion of every float: --test and --full run it"
fi
step tests ctest "${tests[@]}" || true
# Tests skip what they have no data or no Python for; with data given, only the latter.
if [ -n "$data" ] && grep -E '\((Skipped|Disabled)\)$' "$run/ctest.txt" 2>/dev/null | grep -qvE 'reference\.oracle|PythonReadsEqualDoubles'; then
  fail tests-skipped 0 "tests were skipped although ANEVAL_DATA is set: see ctest.txt"
fi
step validate "$aneval" validate "--$mode" --run-id "$name" --proc 0 --out "$run/validate.csv" || true
step validate-real "$aneval" validate --weights data/small-gqa.safetensors --loss-scale 256 \
  --text "the quiet girls that the old king helps often wait by the sea. a" \
  --run-id "$name" --proc 1 --out "$run/validate-real.csv" || true
if [ -z "$data" ]; then
  note validate-stories skipped 0 "ANEVAL_DATA names no folder with stories260K.bin and tok512.bin"
elif [ -f "$data/stories260K.bin" ] && [ -f "$data/tok512.bin" ]; then
  step validate-stories "$aneval" validate --weights "$data/stories260K.bin" --tokenizer "$data/tok512.bin" \
    --text "Once upon a time, there was a little girl named Lily. She loved to play outside in the park." \
    --run-id "$name" --proc 5 --out "$run/validate-stories.csv" || true
else
  fail validate-stories 0 "ANEVAL_DATA has no stories260K.bin and tok512.bin"
fi
if [ $mode = quick ]; then
  note self-test skipped 0 "defects committed on purpose: --full runs it, or: aneval validate --self-test"
else
  step self-test "$aneval" validate --self-test --run-id "$name" --proc 3 --out "$run/validate-self-test.csv" || true
fi
bench=(--benchmark_min_time=0.01 --benchmark_repetitions=3)
[ $mode = quick ] || bench=(--full --benchmark_min_time=0.1 --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true)
bench+=(--benchmark_display_aggregates_only=true '--benchmark_filter=-^ratio/')
[ ! -f "$run/validate.csv" ] || bench+=(--validated "$run/validate.csv")
step bench "$aneval" bench "${bench[@]}" --run-id "$name" --proc 2 --out "$run/bench.csv" \
  --benchmark_out="$run/bench.json" || true
if [ $mode = quick ]; then
  note ratios skipped 0 "the harness beside memcpy and Eigen: --full measures it, or: aneval bench --benchmark_filter=ratio/"
else
  # One after the other: a pair belongs together, and whole models take 4 GiB.
  step ratios "$aneval" bench --full --benchmark_filter='^ratio/' --benchmark_repetitions=3 --run-id "$name" --proc 4 \
    --out "$run/bench-ratios.csv" || true
fi

# One file from the parts of a run that came to its end; the report reads the parts of any other.
parts=("$run"/validate*.csv "$run"/bench*.csv)
if [ $stopped = 0 ] && [ -f "$run/bench.csv" ] && [ -f "$run/validate.csv" ]; then
  { head -n 1 "${parts[0]}" && tail -q -n +2 "${parts[@]}"; } >"$run/results.csv.tmp"
  mv "$run/results.csv.tmp" "$run/results.csv"
  rm "${parts[@]}"
fi
if said=$("$aneval" report "$run"); then
  [ "${said%%:*}" = PASSED ] || verdict=${said%%:*}
else
  verdict=FAILED
fi
[ $stopped = 0 ] || verdict=INTERRUPTED
echo "$verdict in $((SECONDS - began)) s: $run/report.html ($(cd "$run" && ls -m -- summary.md *.csv environment.json))"
[ $stopped = 0 ] || exit $stopped
[ $verdict = PASSED ]
