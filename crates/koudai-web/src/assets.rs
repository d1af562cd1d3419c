//! Stylesheet and scripts, compiled in and served under names that carry a hash of their content, so that a browser
//! may keep them for ever and never runs an old one.

use std::borrow::Cow;
use std::sync::LazyLock;

use aws_lc_rs::digest;

use crate::hex;

/// One file as it is served.
#[derive(Debug)]
struct Asset {
    /// The name in the source tree, such as `app.css`.
    name: &'static str,
    /// The path it is served under, such as `/static/app.1a2b3c4d.css`.
    path: String,
    content_type: &'static str,
    bytes: Cow<'static, [u8]>,
}

/// In order of use: a script comes after those it imports, whose served names are written into it.
const SOURCES: [(&str, &str); 17] = [
    ("app.css", include_str!("../static/app.css")),
    ("mark.svg", include_str!("../static/mark.svg")),
    ("say.js", include_str!("../static/say.js")),
    ("app.js", include_str!("../static/app.js")),
    ("keypad.js", include_str!("../static/keypad.js")),
    ("careful.js", include_str!("../static/careful.js")),
    ("withdraw.js", include_str!("../static/withdraw.js")),
    ("way.css", include_str!("../static/way.css")),
    ("sheet.css", include_str!("../static/sheet.css")),
    ("way.js", include_str!("../static/way.js")),
    ("scan.js", include_str!("../static/scan.js")),
    ("card-bank.js", include_str!("../static/card-bank.js")),
    ("code.css", include_str!("../static/code.css")),
    ("code.js", include_str!("../static/code.js")),
    ("passkey.js", include_str!("../static/passkey.js")),
    ("passkey-form.js", include_str!("../static/passkey-form.js")),
    ("by-passkey.js", include_str!("../static/by-passkey.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut served: Vec<Asset> = Vec::with_capacity(SOURCES.len());
    for (name, source) in SOURCES {
        let mut text = Cow::Borrowed(source);
        for earlier in &served {
            let import = format!("\"./{}\"", earlier.name);
            if text.contains(&import) {
                text = Cow::Owned(text.replace(&import, &format!("\"{}\"", earlier.path)));
            }
        }
        let bytes = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        let (stem, extension) = name.rsplit_once('.').expect("every source has an extension");
        let path = format!("/static/{stem}.{}.{extension}", hash8(&bytes));
        served.push(Asset { name, path, content_type: content_type(extension), bytes });
    }
    served
});

/// The path a file is served under, by its name in the source tree: `app.css` gives `/static/app.1a2b3c4d.css`.
///
/// # Panics
/// If there is no such file: a template names something that does not exist, and no page would work.
pub fn url(name: &str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    &asset.unwrap_or_else(|| panic!("no static file {name:?}")).path
}

/// The bytes and content type of a whole path, such as `/static/app.1a2b3c4d.css`; `None` if there is no such file.
/// What it returns never changes, so it may be sent with `Cache-Control: public, max-age=31536000, immutable`.
pub fn find(path: &str) -> Option<(&'static [u8], &'static str)> {
    ASSETS.iter().find(|asset| asset.path == path).map(|asset| (&*asset.bytes, asset.content_type))
}

/// Every path there is, in order of use.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|asset| asset.path.as_str())
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        other => unreachable!("no content type for .{other}"),
    }
}

/// The first eight hexadecimal digits of the SHA-256.
fn hash8(bytes: &[u8]) -> String {
    hex(&digest::digest(&digest::SHA256, bytes).as_ref()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_own_name_and_no_other() {
        for path in paths() {
            assert!(find(path).is_some_and(|(bytes, _)| !bytes.is_empty()), "{path}");
        }
        assert!(find("/static/app.css").is_none());
        assert!(find("/static/../Cargo.toml").is_none());
        assert!(find(url("app.css")).is_some_and(|(_, kind)| kind.starts_with("text/css")));
    }

    #[test]
    fn scripts_import_each_other_by_served_names() {
        for path in paths() {
            let (bytes, _) = find(path).unwrap();
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(!text.contains("from \"./"), "{path} imports a name that is not served");
        }
    }
}
