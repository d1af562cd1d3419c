//! Reading a request's JSON field by field, so that a refusal can say which field, what stood there and what is wrong.
//!
//! Unknown fields are ignored, as the protocol asks. `null` and, where a field may be absent, an empty text are the same
//! as an absent field.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::fault::{Fault, Said, said};

/// Where in a request a value stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the body; fields are named by JSON pointer.
    Body,
    /// In the path.
    Url,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

impl Place {
    /// The protocol's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Url => "url",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

pub(super) const MISSING: Said = said("缺少必填参数", "is required");
pub(super) const TWICE: Said = said("参数重复", "is given more than once");
pub(super) const UNREADABLE: Said = said("无法解析", "cannot be read");
const NOT_TEXT: Said = said("应为字符串", "must be a string");
const NOT_INTEGER: Said =
    said("应为整数，不能带小数、指数或引号", "must be an integer without fraction, exponent or quotes");
const NOT_FLAG: Said = said("应为布尔值", "must be true or false");
const NOT_OBJECT: Said = said("应为 JSON 对象", "must be a JSON object");
const NOT_LIST: Said = said("应为 JSON 数组", "must be a JSON array");
const CONTROL: Said = said("不能包含控制字符", "must not hold control characters");

/// The fields of one JSON object, and where it stands.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    members: &'a Map<String, Value>,
    /// JSON pointer of the object (RFC 6901); empty for the whole body.
    at: String,
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    pub(super) fn of(body: &'a Value) -> Result<Self, Fault> {
        let whole = || Fault::parameter(Place::Body, "", None, NOT_OBJECT);
        Ok(Self { members: body.as_object().ok_or_else(whole)?, at: String::new() })
    }

    /// A refusal of one of these fields.
    pub(super) fn refuse(&self, name: &str, issue: Said) -> Fault {
        Fault::parameter(Place::Body, &self.pointer(name), self.get(name), issue)
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn require<T>(&self, name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| Fault::parameter(Place::Body, &self.pointer(name), None, MISSING))
    }

    /// A text of so many characters; empty is absent.
    pub(super) fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.refuse(name, NOT_TEXT))?;
        if text.is_empty() {
            return Ok(None);
        }
        if !length.contains(&text.chars().count()) {
            return Err(self.refuse(name, length_issue(&length)));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(self.refuse(name, CONTROL));
        }
        Ok(Some(text))
    }

    /// A text that has to be there.
    pub(super) fn required_text(&self, name: &str, length: RangeInclusive<usize>) -> Result<&'a str, Fault> {
        let text = self.text(name, length)?;
        self.require(name, text)
    }

    /// A text to keep, if it is there.
    pub(super) fn owned(&self, name: &str, most: usize) -> Result<Option<String>, Fault> {
        Ok(self.text(name, 1..=most)?.map(str::to_owned))
    }

    /// An integer within bounds. `1.0` and `1e2` are none: an amount has one spelling.
    pub(super) fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if !value.is_i64() && !value.is_u64() {
            return Err(self.refuse(name, NOT_INTEGER));
        }
        match value.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = (range.start(), range.end());
                let issue = Said::new(
                    format!("取值应在 {least} 至 {most} 之间"),
                    format!("must be from {least} to {most}"),
                );
                Err(self.refuse(name, issue).out_of_range())
            }
        }
    }

    /// An integer that has to be there.
    pub(super) fn required_integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Fault> {
        let number = self.integer(name, range)?;
        self.require(name, number)
    }

    /// True or false.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| self.refuse(name, NOT_FLAG))).transpose()
    }

    /// An object inside.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| self.refuse(name, NOT_OBJECT))?;
        Ok(Some(Self { members, at: self.pointer(name) }))
    }

    /// An object that has to be there.
    pub(super) fn required_object(&self, name: &str) -> Result<Self, Fault> {
        let object = self.object(name)?;
        self.require(name, object)
    }

    /// The objects of a list.
    pub(super) fn objects(&self, name: &str) -> Result<Option<Vec<Self>>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.refuse(name, NOT_LIST))?;
        let item = |(index, value): (usize, &'a Value)| {
            let at = format!("{}/{index}", self.pointer(name));
            let wrong = || Fault::parameter(Place::Body, &at, Some(value), NOT_OBJECT);
            let members = value.as_object().ok_or_else(wrong)?;
            Ok(Self { members, at })
        };
        items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }
}

