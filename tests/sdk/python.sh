#!/bin/sh
# Makes the Python of the tests: a virtual environment with the SDK that tests/sdk/alipay.test.mjs drives and the mail server that
# crates/koudai-networks/tests/messengers sends to, by name and version.
set -eu
cd "$(dirname "$0")/.."
python="$PWD/.cache/python"
if [ ! -x "$python/bin/python" ] || ! "$python/bin/python" -c 'import alipay, aiosmtpd' 2>/dev/null; then
    python3 -m venv "$python"
    "$python/bin/python" -m pip install --quiet --disable-pip-version-check python-alipay-sdk==3.4.0 aiosmtpd==1.4.6
fi
