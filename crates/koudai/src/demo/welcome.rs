//! What the demo prints for a person: what to open, and what to type.

use std::fmt::Write as _;
use std::path::Path;

use koudai_core::money::Money;
use koudai_networks::issuer::sandbox::{Behaviour, TestCard, test_cards};
use koudai_networks::issuer::wire::CardKind;

use super::Addresses;

/// Cards with a story of their own stand before the ordinary ones.
const FEATURED: usize = 8;

/// The table.
pub(super) fn table(addresses: &Addresses, data: &Path) -> String {
    let Addresses { wallet, shop, bank, inbox, unionpay, alipay, .. } = addresses;
    let mut rows = vec![
        (
            "口袋 Wallet",
            wallet,
            "注册、绑卡、付款 · sign in with any mobile number of China, such as 13800138000",
        ),
        ("商店 Shop", shop, "下单，出示二维码 · order something and get a code to pay"),
        ("收件箱 Inbox", inbox, "短信验证码 · every code that is sent arrives here"),
        ("银行 Bank", bank, "全部测试卡 · all test cards, and the bank's books"),
    ];
    if let Some(unionpay) = unionpay {
        rows.push(("银联 UnionPay", unionpay, "银联测试卡 · cards of the UnionPay network"));
    }
    if let Some(alipay) = alipay {
        rows.push((
            "支付宝 Alipay",
            alipay,
            "支付宝的人和订单 · the people of Alipay, and what they are to pay",
        ));
    }
    let mut text = String::from("\n  口袋已就绪 · Koudai is ready\n\n");
    for (name, address, about) in rows {
        let _ = writeln!(text, "  {}  {}  {about}", padded(name, 13), padded(address, 22));
    }
    let holder = &test_cards()[0];
    let _ = writeln!(
        text,
        "\n  测试卡 · Test cards    姓名 Name {}    身份证 ID {}    手机 Phone {}",
        holder.name, holder.id_number, holder.phone
    );
    for card in test_cards().iter().take(FEATURED).filter(|card| card.customer == holder.customer) {
        let kind = if card.kind == CardKind::Credit { "信用卡 credit" } else { "储蓄卡 debit" };
        let _ = writeln!(
            text,
            "  {}  {}  {}  {}",
            card.no,
            padded(kind, 13),
            padded(&card.number, 19),
            story(card)
        );
    }
    let _ = writeln!(text, "\n  数据 data {}    停止 stop Ctrl-C\n", data.display());
    text
}

fn story(card: &TestCard) -> String {
    let story = match (card.behaviour, card.funds_minor) {
        (Behaviour::Mismatch, _) => "预留手机号不符 · the bank has another phone on file".to_owned(),
        (Behaviour::Late, _) => "回复很慢 · answers late".to_owned(),
        (Behaviour::Silent, _) => "扣款后不回复 · charges and never answers".to_owned(),
        (Behaviour::Plain, 0) => "没有钱 · no money".to_owned(),
        (Behaviour::Plain, funds) => {
            format!("正常 · works, ¥{}", Money::fen(funds).expect("test cards begin with an amount"))
        }
    };
    match (card.expiry, card.cvv) {
        (Some(expiry), Some(cvv)) => format!("{story}    有效期 expiry {expiry}  CVV {cvv}"),
        _ => story,
    }
}

/// The text and blanks up to `width` columns; Chinese characters take two.
fn padded(text: &str, width: usize) -> String {
    let taken: usize = text.chars().map(|c| if (c as u32) >= 0x2E80 { 2 } else { 1 }).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_needed_to_bind_a_card_is_printed() {
        let at = |port: u16| format!("http://localhost:{port}");
        let addresses = Addresses {
            wallet: at(8080),
            gateway: at(8080),
            shop: at(8081),
            bank: at(8082),
            inbox: at(8083),
            unionpay: Some(at(8084)),
            alipay: Some(at(8085)),
        };
        let text = table(&addresses, Path::new("./.koudai"));
        for needed in [
            "http://localhost:8080",
            "http://localhost:8081",
            "http://localhost:8082",
            "http://localhost:8083",
            "http://localhost:8084",
            &test_cards()[0].name,
            &test_cards()[0].id_number,
            &test_cards()[0].phone,
            &test_cards()[0].number,
            &test_cards()[1].number,
            "12/30  CVV 123",
        ] {
            assert!(text.contains(needed), "{needed}: {text}");
        }
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        assert_eq!(padded("银行", 6), "银行  ");
        assert_eq!(padded("bank", 6), "bank  ");
        assert_eq!(padded("longer", 3), "longer");
    }
}
