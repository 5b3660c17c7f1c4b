//! Who signed a request: AWS Signature Version 4 (IAM User Guide, "AWS Signature Version 4 for API requests"), in the
//! Authorization header and in the query of a presigned URL.

mod canonical;
mod claim;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::credentials::{AccessKey, Credentials};
use super::http::HttpRequest;
use super::time;
use claim::Claim;
pub(super) use claim::Scope;

/// The one algorithm there is. The other one of AWS, with asymmetric keys, is for services in many regions at once.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// By how many seconds a signer's clock may differ from ours ("Error codes for the Amazon EC2 API", `RequestExpired`).
const SKEW: u64 = 15 * 60;

/// Why a request's signature does not count. Its text is the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// There is none.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// It is not put as it should be.
    #[error("{0}")]
    Incomplete(&'static str),
    /// It is for another service or day, or no scope at all.
    #[error("{0}")]
    Scope(&'static str),
    /// Made with an access key that is not known, or with a session's, and there are no sessions.
    #[error("AWS was not able to validate the provided access credentials")]
    UnknownKey,
    /// It is not what the key makes of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method."
    )]
    Mismatch,
    /// It is too old, or of the future.
    #[error("Request has expired: it counts from {from} to {until}, and now it is {now}.")]
    Expired {
        /// The first moment at which it counts.
        from: String,
        /// The last one.
        until: String,
        /// The moment when it came.
        now: String,
    },
}

impl Refusal {
    /// EC2's error code and HTTP status ("Error codes for the Amazon EC2 API").
    pub(super) fn of_ec2(&self) -> (&'static str, u16) {
        match self {
            Refusal::Missing => ("MissingAuthenticationToken", 403),
            Refusal::Incomplete(_) => ("IncompleteSignature", 400),
            Refusal::Scope(_) | Refusal::UnknownKey => ("AuthFailure", 401),
            Refusal::Mismatch => ("SignatureDoesNotMatch", 403),
            Refusal::Expired { .. } => ("RequestExpired", 400),
        }
    }

    /// STS's error code and HTTP status (AWS STS API Reference, "Common Errors"). It knows no `AuthFailure`.
    pub(crate) fn of_sts(&self) -> (&'static str, u16) {
        match self {
            Refusal::UnknownKey => ("InvalidClientTokenId", 403),
            Refusal::Scope(_) => ("SignatureDoesNotMatch", 403),
            other => other.of_ec2(),
        }
    }
}

/// The access key that signed `request` for a service ("ec2"), and the scope of its signature; `now` is in seconds
/// since 1970.
///
/// # Errors
/// The request is not signed, not with a known key, not as it is now, or not for this service and time.
pub(super) fn verify<'a>(
    request: &HttpRequest,
    credentials: &'a Credentials,
    service: &str,
    now: u64,
) -> Result<(&'a AccessKey, Scope), Refusal> {
    let mut query = canonical::query(&request.query)?;
    let claim = Claim::of(request, &mut query)?;
    if claim.scope.service != service {
        return Err(Refusal::Scope("Credential should be scoped to correct service."));
    }
    let key = credentials.key(&claim.scope.key).ok_or(Refusal::UnknownKey)?;
    if claim.token {
        return Err(Refusal::UnknownKey);
    }
    let canonical = canonical::request(request, &query, &claim.signed_headers)?;
    let moment = time::basic(claim.moment);
    let (scope, digest) = (claim.scope.words(), hex(&Sha256::digest(canonical)));
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{digest}");
    // In a time that does not tell how much of it is right.
    let signature = hmac(&signing_key(key, &claim.scope), &text);
    signature.verify_slice(&claim.signature).map_err(|_| Refusal::Mismatch)?;
    if !moment.starts_with(&claim.scope.date) {
        return Err(Refusal::Scope("Date in Credential scope does not match the date of the request."));
    }
    let (from, until) = claim.period();
    if !(from..=until).contains(&now) {
        let [from, until, now] = [from, until, now].map(time::basic);
        return Err(Refusal::Expired { from, until, now });
    }
    Ok((key, claim.scope))
}

/// "Derive a signing key".
fn signing_key(key: &AccessKey, scope: &Scope) -> Vec<u8> {
    let secret = format!("AWS4{}", key.secret).into_bytes();
    let parts = [scope.date.as_str(), &scope.region, &scope.service, claim::END];
    parts.iter().fold(secret, |key, part| hmac(&key, part).finalize().into_bytes().to_vec())
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8], message: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length").chain_update(message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    /// The keys of AWS's examples.
    fn credentials() -> Credentials {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        let mut file = std::fs::OpenOptions::new();
        let mut file =
            file.create(true).read(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
        let text = "[x]\naws_access_key_id = AKIDEXAMPLE\n\
            aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n";
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        Credentials::read(&mut file, &path).unwrap()
    }

    fn get(query: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let [method, path, query] = ["GET", "/", query].map(str::to_owned);
        HttpRequest { method, path, query, headers, body: Vec::new() }
    }

    /// The example of the IAM User Guide's chapter on signing: `ListUsers`.
    fn example() -> HttpRequest {
        get(
            "Action=ListUsers&Version=2010-05-08",
            &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("host", "iam.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date, \
                     Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
                ),
            ],
        )
    }

    const THEN: u64 = 1_440_938_160;

    #[test]
    fn the_manuals_example() {
        let credentials = credentials();
        let (key, scope) = verify(&example(), &credentials, "iam", THEN).unwrap();
        assert_eq!((key.account.0.as_str(), scope.region.as_str()), ("000000000000", "us-east-1"));
        let other = verify(&example(), &credentials, "ec2", THEN).map(drop).unwrap_err();
        assert_eq!((other.of_ec2().0, other.of_sts().0), ("AuthFailure", "SignatureDoesNotMatch"));
    }

    #[test]
    fn fifteen_minutes_about_its_time() {
        let at = |now| verify(&example(), &credentials(), "iam", now).map(drop);
        assert_eq!(at(THEN - 900), Ok(()));
        assert_eq!(at(THEN + 900), Ok(()));
        for now in [THEN - 901, THEN + 901] {
            let (code, status) = at(now).unwrap_err().of_ec2();
            assert_eq!((code, status), ("RequestExpired", 400));
        }
        let words = at(THEN + 901).unwrap_err().to_string();
        assert!(words.contains("from 20150830T122100Z to 20150830T125100Z"), "{words}");
    }

    /// The plainest case of AWS's published test suite.
    #[test]
    fn without_query() {
        let authorization = |signed: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={signed}, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            )
        };
        let (host, date) = (("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z"));
        let code = |headers: &[(&str, &str)]| {
            verify(&get("", headers), &credentials(), "service", THEN).err().map(|refusal| refusal.of_ec2().0)
        };
        let (both, one) = (authorization("host;x-amz-date"), authorization("host"));
        assert_eq!(code(&[host, date, ("Authorization", &both)]), None);
        assert_eq!(code(&[host, date, ("Authorization", &one)]), Some("IncompleteSignature"));
        assert_eq!(code(&[host, ("Authorization", &both)]), Some("IncompleteSignature"));
        let date = ("Date", "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(code(&[host, date, ("Authorization", &one)]), Some("IncompleteSignature"));
        assert_eq!(code(&[host, date]), Some("MissingAuthenticationToken"));
        assert_eq!(code(&[("Authorization", "Basic eDp5")]), Some("IncompleteSignature"));
        let otherwise = authorization("date;host");
        assert_eq!(code(&[host, date, ("Authorization", &otherwise)]), Some("SignatureDoesNotMatch"));
    }
}
