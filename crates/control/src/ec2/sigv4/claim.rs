//! What a request says about its signature, in the Authorization header or in the query.

use super::{ALGORITHM, Refusal, SKEW};
use crate::ec2::http::HttpRequest;
use crate::ec2::time;

/// The last element of every scope.
pub(super) const END: &str = "aws4_request";
/// More than the longest name of a region.
const LONGEST_NAME: usize = 32;
/// For how many seconds a presigned URL may count: a week.
const LONGEST_VALIDITY: u64 = 7 * 24 * 60 * 60;

/// What a signature is for: `KEY/20261123/eu-west-1/ec2/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ec2) struct Scope {
    /// The id of the access key.
    pub(in crate::ec2) key: String,
    /// The day, as in "20261123".
    pub(super) date: String,
    /// The region.
    pub(in crate::ec2) region: String,
    /// The service, such as "ec2".
    pub(super) service: String,
}

/// A signature, and what it claims to be of.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) scope: Scope,
    /// The names of headers as they were given: lower case, with `;` between.
    pub(super) signed_headers: String,
    pub(super) signature: [u8; 32],
    /// When it was signed, in seconds since 1970.
    pub(super) moment: u64,
    /// Whether it comes with a session's token.
    pub(super) token: bool,
    /// For how many seconds a presigned URL counts.
    validity: Option<u64>,
}

impl Scope {
    /// Reads a credential.
    ///
    /// # Errors
    /// It is none.
    pub(in crate::ec2) fn parse(credential: &str) -> Result<Scope, Refusal> {
        const FORM: Refusal =
            Refusal::Scope("Credential must have five elements: key, date, region, service, end.");
        // From the end, for an access key may hold slashes.
        let elements: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [END, service, region, date, key] = elements[..] else { return Err(FORM) };
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let named = !region.is_empty() && region.len() <= LONGEST_NAME && region.bytes().all(letters);
        if !named {
            return Err(FORM);
        }
        let [key, date, region, service] = [key, date, region, service].map(str::to_owned);
        Ok(Scope { key, date, region, service })
    }

    /// What of it is signed: all but the key.
    pub(super) fn words(&self) -> String {
        format!("{}/{}/{}/{END}", self.date, self.region, self.service)
    }
}

impl Claim {
    /// What `request` claims, whose decoded query is `query`. A signature in the query is taken out of it: all else
    /// of the query is signed.
    ///
    /// # Errors
    /// It claims nothing, not as it should, or leaves something unsigned that must be signed.
    pub(super) fn of(request: &HttpRequest, query: &mut Vec<(String, String)>) -> Result<Claim, Refusal> {
        let claim = match request.header("authorization") {
            Some(authorization) => Claim::of_header(request, authorization)?,
            None if query.iter().any(|(name, _)| name == "X-Amz-Credential") => Claim::of_query(query)?,
            None => return Err(Refusal::Missing),
        };
        let signed = |name: &str| claim.signed_headers.split(';').any(|one| one.eq_ignore_ascii_case(name));
        if !signed("host") {
            return Err(Refusal::Incomplete("'host' must be a 'SignedHeader'."));
        }
        let mut names = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        if names.any(|name| name.starts_with("x-amz-") && !signed(&name)) {
            return Err(Refusal::Incomplete(
                "There were X-Amz headers in the request which were not signed.",
            ));
        }
        // `X-Amz-Date`, where it is, has just been seen to be signed; of a presigned URL the query is.
        if claim.validity.is_none() && request.header("x-amz-date").is_none() && !signed("date") {
            return Err(Refusal::Incomplete("'X-Amz-Date' or 'Date' must be a 'SignedHeader'."));
        }
        Ok(claim)
    }

    /// In which time it counts: the first and the last moment, in seconds since 1970.
    pub(super) fn period(&self) -> (u64, u64) {
        let until = self.moment.saturating_add(self.validity.unwrap_or(SKEW));
        (self.moment.saturating_sub(SKEW), until)
    }

