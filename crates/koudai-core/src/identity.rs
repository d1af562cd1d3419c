//! Phones, e-mail addresses, names and resident ID numbers, parsed once at the edge.

use std::fmt;

use crate::secret::Secret;
use crate::state::keyed_mac;
use crate::time::{Timestamp, days_in_month};

/// A mainland mobile number, eleven digits; other countries come with their own numbering plans.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone([u8; 11]);

impl Phone {
    /// Reads `13800138000`, with blanks, dashes and `+86` tolerated.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 24 {
            return None;
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = digits.strip_prefix("+86").unwrap_or(&digits);
        let digits: [u8; 11] = digits.as_bytes().try_into().ok()?;
        let shape = digits.iter().all(u8::is_ascii_digit);
        (shape && digits[0] == b'1' && digits[1] >= b'3').then_some(Self(digits))
    }

    /// The eleven digits.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }

    /// As shown to people: `138****8000`.
    pub fn masked(&self) -> String {
        format!("{}****{}", &self.digits()[..3], &self.digits()[7..])
    }
}

/// Masked, so that a number never reaches a log by accident.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// An e-mail address in small letters, at most 254 bytes (RFC 5321, section 4.5.3.1.3, less the brackets).
///
/// Of what the standard allows only what providers give out: no quoted local part, no comment, no address literal, no letters
/// outside ASCII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Reads an address as typed. Two that differ in capitals only are one: no provider of note tells them apart.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 254 {
            return None;
        }
        let (local, domain) = text.split_once('@')?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let local_fine = (1..=64).contains(&local.len())
            && local.bytes().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_fine = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let named = domain.rsplit('.').next().is_some_and(|top| top.bytes().any(|b| b.is_ascii_alphabetic()));
        let domain_fine = domain.contains('.') && domain.split('.').all(label_fine) && named;
        (local_fine && domain_fine).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.0
    }

    /// As shown to people: `a***@mail.example`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').expect("an address has its sign");
        format!("{}***@{domain}", &local[..1])
    }
}

/// Masked, so that an address never reaches a log by accident.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Where a person is reached, and what they sign in by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contact {
    /// By short message.
    Phone(Phone),
    /// By e-mail.
    Email(Email),
}

impl Contact {
    /// Reads either, as typed.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            Email::parse(text).map(Self::Email)
        } else {
            Phone::parse(text).map(Self::Phone)
        }
    }

    /// The number or the address. No number has an `@` and every address has, so that the two never read alike.
    pub fn text(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.digits(),
            Self::Email(email) => email.address(),
        }
    }

    /// As shown to people.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// A person's name, 2 to 50 characters, as on the identity document.
#[derive(Clone, Debug)]
pub struct PersonName(Secret<String>);

impl PersonName {
    /// Reads a name; letters, blanks, `·`, `-`, `.` and `'` only.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let count = text.chars().count();
        let fine = |c: char| c.is_alphabetic() || matches!(c, ' ' | '·' | '•' | '-' | '.' | '\'');
        ((2..=50).contains(&count) && text.chars().all(fine)).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The name itself, for the network.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The name without what people write it differently by: capitals, the kind of dot between its parts, blanks in a row.
    fn plain(&self) -> Secret<String> {
        let one = |c: char| if matches!(c, '•' | '‧' | '・' | '．') { '·' } else { c };
        let words: Vec<&str> = self.0.expose().split_whitespace().collect();
        Secret::new(words.join(" ").chars().map(one).flat_map(char::to_uppercase).collect())
    }

    /// Whether two spellings are of one name.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.plain() == other.plain()
    }

    /// The keyed hash a name alone is compared by.
    pub fn mac(&self, key: &Secret<[u8; 32]>) -> [u8; 32] {
        keyed_mac(key.expose(), &[b"name", self.plain().expose().as_bytes()])
    }

    /// As shown to people: `*明`, `**明`, `J*** S***`.
    pub fn masked(&self) -> String {
        let text = self.0.expose();
        if text.is_ascii() {
            let words = text.split_whitespace().map(|w| format!("{}***", &w[..1]));
            return words.collect::<Vec<_>>().join(" ");
        }
        let count = text.chars().count();
        let last = text.chars().last().expect("a name has two characters");
        format!("{}{last}", "*".repeat(count - 1))
    }
}

/// A mainland resident ID number: 18 places, of a possible date and with the right check digit (GB 11643-1999).
#[derive(Clone, Debug)]
pub struct IdNumber(Secret<String>);

/// Region codes an ID number may begin with (domain rule 2.3).
const REGIONS: [std::ops::RangeInclusive<u8>; 8] =
    [11..=15, 21..=23, 31..=37, 41..=46, 50..=54, 61..=65, 71..=71, 81..=83];

