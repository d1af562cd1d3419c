#!/bin/sh
# Starts a demo of its own, and another wallet, drives them with the merchant SDKs and with a browser, and looks for secrets in
# the first one's log. The other wallet's accounts may be bound in the first, and its gateway is the first one's WeChat Pay; it
# has a host of its own, since a browser keeps one wallet's session apart from another's by host and not by port.
# KOUDAI_BIN names the program, target/debug/koudai if absent.
set -eu
cd "$(dirname "$0")/.."
bin="${KOUDAI_BIN:-$PWD/target/debug/koudai}"
dir="$(mktemp -d)"
demo=""
friend=""
trap 'kill $demo $friend 2>/dev/null; wait $demo $friend 2>/dev/null || true; rm -rf "$dir"' EXIT INT TERM

# Waits until the demo $1 has written its addresses to $2.
answers() {
    tries=0
    until [ -s "$2" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$1" 2>/dev/null; then
            cat "$2.log"
            echo "the demo does not start"
            exit 1
        fi
        sleep 0.1
    done
    cat "$2"
}
address() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$2"; }

# A merchant with a day that is over, so that it has bills.
"$bin" bench bill --data "$dir/data" --keep --accounts 5 --orders 300 --credentials "$dir/bills.json" >/dev/null 2>&1
# Another operator's wallet, an issuer to the first, and its WeChat Pay.
"$bin" --log debug demo --json --listen 127.0.0.2:8070 --operator 邻里钱包 --data "$dir/friend" >"$dir/friend.addresses" 2>"$dir/friend.addresses.log" &
friend=$!
answers "$friend" "$dir/friend.addresses"
"$bin" issuing-app set --data "$dir/friend" --app koudai --name-zh 口袋 --name-en Koudai --key "$dir/data/bank/app_public_key.pem" \
    >"$dir/issuing.json"
sed -n 's/.*"issuer_public_key_pem": "\(.*\)",*$/\1/p' "$dir/issuing.json" | sed 's/\\n/\
/g' >"$dir/friend.pem"
echo "2 998801 $(address wallet "$dir/friend.addresses") friend.pem koudai" >"$dir/issuers"
"$bin" merchant create --data "$dir/friend" --name 口袋 --products native,jsapi,h5,transfer >"$dir/at-wechat.json"
mchid="$(sed -n 's/.*"mchid": "\([0-9]*\)".*/\1/p' "$dir/at-wechat.json")"
"$bin" merchant set --data "$dir/friend" "$mchid" --h5-domain koudai.example.org --transfer-scene 1000 --key-mode public-key >/dev/null
"$bin" merchant app-secret --data "$dir/friend" "$mchid" >"$dir/at-wechat-app.json"
node tests/e2e/wechat-contract.mjs "$dir/at-wechat.json" "$dir/at-wechat-app.json" "$(address gateway "$dir/friend.addresses")" "$dir/wechat"
"$bin" --log debug demo --json --data "$dir/data" --more-issuers "$dir/issuers" --wechat "$dir/wechat/wechat.conf" >"$dir/addresses" 2>"$dir/addresses.log" &
demo=$!
answers "$demo" "$dir/addresses"

"$bin" merchant create --data "$dir/data" --name 'SDK 食堂' --products native,jsapi,app,h5,codepay,static,transfer >"$dir/merchant.json"
mchid="$(sed -n 's/.*"mchid": "\([0-9]*\)".*/\1/p' "$dir/merchant.json")"
"$bin" merchant set --data "$dir/data" "$mchid" --h5-domain shop.example.org --transfer-scene 1000 >/dev/null
KOUDAI_APP_SECRET="$("$bin" merchant app-secret --data "$dir/data" "$mchid" | sed -n 's/.*"app_secret": "\([0-9a-f]*\)".*/\1/p')"
export KOUDAI_APP_SECRET
for face in wallet gateway shop bank inbox unionpay alipay; do
    name="$(echo "$face" | tr '[:lower:]' '[:upper:]')"
    export "KOUDAI_$name=$(address "$face" "$dir/addresses")" "KOUDAI_FRIEND_$name=$(address "$face" "$dir/friend.addresses")"
done
export KOUDAI_MERCHANT="$dir/merchant.json" KOUDAI_BILLS_MERCHANT="$dir/bills.json" KOUDAI_LOG="$dir/addresses.log" KOUDAI_SECRETS="$dir/secrets"
export KOUDAI_DATA="$dir/data" KOUDAI_BIN="$bin" KOUDAI_WECHAT="$dir/wechat"

(cd tests/sdk && node --test --test-concurrency=1 --test-reporter=spec)
(cd tests/e2e && node --test --test-concurrency=1 --test-reporter=spec)
"$bin" verify --data "$dir/data"
"$bin" verify --data "$dir/friend"
