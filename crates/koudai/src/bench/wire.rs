//! HTTP/1.1 as the load speaks it: it shares the machine with the server, so of a message only the length and the words
//! that matter are read.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Reads one answer, and returns where its body begins.
pub(super) async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> std::io::Result<usize> {
    answer.clear();
    if read_message(stream, answer).await? {
        return Ok(body_of(answer).expect("a whole message has a head"));
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// Reads one message into an empty buffer; false if the other side has closed the connection between two.
pub(super) async fn read_message(stream: &mut TcpStream, message: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        if stream.read_buf(message).await? == 0 {
            return if message.is_empty() {
                Ok(false)
            } else {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            };
        }
        let Some(body) = body_of(message) else { continue };
        let Some(length) = length_of(&message[..body]) else {
            return Err(std::io::Error::other("a message does not say how long it is"));
        };
        if message.len() >= body + length {
            return Ok(true);
        }
    }
}

/// Where the body begins, once the whole head is there.
pub(super) fn body_of(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4)
}

/// How long the body is. An answer of 204 has none and does not say so.
fn length_of(head: &[u8]) -> Option<usize> {
    match header(head, "content-length") {
        Some(digits) => digits.parse().ok(),
        None => head.starts_with(b"HTTP/1.1 204 ").then_some(0),
    }
}

/// What a header says, if it is there and is text.
pub(super) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))?;
        std::str::from_utf8(value).ok().map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is() {
        assert_eq!(length_of(b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 17\r\n\r\n"), Some(17));
        assert_eq!(length_of(b"HTTP/1.1 200 OK\r\nx-content-length: 17\r\n\r\n"), None);
        assert_eq!(length_of(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(0));
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), None);
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345"), Some(38));
    }
}
