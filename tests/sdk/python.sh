#!/bin/sh
# Makes the Python that tests/sdk/alipay.test.mjs drives: a virtual environment with one SDK, by name and version.
set -eu
cd "$(dirname "$0")/.."
python="$PWD/.cache/python"
if [ ! -x "$python/bin/python" ] || ! "$python/bin/python" -c 'import alipay' 2>/dev/null; then
    python3 -m venv "$python"
    "$python/bin/python" -m pip install --quiet --disable-pip-version-check python-alipay-sdk==3.4.0
fi