    /// "Add the signature to the request": the Authorization header.
    fn of_header(request: &HttpRequest, authorization: &str) -> Result<Claim, Refusal> {
        const FORM: Refusal = Refusal::Incomplete(
            "Authorization header requires 'AWS4-HMAC-SHA256' with 'Credential', 'SignedHeaders' and 'Signature', \
             once each.",
        );
        let elements = authorization.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for element in elements.ok_or(FORM)?.split(',') {
            let (name, value) = element.trim_matches(' ').split_once('=').ok_or(FORM)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(FORM),
            };
            if place.replace(value).is_some() {
                return Err(FORM);
            }
        }
        let date = request.header("x-amz-date").or_else(|| request.header("date"));
        Ok(Claim {
            scope: Scope::parse(credential.ok_or(FORM)?)?,
            signed_headers: signed_headers.ok_or(FORM)?.to_owned(),
            signature: from_hex(signature.ok_or(FORM)?).ok_or(FORM)?,
            moment: date.and_then(moment).ok_or(Refusal::Incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
            ))?,
            token: request.header("x-amz-security-token").is_some(),
            validity: None,
        })
    }

    /// "Add the signature to the request": the query string.
    fn of_query(query: &mut Vec<(String, String)>) -> Result<Claim, Refusal> {
        const FORM: Refusal = Refusal::Incomplete(
            "AWS query-string parameters must include 'X-Amz-Algorithm' with 'AWS4-HMAC-SHA256', 'X-Amz-Credential', \
             'X-Amz-Date', 'X-Amz-Expires' with 1 to 604800 seconds, 'X-Amz-SignedHeaders' and 'X-Amz-Signature'.",
        );
        let signature = query.extract_if(.., |(name, _)| name == "X-Amz-Signature").next().ok_or(FORM)?.1;
        let find = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let one = |name: &str| find(name).ok_or(FORM);
        if one("X-Amz-Algorithm")? != ALGORITHM {
            return Err(FORM);
        }
        let validity = one("X-Amz-Expires")?.parse().ok();
        Ok(Claim {
            scope: Scope::parse(one("X-Amz-Credential")?)?,
            signed_headers: one("X-Amz-SignedHeaders")?.clone(),
            signature: from_hex(&signature).ok_or(FORM)?,
            moment: time::parse_basic(one("X-Amz-Date")?).ok_or(FORM)?,
            token: find("X-Amz-Security-Token").is_some(),
            validity: Some(validity.filter(|seconds| (1..=LONGEST_VALIDITY).contains(seconds)).ok_or(FORM)?),
        })
    }
}

/// A moment in ISO 8601's basic form, or as HTTP dates are written (RFC 9110, section 5.6.7).
fn moment(text: &str) -> Option<u64> {
    let http = || httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok();
    time::parse_basic(text).or_else(|| http().map(|since| since.as_secs()))
}

/// 64 hexadecimal digits in lower case.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let scope = Scope::parse("A/B/20261123/us-east-1/ec2/aws4_request").unwrap();
        assert_eq!((scope.key.as_str(), scope.region.as_str()), ("A/B", "us-east-1"));
        assert_eq!(scope.words(), "20261123/us-east-1/ec2/aws4_request");
        for wrong in ["A/20261123/eu-west-1/ec2", "A/20261123/EU/ec2/aws4_request", "A/1//ec2/aws4_request"] {
            assert!(matches!(Scope::parse(wrong), Err(Refusal::Scope(_))), "{wrong}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(moment("Sun, 30 Aug 2015 12:36:00 GMT"), Some(1_440_938_160));
        assert_eq!(moment("2015-08-30T12:36:00Z"), None);
    }

    #[test]
    fn hexadecimal_digits() {
        let text = "00ff".repeat(16);
        assert_eq!(from_hex(&text), Some(std::array::from_fn(|n| if n % 2 == 0 { 0 } else { 255 })));
        assert_eq!(from_hex(&text.to_uppercase()), None);
        assert_eq!(from_hex(&text[1..]), None);
        assert_eq!(from_hex(&text[2..]), None);
    }
}
