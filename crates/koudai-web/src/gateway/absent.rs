//! Calls of the protocol that this version does not have. Whoever's SDK sends one is told so by the call's name, instead of
//! looking for a mistake in its address.

use axum::http::Uri;

use super::fault::Fault;

/// What such a path begins with, and what it is for.
const ABSENT: [(&str, &str, &str); 15] = [
    ("/v3/combine-transactions", "合单支付", "combined orders"),
    ("/v3/marketing/", "代金券与营销工具", "coupons and marketing"),
    ("/v3/profitsharing/", "分账", "profit sharing"),
    ("/v3/pay/partner/", "服务商支付", "service providers' payments"),
    ("/v3/ecommerce/", "电商收付通", "service providers' e-commerce"),
    ("/v3/applyment4sub/", "特约商户进件", "sub-merchants' onboarding"),
    ("/v3/apply4sub/", "特约商户管理", "sub-merchants' administration"),
    ("/v3/transfer/", "批量转账", "batch transfers"),
    ("/v3/payscore/", "支付分", "pay by score"),
    ("/v3/papay/", "委托代扣", "recurring debits"),
    ("/v3/merchant-service/", "消费者投诉", "complaints"),
    ("/v3/merchant/", "商户资料", "merchants' files and data"),
    ("/v3/businesscircle/", "智慧商圈", "business circles"),
    ("/v3/vehicle/", "停车服务", "parking"),
    ("/v3/new-tax-control-fapiao/", "电子发票", "electronic invoices"),
];
/// What is said of a path that leads nowhere.
pub(super) fn fault(uri: &Uri) -> Fault {
    let path = uri.path();
    let known = ABSENT.into_iter().find(|(begin, ..)| path.starts_with(begin));
    known.map_or_else(Fault::no_such_path, |(_, zh, en)| Fault::not_offered(zh, en))
}
