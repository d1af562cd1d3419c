//! `koudai staff`: makes the operator's staff.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::merchant::{CreateStaff, NameTaken};
use koudai_core::rows::StaffRole;
use koudai_engine::Engine;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::{Role, StaffCreateArgs};
use crate::control::{self, Request};
use crate::failure::{Failure, in_words};

/// One of the staff to be made. The token itself never reaches the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    name: String,
    role: String,
    /// SHA-256 of the token they enrol with.
    enrolment_hash: [u8; 32],
}

/// Makes one of the staff.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn create(engine: &Engine, request: Create) -> Result<serde_json::Value, String> {
    if !is_sign_in_name(&request.name) {
        return Err(
            "a sign-in name is 2 to 32 of a-z, 0-9, `.`, `-` and `_`, the first one a letter".to_owned()
        );
    }
    let role =
        StaffRole::from_word(&request.role).ok_or_else(|| format!("{:?} is not a role", request.role))?;
    let command = CreateStaff { name: request.name, role, enrolment_hash: request.enrolment_hash };
    let made = engine.submit(command).await;
    let staff =
        made.map_err(|failed| in_words(failed, |NameTaken| "somebody has this name already".to_owned()))?;
    Ok(serde_json::json!({
        "staff_id": staff.id.wire(),
        "name": staff.name,
        "role": staff.role.word(),
    }))
}

fn is_sign_in_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (2..=32).contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

/// `koudai staff create`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run(args: StaffCreateArgs) -> Result<(), Failure> {
    let token = URL_SAFE_NO_PAD.encode(koudai_engine::random_bytes().expose());
    let role = match args.role {
        Role::Owner => StaffRole::Owner,
        Role::Finance => StaffRole::Finance,
        Role::Service => StaffRole::Service,
        Role::Merchants => StaffRole::Merchants,
        Role::Auditor => StaffRole::Auditor,
    };
    let enrolment_hash = Sha256::digest(token.as_bytes()).into();
    let request = Create { name: args.name, role: role.word().to_owned(), enrolment_hash };
    let mut made = control::ask(&args.data, Request::StaffCreate(request)).await?;
    if let Some(made) = made.as_object_mut() {
        made.insert("enrolment_token".to_owned(), token.into());
    }
    println!("{made:#}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_sign_in_name;

    #[test]
    fn sign_in_names_are_plain() {
        assert!(is_sign_in_name("li.ming") && is_sign_in_name("a1"));
        for wrong in ["", "a", "Li", "li ming", "1li", "李明", ".li", &"a".repeat(33)] {
            assert!(!is_sign_in_name(wrong), "{wrong}");
        }
    }
}
