#!/usr/bin/env bash
# Checks derm-bench on a GPU within eight minutes, without network and without installing anything (README.md).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for python in "${PYTHON:-}" python python3 python3.13 python3.12 python3.11; do
  if [ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" "$here/check.py" "$@"
  fi
done
echo "no Python 3.11 or later was found; PYTHON=/path/to/python names one" >&2
exit 2
