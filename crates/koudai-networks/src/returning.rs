//! Where a payer may be sent back to: a page of the merchant's own, by the domains registered for it. Anybody can put an
//! address into a link, so one that is not the merchant's is not followed.

use reqwest::Url;

use crate::reach::Reach;

/// The longest address taken, in bytes: it travels in a cookie.
const MOST_BYTES: usize = 1_024;

/// The address, if it is https on one of these domains (separated by blanks). A demo's may also be this machine's, over
/// http.
pub fn return_address(reach: Reach, domains: &str, address: &str) -> Option<Url> {
    if address.len() > MOST_BYTES {
        return None;
    }
    let url: Url = address.parse().ok()?;
    let host = url.host_str()?;
    let fine = match url.scheme() {
        // Another port may be another service, of somebody else.
        "https" => url.port().is_none() && domains.split_whitespace().any(|domain| domain == host),
        "http" => reach == Reach::Local && matches!(host, "localhost" | "127.0.0.1"),
        _ => false,
    };
    (fine && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// The address with these parameters in its query, in place of any of the same names.
pub fn with_parameters(mut url: Url, parameters: &[(&str, &str)]) -> Url {
    let ours = |name: &str| parameters.iter().any(|(own, _)| *own == name);
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !ours(name))
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    // A query without ours stays byte by byte as the merchant wrote it.
    if others.len() != url.query_pairs().count() {
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAINS: &str = "shop.example.org m.example.cn";

    #[test]
    fn only_https_on_a_registered_domain_is_returned_to() {
        let allowed = |address: &str| return_address(Reach::Public, DOMAINS, address).is_some();
        for good in [
            "https://shop.example.org/",
            "https://shop.example.org",
            "https://SHOP.example.org/paid?order=1#top",
            "https://m.example.cn:443/%E5%BA%97",
            "https://shop.example.org\\@evil.example/",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in [
            "",
            "/paid",
            "//shop.example.org/",
            "http://shop.example.org/",
            "https://evil.example/",
            "https://m.example.cn:8443/",
            "https://shop.example.org.evil.example/",
            "https://shop.example.org./",
            "https://sub.shop.example.org/",
            "https://shop.example.org@evil.example/",
            "https://user@shop.example.org/",
            "https://user:word@shop.example.org/",
            "https://evil.example/https://shop.example.org/",
            "https://evil.example\\@shop.example.org/",
            "javascript:alert(1)//shop.example.org",
            "data:text/html,shop.example.org",
            "http://localhost:8081/",
            "https://localhost/",
            "https:shop",
        ] {
            assert!(!allowed(bad), "{bad}");
        }
        assert!(!allowed(&format!("https://shop.example.org/{}", "a".repeat(1_024))));
        assert!(return_address(Reach::Public, "", "https://shop.example.org/").is_none());
    }

    #[test]
    fn a_demo_returns_to_this_machine_too() {
        let allowed = |address: &str| return_address(Reach::Local, "", address).is_some();
        assert!(allowed("http://localhost:8081/orders/1") && allowed("http://127.0.0.1:9/"));
        assert!(!allowed("http://10.0.0.1/") && !allowed("https://shop.example.org/"));
    }

    #[test]
    fn what_is_added_takes_the_place_of_what_was_there() {
        let with = |address: &str| {
            with_parameters(address.parse().unwrap(), &[("code", "a+b"), ("state", "1 2")]).to_string()
        };
        assert_eq!(with("https://a.cn/x#top"), "https://a.cn/x?code=a%2Bb&state=1+2#top");
        assert_eq!(with("https://a.cn/?q=%e5%ba%97&r"), "https://a.cn/?q=%e5%ba%97&r&code=a%2Bb&state=1+2");
        assert_eq!(with("https://a.cn/?state=9&q=1&code=8"), "https://a.cn/?q=1&code=a%2Bb&state=1+2");
    }
}
