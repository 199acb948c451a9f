#!/usr/bin/env bash
# Graticule beside its peers on this machine: bash benchmarks/run.sh [--quick] [--help]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec python3 run.py "$@"
