//! The calls that place an order to be called up by a page, an app or a browser.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Client, ClientError, Repeat};
use crate::{
    placing::{AppCallUp, H5Link, JsapiCallUp, Prepaid},
    types::NativeOrder,
};

/// The longest openid, in characters.
const MAX_OPENID: usize = 128;

impl Client {
    /// Places an order for a page or mini program to call up. `openid` names the payer within the order's app.
    ///
    /// # Errors
    /// As [`native`](Self::native); `Invalid` for an openid that cannot be one.
    pub async fn jsapi(&self, order: &NativeOrder, openid: &str) -> Result<Prepaid, ClientError> {
        if openid.is_empty() || openid.len() > MAX_OPENID {
            return Err(ClientError::Invalid("openid"));
        }
        let mut body = self.order_value(order)?;
        body["payer"] = json!({ "openid": openid });
        self.place("/v3/pay/transactions/jsapi", &body).await
    }

    /// Places an order for the merchant's app to call up.
    ///
    /// # Errors
    /// As [`native`](Self::native).
    pub async fn app(&self, order: &NativeOrder) -> Result<Prepaid, ClientError> {
        self.place("/v3/pay/transactions/app", &self.order_value(order)?).await
    }

    /// Places an order to be paid from a browser on a phone. The order's scene must hold the payer's address; `kind` is
    /// the sort of page it comes from: `Wap`, `iOS`, `Android`.
    ///
    /// # Errors
    /// As [`native`](Self::native); `Invalid` for an order without the payer's address.
    pub async fn h5(&self, order: &NativeOrder, kind: &str) -> Result<H5Link, ClientError> {
        if order.scene_info.as_ref().is_none_or(|scene| scene.payer_client_ip.is_none()) {
            return Err(ClientError::Invalid("scene_info.payer_client_ip"));
        }
        let mut body = self.order_value(order)?;
        body["scene_info"]["h5_info"] = json!({ "type": kind });
        self.place("/v3/pay/transactions/h5", &body).await
    }

    /// What a page or mini program calls the payment of `prepaid` up with.
    pub fn jsapi_call_up(&self, appid: &str, prepaid: &Prepaid) -> JsapiCallUp {
        let (_, key) = self.identity();
        JsapiCallUp::sign(key, appid, &prepaid.prepay_id, (self.config.clock)(), &crate::nonce())
    }

    /// What the merchant's app calls the payment of `prepaid` up with.
    pub fn app_call_up(&self, appid: &str, prepaid: &Prepaid) -> AppCallUp {
        let config = &self.config;
        let ((_, key), now_s, nonce) = (self.identity(), (config.clock)(), crate::nonce());
        AppCallUp::sign(key, &config.mchid, appid, &prepaid.prepay_id, now_s, &nonce)
    }

    /// Refuses to send an order of another merchant's or over nothing.
    pub(super) fn check_order(&self, mchid: &str, total: i64) -> Result<(), ClientError> {
        if mchid != self.config.mchid {
            return Err(ClientError::Invalid("mchid"));
        }
        if total < 1 {
            return Err(ClientError::Invalid("amount.total"));
        }
        Ok(())
    }

    fn order_value(&self, order: &NativeOrder) -> Result<Value, ClientError> {
        self.check_order(&order.mchid, order.amount.total)?;
        serde_json::to_value(order).map_err(|_| ClientError::Invalid("the request"))
    }

    /// Places an order under its `out_trade_no`, which makes sending it again harmless.
    pub(super) async fn place<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json_as(Repeat::Numbered, Method::POST, path, &super::body(order)?).await
    }
}
