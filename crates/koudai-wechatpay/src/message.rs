//! The texts that are signed. Every line is ended by a line feed, the last one too.
//!
//! Bodies and targets go in exactly as they travel: nothing here parses, re-encodes or normalises.

/// What a request's signature covers: method, target, timestamp, nonce, body.
///
/// `target` is the raw path plus `?` and the raw query if there is one. `timestamp` is Unix seconds. `body` is
/// empty for GET; for an upload it is the text of the `meta` part.
pub fn request(method: &str, target: &str, timestamp: i64, nonce: &str, body: &[u8]) -> Vec<u8> {
    let method = method.to_ascii_uppercase();
    lines(&[method.as_bytes(), target.as_bytes(), timestamp.to_string().as_bytes(), nonce.as_bytes(), body])
}

/// What the signature of a reply or of a notification covers: timestamp (Unix seconds), nonce, body. The body of
/// a 204 is empty.
pub fn response(timestamp: i64, nonce: &str, body: &[u8]) -> Vec<u8> {
    lines(&[timestamp.to_string().as_bytes(), nonce.as_bytes(), body])
}

/// What `paySign` covers when a page in the wallet's browser, or a mini program, calls up the payment.
/// `prepay_id` is bare; the prefix its line needs is added here.
pub fn jsapi(app_id: &str, timestamp: i64, nonce: &str, prepay_id: &str) -> Vec<u8> {
    let package = format!("prepay_id={prepay_id}");
    lines(&[app_id.as_bytes(), timestamp.to_string().as_bytes(), nonce.as_bytes(), package.as_bytes()])
}

/// What `sign` covers when a merchant's app calls up the payment: the fourth line is the bare `prepay_id`.
pub fn app(app_id: &str, timestamp: i64, nonce: &str, prepay_id: &str) -> Vec<u8> {
    lines(&[app_id.as_bytes(), timestamp.to_string().as_bytes(), nonce.as_bytes(), prepay_id.as_bytes()])
}

fn lines(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        message.extend_from_slice(part);
        message.push(b'\n');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_body_ends_in_two_line_feeds() {
        assert_eq!(request("get", "/v3/a?b=%7C", 1, "n", b""), b"GET\n/v3/a?b=%7C\n1\nn\n\n");
    }

    #[test]
    fn a_body_is_taken_byte_by_byte() {
        assert_eq!(response(1, "n", b"{ }\n"), b"1\nn\n{ }\n\n");
    }

    #[test]
    fn only_the_browser_call_carries_the_prefix() {
        assert_eq!(jsapi("wx1", 1, "n", "p"), b"wx1\n1\nn\nprepay_id=p\n");
        assert_eq!(app("wx1", 1, "n", "p"), b"wx1\n1\nn\np\n");
    }
}
