//! The check digit of card numbers and of our own ids.

/// The Luhn check digit that belongs behind `digits` (ISO/IEC 7812-1, annex B). Anything but digits counts as 0.
pub fn luhn_digit(digits: &str) -> char {
    let sum: u32 = digits
        .chars()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let d = c.to_digit(10).unwrap_or(0);
            if i % 2 == 0 { if d > 4 { d * 2 - 9 } else { d * 2 } } else { d }
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).expect("a remainder of ten is a digit")
}

/// Whether a run of digits ends in its Luhn check digit.
pub fn luhn_ok(number: &str) -> bool {
    let Some((at, last)) = number.char_indices().next_back() else { return false };
    at > 0 && number.bytes().all(|b| b.is_ascii_digit()) && luhn_digit(&number[..at]) == last
}
