//! Placing an order so that a page, a mini program or an app of the merchant's calls the payment up: what the platform
//! answers, and the parameters the merchant's server then signs.

use serde::{Deserialize, Serialize};

use crate::{keys::PrivateKey, message};

/// Reply of `POST /v3/pay/transactions/jsapi` and `…/app`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepaid {
    /// Stands for the order where the payment is called up; good for two hours.
    pub prepay_id: String,
}

/// Reply of `POST /v3/pay/transactions/h5`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct H5Link {
    /// Where to send the payer's browser; good for five minutes.
    pub h5_url: String,
}

/// What a page hands to `WeixinJSBridge.invoke('getBrandWCPayRequest', …)`, and a mini program to `wx.requestPayment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsapiCallUp {
    /// The app.
    #[serde(rename = "appId")]
    pub app_id: String,
    /// Unix seconds, as text.
    #[serde(rename = "timeStamp")]
    pub timestamp: String,
    /// Fresh for each call.
    #[serde(rename = "nonceStr")]
    pub nonce: String,
    /// `prepay_id=` and the id.
    pub package: String,
    /// Always `RSA`.
    #[serde(rename = "signType")]
    pub sign_type: String,
    /// Signature over the four lines of [`message::jsapi`].
    #[serde(rename = "paySign")]
    pub signature: String,
}

impl JsapiCallUp {
    /// Signs a call-up. `now_s` in Unix seconds, `nonce` from [`crate::nonce`].
    pub fn sign(key: &PrivateKey, app_id: &str, prepay_id: &str, now_s: i64, nonce: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            timestamp: now_s.to_string(),
            nonce: nonce.to_owned(),
            package: format!("prepay_id={prepay_id}"),
            sign_type: "RSA".to_owned(),
            signature: key.sign(&message::jsapi(app_id, now_s, nonce, prepay_id)),
        }
    }
}

/// What an app hands to the wallet's SDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCallUp {
    /// The app.
    pub appid: String,
    /// The merchant.
    pub partnerid: String,
    /// The order.
    pub prepayid: String,
    /// Always `Sign=WXPay`.
    pub package: String,
    /// Fresh for each call.
    pub noncestr: String,
    /// Unix seconds, as text.
    pub timestamp: String,
    /// Signature over the four lines of [`message::app`].
    pub sign: String,
}

impl AppCallUp {
    /// Signs a call-up for the merchant `mchid`. `now_s` in Unix seconds, `nonce` from [`crate::nonce`].
    pub fn sign(
        key: &PrivateKey,
        mchid: &str,
        app_id: &str,
        prepay_id: &str,
        now_s: i64,
        nonce: &str,
    ) -> Self {
        Self {
            appid: app_id.to_owned(),
            partnerid: mchid.to_owned(),
            prepayid: prepay_id.to_owned(),
            package: "Sign=WXPay".to_owned(),
            noncestr: nonce.to_owned(),
            timestamp: now_s.to_string(),
            sign: key.sign(&message::app(app_id, now_s, nonce, prepay_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_up_is_signed_over_its_own_lines_and_spelled_as_clients_read_it() {
        let key = PrivateKey::generate();
        let page = JsapiCallUp::sign(&key, "wx1", "p1", 1_795_435_200, "n");
        let lines = b"wx1\n1795435200\nn\nprepay_id=p1\n";
        assert_eq!(key.public_key().verify(lines, &page.signature), Ok(()));
        let json = serde_json::to_value(&page).unwrap();
        for name in ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"] {
            assert!(json[name].is_string(), "{name}");
        }
        let app = AppCallUp::sign(&key, "19", "wx1", "p1", 1_795_435_200, "n");
        assert_eq!(key.public_key().verify(b"wx1\n1795435200\nn\np1\n", &app.sign), Ok(()));
        assert_eq!((app.partnerid.as_str(), app.package.as_str()), ("19", "Sign=WXPay"));
    }
}
