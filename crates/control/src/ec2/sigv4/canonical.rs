//! The canonical request: the text that a signature is of (IAM User Guide, "Create a signed AWS API request").

use sha2::{Digest, Sha256};

use super::{Refusal, hex};
use crate::ec2::http::HttpRequest;

/// Names and values of a query, decoded, in the order in which they are signed.
///
/// # Errors
/// A name is there twice: sorted as they are signed, the two would not tell which comes last.
pub(super) fn query(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut pairs: Vec<(String, String)> = pairs.into_owned().collect();
    pairs.sort_by_cached_key(|(name, _)| encoded(name));
    match pairs.array_windows().any(|[(one, _), (next, _)]| one == next) {
        true => Err(Refusal::Incomplete("A signed query cannot have the same parameter twice.")),
        false => Ok(pairs),
    }
}

/// The canonical request, with these headers and this sorted `query`.
///
/// # Errors
/// A header that is signed is not there.
pub(super) fn request(
    request: &HttpRequest,
    query: &[(String, String)],
    signed_headers: &str,
) -> Result<String, Refusal> {
    let query: Vec<_> =
        query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let values: Vec<_> = request.all(name).map(trimmed).collect();
        if values.is_empty() {
            return Err(Refusal::Incomplete("A header that is named in SignedHeaders is missing."));
        }
        headers += &format!("{}:{}\n", name.to_ascii_lowercase(), values.join(","));
    }
    Ok([
        request.method.as_str(),
        // It is `/`, where alone the API is: nothing to encode.
        &request.path,
        &query.join("&"),
        &headers,
        signed_headers,
        &hex(&Sha256::digest(&request.body)),
    ]
    .join("\n"))
}

/// Without spaces around it, and one where there are several.
fn trimmed(value: &str) -> String {
    let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Everything but the unreserved characters of RFC 3986, section 2.3, as `%` and two hexadecimal digits.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_manual_has_it() {
        let headers = [
            ("Host", "ec2.example"),
            ("X-Amz-Date", " 20261123T000000Z "),
            ("X-Two", "a   b"),
            ("x-two", "c"),
            ("Accept", "not signed"),
        ];
        let made = HttpRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: "b=%2f+%c3%bc&a&a.1=~".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: Vec::new(),
        };
        let query = query(&made.query).unwrap();
        let expected = "POST\n/\na=&a.1=~&b=%2F%20%C3%BC\nhost:ec2.example\nx-amz-date:20261123T000000Z\n\
            x-two:a b,c\n\nhost;x-amz-date;x-two\n\
            e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(request(&made, &query, "host;x-amz-date;x-two").unwrap(), expected);
        let missing = request(&made, &query, "host;x-three").unwrap_err();
        assert!(matches!(missing, Refusal::Incomplete(_)));
    }

    #[test]
    fn no_name_twice() {
        assert!(query("a=1&b=2&a=1").is_err());
        assert!(query("a=1&b=2&A=1").is_ok());
    }
}
