"""The sandbox Alipay as PyPI's python-alipay-sdk sees it, unmodified but for the gateway's address.

    alipay_sdk.py keys|certificates URL DIRECTORY NOTICES
"""

import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from alipay import AliPay, DCAliPay
from alipay.exceptions import AliPayValidationError

APP_ID = "2021000000000001"


def post(url, body):
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urlopen(request) as reply:
        return json.load(reply)


def app(mode, url, directory, notices):
    def paper(name):
        return (Path(directory) / name).read_text()

    if mode == "keys":
        made = AliPay(
            appid=APP_ID,
            app_notify_url=notices,
            app_private_key_string=paper("app_key.pem"),
            alipay_public_key_string=paper("alipay_1_public_key.pem"),
        )
    else:
        made = DCAliPay(
            appid=APP_ID,
            app_notify_url=notices,
            app_private_key_string=paper("app_key.pem"),
            app_public_key_cert_string=paper("app.pem"),
            alipay_public_key_cert_string=paper("alipay_1.pem"),
            alipay_root_cert_string=paper("root.pem"),
        )
    made._gateway = f"{url}/gateway.do"
    return made


def main(mode, url, directory, notices):
    sdk = app(mode, url, directory, notices)
    number = f"P_{mode}"
    order = {"out_trade_no": number, "total_amount": "12.34", "subject": "Breakfast 早餐"}
    way = sdk.api_alipay_trade_precreate(**order)
    assert way["code"] == "10000", way
    assert post(f"{url}/person/pay", {"trade": way["qr_code"], "person": 1, "act": "agree"})["trade_status"] == "TRADE_SUCCESS"
    paid = sdk.api_alipay_trade_query(out_trade_no=number)
    assert (paid["trade_status"], paid["total_amount"]) == ("TRADE_SUCCESS", "12.34"), paid

    back = sdk.api_alipay_trade_refund(refund_amount="2.34", out_trade_no=number, out_request_no="R1")
    assert back["fund_change"] == "Y", back
    told = sdk.api_alipay_trade_fastpay_refund_query("R1", out_trade_no=number)
    assert told["refund_amount"] == "2.34", told

    code = post(f"{url}/person/code", {"person": 2})["auth_code"]
    by_code = sdk.api_alipay_trade_pay(f"{number}_2", "bar_code", code, "Tea 茶", total_amount="1.00")
    assert by_code["code"] == "10000", by_code
    ended = sdk.api_alipay_trade_cancel(out_trade_no=f"{number}_2")
    assert (ended["action"], ended["retry_flag"]) == ("refund", "N"), ended

    sdk.api_alipay_trade_create("Lunch", f"{number}_3", "5.00", buyer_id="2088200000000003")
    closed = sdk.api_alipay_trade_close(out_trade_no=f"{number}_3")
    assert closed["code"] == "10000", closed

    bill = sdk.server_api(
        "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": "2020-01-01"}
    )
    assert bill["sub_code"] == "isp.bill_not_exist", bill
    if mode == "certificates":
        payout = sdk.api_alipay_fund_trans_uni_transfer(
            f"{number}_T", "ALIPAY_USER_ID", "2088200000000003", "5.00", order_title="Withdrawal"
        )
        assert payout["status"] == "SUCCESS", payout

    # What another signed is refused.
    other = app("keys" if mode == "certificates" else "certificates", url, directory, notices)
    sdk._alipay_public_key = other._alipay_public_key
    try:
        sdk.api_alipay_trade_query(out_trade_no=number)
    except AliPayValidationError:
        print("all of it")
    else:
        raise AssertionError("another's signature was believed")


if __name__ == "__main__":
    main(*sys.argv[1:])