impl IdNumber {
    /// Reads a number as typed; a small `x` becomes `X`.
    pub fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let bytes = text.as_bytes();
        if bytes.len() != 18
            || !bytes[..17].iter().all(u8::is_ascii_digit)
            || bytes[17] != check_digit(&bytes[..17])
        {
            return None;
        }
        let region: u8 = text[..2].parse().ok()?;
        if region != 91 && !REGIONS.iter().any(|r| r.contains(&region)) {
            return None;
        }
        let id = Self(Secret::new(text));
        let (year, month, day) = id.birth();
        let possible = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        (possible && (1850..=9999).contains(&year) && id.age(now) >= 0).then_some(id)
    }

    /// The number itself, for the network and the keyed hash.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// As shown to people: first and last place only.
    pub fn masked(&self) -> String {
        let text = self.0.expose();
        format!("{}{}{}", &text[..1], "*".repeat(16), &text[17..])
    }

    /// Whole years of age on the day of `now`, negative before birth.
    pub fn age(&self, now: Timestamp) -> i64 {
        let (year, month, day) = self.birth();
        let today = now.china();
        let had_birthday = (i64::from(today.month), i64::from(today.day)) >= (month, day);
        today.year - year - i64::from(!had_birthday)
    }

    fn birth(&self) -> (i64, i64, i64) {
        let part = |from, to| self.0.expose()[from..to].parse().unwrap_or(0);
        (part(6, 10), part(10, 12), part(12, 14))
    }
}

/// ISO 7064 MOD 11-2 over the first seventeen digits.
fn check_digit(digits: &[u8]) -> u8 {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(d, w)| u32::from(d - b'0') * w).sum();
    b"10X98765432"[(sum % 11) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    #[test]
    fn published_id_numbers_pass_and_others_fail() {
        assert!(IdNumber::parse("11010519491231002X", NOW).is_some());
        assert!(IdNumber::parse(" 11010519491231002x ", NOW).is_some());
        assert!(IdNumber::parse("440524188001010014", NOW).is_some());
        for bad in ["110105194912310021", "11010519491331002X", "", "110105491231002", "99010519491231002X"] {
            assert!(IdNumber::parse(bad, NOW).is_none(), "{bad}");
        }
    }

    #[test]
    fn personal_details_are_masked_and_never_printed() {
        let id = IdNumber::parse("11010519491231002X", NOW).unwrap();
        assert_eq!(id.masked(), "1****************X");
        assert!(!format!("{id:?}").contains("1949"));
        assert_eq!(PersonName::parse("王小明").unwrap().masked(), "**明");
        assert_eq!(PersonName::parse("李明").unwrap().masked(), "*明");
        assert_eq!(PersonName::parse("John Smith").unwrap().masked(), "J*** S***");
        assert_eq!(format!("{:?}", Phone::parse("+86 138-0013-8000").unwrap()), "138****8000");
    }

    #[test]
    fn a_name_is_the_same_in_other_capitals_dots_and_blanks_and_no_other() {
        let name = |text| PersonName::parse(text).unwrap();
        let key = Secret::new([7; 32]);
        for (a, b, same) in [
            ("王小明", " 王小明 ", true),
            ("阿依古丽·买买提", "阿依古丽•买买提", true),
            ("John  Smith", "JOHN SMITH", true),
            ("王小明", "王小明明", false),
            ("王小明", "王晓明", false),
            ("John Smith", "JohnSmith", false),
        ] {
            assert_eq!(name(a).is_same_as(&name(b)), same, "{a} {b}");
            assert_eq!(name(a).mac(&key) == name(b).mac(&key), same, "{a} {b}");
        }
    }

    #[test]
    fn only_mobile_numbers_are_phones() {
        for bad in ["", "12800138000", "1380013800", "138001380000", "1380013800a", "２３８００１３８０００"]
        {
            assert!(Phone::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_one_that_providers_give_out_and_is_read_in_small_letters() {
        assert_eq!(
            Email::parse(" Xiao.Ming+pay@Mail.Example ").unwrap().address(),
            "xiao.ming+pay@mail.example"
        );
        let long = format!("{}@mail.example", "a".repeat(65));
        let wide = format!("a@{}.example", "b".repeat(64));
        for bad in [
            "",
            "@mail.example",
            "a@",
            "a@example",
            "a@b@mail.example",
            "a b@mail.example",
            ".a@mail.example",
            "a.@mail.example",
            "a..b@mail.example",
            "a@-mail.example",
            "a@mail..example",
            "a@mail.example.",
            "a@127.0.0.1",
            "\"a\"@mail.example",
            "a@mail.example\r\nBcc: b@mail.example",
            "小明@mail.example",
            "a@例子.example",
            &long,
            &wide,
        ] {
            assert!(Email::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_contact_is_a_number_or_an_address_and_is_printed_masked() {
        let contact = |text| Contact::parse(text).unwrap();
        assert_eq!(format!("{:?}", contact("+86 138 0013 8000")), "138****8000");
        assert_eq!(format!("{:?}", contact("Anna@mail.example")), "a***@mail.example");
        assert!(Contact::parse("anna").is_none());
    }

    #[test]
    fn age_turns_on_the_birthday_in_china() {
        let id = IdNumber::parse("11010519491231002X", NOW).unwrap();
        let at = |text| id.age(Timestamp::parse_rfc3339(text).unwrap());
        assert_eq!(at("2026-12-30T23:59:59+08:00"), 76);
        assert_eq!(at("2026-12-31T00:00:00+08:00"), 77);
    }
}
