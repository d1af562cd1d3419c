//! Merchants' orders as they are sent: signed before the run, since that is the merchants' work on machines of their own.

use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::authorization::Authorization;
use koudai_wechatpay::keys::PrivateKey;

use super::accounts::MOST;
use crate::house::unix_seconds;

/// Where orders are placed.
const PATH: &str = "/v3/pay/transactions/native";

/// A merchant, with what its server knows.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) mchid: String,
    pub(super) appid: String,
    pub(super) serial_no: String,
    pub(super) key: PrivateKey,
    pub(super) api_v3_key: ApiV3Key,
}

/// All the orders of a run, round the merchants in turn.
#[derive(Debug)]
pub(super) struct Sales {
    shops: Vec<Shop>,
    /// Where notifications go, up to the order's number.
    notify_url: String,
    /// Each order's signature, and when it was made, in Unix seconds.
    signed: Vec<(String, i64)>,
}

impl Sales {
    /// Signs so many orders, on all cores.
    pub(super) fn sign(shops: Vec<Shop>, notify_url: String, count: usize) -> Self {
        let mut sales = Self { shops, notify_url, signed: vec![] };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(threads).max(1);
        let sign = |from: usize| {
            let numbers = from..(from + share).min(count);
            numbers.map(|number| sales.signature(number)).collect::<Vec<_>>()
        };
        let signed: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..count).step_by(share).map(|from| scope.spawn(move || sign(from))).collect();
            let shares = threads.into_iter();
            shares
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        sales.signed = signed;
        sales
    }

    fn signature(&self, number: usize) -> (String, i64) {
        let (shop, now_s) = (self.shop(number), unix_seconds());
        let Shop { mchid, serial_no, key, .. } = shop;
        let (nonce, body) = (nonce(number), self.body(number));
        let signed = Authorization::sign(key, mchid, serial_no, "POST", PATH, now_s, &nonce, body.as_bytes());
        (signed.signature, now_s)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.signed.len()
    }

    /// Whose order it is.
    pub(super) fn shop(&self, number: usize) -> &Shop {
        &self.shops[number % self.shops.len()]
    }

    /// How much it is, in fen.
    pub(super) fn minor(number: usize) -> i64 {
        1 + i64::try_from(number).unwrap_or(0) % MOST
    }

    /// The merchant's number of it.
    pub(super) fn out_trade_no(number: usize) -> String {
        format!("20261124{number:016}")
    }

    fn body(&self, number: usize) -> String {
        let (Shop { mchid, appid, .. }, notify_url) = (self.shop(number), &self.notify_url);
        let (out_trade_no, total) = (Self::out_trade_no(number), Self::minor(number));
        format!(
            r#"{{"appid":"{appid}","mchid":"{mchid}","description":"口袋咖啡 拿铁 大杯 少冰","out_trade_no":"{out_trade_no}","attach":"table=12&waiter=7","notify_url":"{notify_url}{number}","amount":{{"total":{total},"currency":"CNY"}},"scene_info":{{"payer_client_ip":"203.0.113.7","device_id":"013467007045764"}}}}"#
        )
    }

    /// The whole request.
    pub(super) fn write(&self, number: usize, host: &str, request: &mut Vec<u8>) {
        let Shop { mchid, serial_no, .. } = self.shop(number);
        let (signature, timestamp) = &self.signed[number];
        let (nonce, body) = (nonce(number), self.body(number));
        request.clear();
        request.extend_from_slice(
            format!(
                "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: koudai-bench\r\nAccept: application/json\r\n\
                 Authorization: WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",\
                 signature=\"{signature}\",timestamp=\"{timestamp}\",serial_no=\"{serial_no}\"\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
    }
}

fn nonce(number: usize) -> String {
    format!("{number:032}")
}
