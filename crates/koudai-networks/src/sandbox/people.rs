//! The numbered customers of the sandboxes. All of them are made up and public: no real person can have their ID numbers,
//! which carry an unassigned region (110199) and the customer's number; phones are 139 0000 00NN.

/// How many customers there are.
pub const CUSTOMERS: u16 = 40;

/// A customer's phone.
pub(crate) fn phone(customer: u16) -> String {
    format!("139{customer:08}")
}

/// A customer's name.
pub(crate) fn name(customer: u16) -> String {
    const FAMILY: [&str; 19] = [
        "赵", "钱", "孙", "周", "吴", "郑", "冯", "陈", "褚", "卫", "蒋", "沈", "韩", "杨", "朱", "秦", "许",
        "何", "吕",
    ];
    const GIVEN: [&str; 2] = ["雨桐", "浩然"];
    match customer {
        1 => "李明".to_owned(),
        2 => "王芳".to_owned(),
        _ => {
            let at = usize::from(customer - 3);
            format!("{}{}", FAMILY[at % FAMILY.len()], GIVEN[at / FAMILY.len() % GIVEN.len()])
        }
    }
}

/// A customer's resident ID number.
pub(crate) fn id_number(customer: u16) -> String {
    let body = format!("11019919900101{customer:03}");
    format!("{body}{}", id_check(&body))
}

/// The check character of a resident ID number (GB 11643-1999) behind its first 17 digits.
fn id_check(body: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let sum: u32 = body.bytes().zip(WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    CHECKS[(sum % 11) as usize]
}

/// The check digit of a card number (ISO/IEC 7812-1, annex B) behind the others.
pub(crate) fn luhn_digit(body: &str) -> u32 {
    let digit = |(at, byte): (usize, u8)| match (u32::from(byte - b'0'), at % 2) {
        (digit, 0) if digit > 4 => digit * 2 - 9,
        (digit, 0) => digit * 2,
        (digit, _) => digit,
    };
    (10 - body.bytes().rev().enumerate().map(digit).sum::<u32>() % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_agree_with_published_numbers() {
        assert_eq!(id_check("11010519491231002"), 'X');
        assert_eq!(id_check("44052418800101001"), '4');
        assert_eq!(luhn_digit("621626100000000001"), 8);
        assert_eq!(luhn_digit("411111111111111"), 1);
    }
}
