//! Further issuers beside the first: a file with a line for each, of banks or of other wallets whose accounts may be bound
//! here by the issuer protocol.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use koudai_core::ledger::{ISSUER_NETWORK, NetworkId};
use koudai_wechatpay::keys::PublicKey;

use crate::sandbox::text;

/// The most issuers beside the first; networks are numbered to 999.
const MOST: usize = 100;

/// One more issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    /// Its number, which stays its own for ever: what it owes stands under it.
    pub(crate) network: NetworkId,
    /// What the numbers of its cards or accounts begin with.
    pub(crate) bins: Vec<String>,
    pub(crate) url: String,
    /// Checks its answers.
    pub(crate) key: PublicKey,
    /// What it knows this wallet as.
    pub(crate) app_id: String,
}

/// Reads a file of issuers. Addresses are checked by whoever knows what is safe.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub(crate) fn read(path: &Path) -> Result<Vec<Issuer>, Vec<String>> {
    let text = text(path).map_err(|failure| vec![failure.to_string()])?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let (mut issuers, mut wrong): (Vec<Issuer>, _) = (vec![], vec![]);
    let (mut numbers, mut bins) = (BTreeSet::new(), BTreeSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(line, folder) {
            Err(problem) => wrong.push(format!("line {number}: {problem}")),
            Ok(issuer) => {
                if !numbers.insert(issuer.network) {
                    wrong.push(format!("line {number}: number {} stands here twice", issuer.network.0));
                }
                for bin in issuer.bins.iter().filter(|bin| !bins.insert((*bin).clone())) {
                    wrong.push(format!("line {number}: {bin} stands here twice"));
                }
                issuers.push(issuer);
            }
        }
    }
    if issuers.len() > MOST {
        wrong.push(format!("there are more than {MOST}"));
    }
    if wrong.is_empty() { Ok(issuers) } else { Err(wrong) }
}

/// Whether this is what card numbers may begin with: 4 to 9 digits.
pub(crate) fn is_bin(text: &str) -> bool {
    (4..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `NUMBER BINS URL KEY-FILE APP-ID`
fn parse(line: &str, folder: &Path) -> Result<Issuer, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [number, bins, url, key, app_id] = fields[..] else {
        return Err("write `NUMBER BIN[,BIN…] URL KEY-FILE APP-ID`".to_owned());
    };
    let network = number.parse().ok().filter(|n| (ISSUER_NETWORK.0 + 1..=999).contains(n));
    let network = NetworkId(network.ok_or_else(|| format!("{number} is not a number from 2 to 999"))?);
    let bins: Vec<String> = bins.split(',').map(str::to_owned).collect();
    if let Some(wrong) = bins.iter().find(|bin| !is_bin(bin)) {
        return Err(format!("{wrong:?} is not 4 to 9 digits that card numbers begin with"));
    }
    let path = folder.join(PathBuf::from(key));
    let pem = text(&path).map_err(|failure| failure.to_string())?;
    let key = PublicKey::from_pem(&pem).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Issuer { network, bins, url: url.to_owned(), key, app_id: app_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use koudai_wechatpay::keys::PrivateKey;

    use super::*;

    #[test]
    fn each_line_is_an_issuer_and_everything_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().public_key();
        std::fs::write(folder.path().join("other.pem"), key.to_pem()).unwrap();
        let file = folder.path().join("issuers");
        let read_text = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        let url = "https://pay.example.org";
        let found = read_text(&format!("# ours\n\n 2 998801,99880 {url} other.pem campus \n")).unwrap();
        let bins = vec!["998801".to_owned(), "99880".to_owned()];
        let (url_text, app_id) = (url.to_owned(), "campus".to_owned());
        assert_eq!(found, [Issuer { network: NetworkId(2), bins, url: url_text, key, app_id }]);

        let wrong = read_text(&format!(
            "1 9988 {url} other.pem a\n2 998 {url} other.pem a\n3 9988 {url} none.pem a\nfour\n\
             4 9988 {url} other.pem a\n4 9989,9988 {url} other.pem a\n"
        ));
        let wrong = wrong.unwrap_err();
        for (problem, part) in wrong.iter().zip([
            "line 1: 1 is not a number from 2",
            "line 2: \"998\" is not",
            "line 3: ",
            "line 4: write",
            "line 6: number 4 stands here twice",
            "line 6: 9988 stands here twice",
        ]) {
            assert!(problem.contains(part), "{part}: {problem}");
        }
        assert_eq!(wrong.len(), 6, "{wrong:?}");
        assert!(read(&folder.path().join("absent")).is_err());
    }
}
