//! The signature of the gateway, RSA2: RSA with SHA-256 over the parameters in the order of their names.

use koudai_wechatpay::keys::{PrivateKey, PublicKey};

use super::certificates::Trust;
use super::fields::Fields;

/// The parameter that carries it.
const SIGN: &str = "sign";
/// The only method taken: the older one rests on SHA-1.
pub(crate) const RSA2: &str = "RSA2";

/// Signs a request, or what goes back with a payer: everything but the signature.
pub(crate) fn sign(fields: &mut Fields, key: &PrivateKey) {
    let signature = key.sign(fields.joined_without(&[SIGN]).as_bytes());
    fields.set(SIGN, signature);
}

/// Whether an app signed a request.
pub(crate) fn is_signed_by(fields: &Fields, key: &PublicKey) -> bool {
    fields.get("sign_type") == Some(RSA2)
        && key.verify(fields.joined_without(&[SIGN]).as_bytes(), fields.text(SIGN)).is_ok()
}

/// What stands in no signature of a notice: its own parameters.
const NOT_IN_A_NOTICE: [&str; 3] = [SIGN, "sign_type", "alipay_cert_sn"];

/// Signs a notice. How it is signed stands in none of it.
pub(crate) fn sign_notice(fields: &mut Fields, key: &PrivateKey) {
    fields.set("sign_type", RSA2);
    let signature = key.sign(fields.joined_without(&NOT_IN_A_NOTICE).as_bytes());
    fields.set(SIGN, signature);
}

/// Whether a notice is Alipay's.
pub(crate) fn notice_holds(fields: &Fields, trust: &Trust, now_ms: i64) -> bool {
    // The method is in no signature: were another one taken, whoever forges could choose it.
    let message = fields.joined_without(&NOT_IN_A_NOTICE);
    fields.get("sign_type") == Some(RSA2)
        && trust.believes(message.as_bytes(), fields.text(SIGN), fields.get("alipay_cert_sn"), now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_with_its_method_and_a_notice_without() {
        let key = PrivateKey::generate();
        let mut request = Fields::of(&[("b", "2"), ("a", "1"), ("sign_type", RSA2), ("none", "")]);
        sign(&mut request, &key);
        assert_eq!(key.public_key().verify(b"a=1&b=2&sign_type=RSA2", request.text("sign")), Ok(()));
        assert!(is_signed_by(&request, &key.public_key()));
        request.set("b", "3");
        assert!(!is_signed_by(&request, &key.public_key()));

        let trust = Trust::of_keys(&key.public_key().to_pem()).unwrap();
        let mut notice = Fields::of(&[("b", "2"), ("a", "1")]);
        sign_notice(&mut notice, &key);
        assert_eq!(key.public_key().verify(b"a=1&b=2", notice.text("sign")), Ok(()));
        assert!(notice_holds(&notice, &trust, 0));
        for method in ["RSA", "rsa2", ""] {
            let mut other = notice.clone();
            other.set("sign_type", method);
            assert!(!notice_holds(&other, &trust, 0), "{method}");
        }
        assert!(!notice_holds(&request, &trust, 0), "a request is no notice");
    }
}