fn length_issue(length: &RangeInclusive<usize>) -> Said {
    let (least, most) = (length.start(), length.end());
    Said::new(format!("长度应为 {least} 至 {most} 个字符"), format!("must have {least} to {most} characters"))
}

/// A merchant's number for something: its own characters and length, whether it came in a path or in a body.
#[derive(Debug)]
pub(super) struct NumberRule {
    name: &'static str,
    least: usize,
    most: usize,
    marks: &'static [u8],
    issue: Said,
}

/// `out_trade_no`.
pub(super) static OUT_TRADE_NO: NumberRule = NumberRule {
    name: "out_trade_no",
    least: 6,
    most: 32,
    marks: b"_-|*",
    issue: said("只能由数字、大小写字母和 _-|* 组成", "may hold letters, digits and _-|* only"),
};

/// `out_bill_no`.
pub(super) static OUT_BILL_NO: NumberRule = NumberRule {
    name: "out_bill_no",
    least: 1,
    most: 32,
    marks: b"",
    issue: said("只能由数字、大小写字母组成", "may hold letters and digits only"),
};

/// `out_refund_no`.
pub(super) static OUT_REFUND_NO: NumberRule = NumberRule {
    name: "out_refund_no",
    least: 1,
    most: 64,
    marks: b"_-|*@",
    issue: said("只能由数字、大小写字母和 _-|*@ 组成", "may hold letters, digits and _-|*@ only"),
};

impl NumberRule {
    fn problem(&self, text: &str) -> Option<Said> {
        if !(self.least..=self.most).contains(&text.chars().count()) {
            return Some(length_issue(&(self.least..=self.most)));
        }
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || self.marks.contains(&byte);
        (!text.bytes().all(fine)).then(|| self.issue.clone())
    }

    /// The number in a body.
    pub(super) fn in_body(&self, fields: &Fields<'_>) -> Result<Option<String>, Fault> {
        let Some(text) = fields.text(self.name, self.least..=self.most)? else { return Ok(None) };
        match self.problem(text) {
            Some(issue) => Err(fields.refuse(self.name, issue)),
            None => Ok(Some(text.to_owned())),
        }
    }

    /// The number in a body that has to have it.
    pub(super) fn required_in_body(&self, fields: &Fields<'_>) -> Result<String, Fault> {
        let number = self.in_body(fields)?;
        fields.require(self.name, number)
    }

    /// The number in a path.
    pub(super) fn in_path(&self, segment: Option<String>) -> Result<String, Fault> {
        let Some(text) = segment else {
            return Err(Fault::parameter(Place::Url, self.name, None, UNREADABLE));
        };
        match self.problem(&text) {
            Some(issue) => Err(Fault::parameter(Place::Url, self.name, Some(&Value::String(text)), issue)),
            None => Ok(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_amount_has_one_spelling() {
        let body =
            of(r#"{"a":100,"b":1.0,"c":1e2,"d":"1","e":2147483648,"f":null,"g":18446744073709551615}"#);
        let fields = Fields::of(&body).unwrap();
        assert_eq!(fields.integer("a", 1..=100).unwrap(), Some(100));
        assert_eq!(fields.integer("f", 1..=100).unwrap(), None);
        for name in ["b", "c", "d", "e", "g"] {
            assert!(fields.integer(name, 1..=2_147_483_647).is_err(), "{name}");
        }
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        let body = Value::Object(Map::from_iter([("d".to_owned(), Value::String("口".repeat(127)))]));
        let fields = Fields::of(&body).unwrap();
        assert!(fields.text("d", 1..=127).is_ok());
        assert!(fields.text("d", 1..=126).is_err());
    }

    #[test]
    fn a_number_keeps_to_its_characters() {
        for (number, fine) in
            [("abc_-|*1", true), ("short", false), ("with blank", false), ("口袋口袋口袋", false)]
        {
            assert_eq!(OUT_TRADE_NO.in_path(Some(number.to_owned())).is_ok(), fine, "{number}");
        }
        assert!(OUT_REFUND_NO.in_path(Some("r@1".to_owned())).is_ok());
        assert!(OUT_TRADE_NO.in_path(None).is_err());
        assert!(OUT_BILL_NO.in_path(Some("Bill1".to_owned())).is_ok());
        assert!(OUT_BILL_NO.in_path(Some("bill-1".to_owned())).is_err());
    }
}
