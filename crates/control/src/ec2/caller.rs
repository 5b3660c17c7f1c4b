//! Who asks, and of which region.

use model::{RegionKey, RegionName};

use super::credentials::Credentials;
use super::http::HttpRequest;
use super::sigv4::{self, Refusal, Scope};

/// The account of keys without another.
pub(super) const ACCOUNT: &str = "000000000000";
/// The account and region that a request to a service ("ec2") is for, at `now` in seconds since 1970: the account is
/// that of the access key, the region is in the scope of the signature (IAM User Guide, "Elements of an AWS API request
/// signature"). Without credentials the signature itself is not looked at: everybody is the owner of `home`, which is also
/// the region of requests without a signature.
///
/// # Errors
/// The request is not signed as it must be.
pub(super) fn identify(
    request: &HttpRequest,
    credentials: Option<&Credentials>,
    home: &RegionKey,
    service: &str,
    now: u64,
) -> Result<RegionKey, Refusal> {
    let (account, region) = match credentials {
        None => (home.account.clone(), unverified(request)?.unwrap_or_else(|| home.region.0.clone())),
        Some(credentials) => {
            let (key, scope) = sigv4::verify(request, credentials, service, now)?;
            (key.account.clone(), scope.region)
        }
    };
    Ok(RegionKey { account, region: RegionName(region) })
}

/// The region that a signature claims to be for, if there is one. The credential is in the Authorization header or, of a presigned
/// request, in the query.
fn unverified(request: &HttpRequest) -> Result<Option<String>, Refusal> {
    let presigned = || {
        let mut parameters = form_urlencoded::parse(request.query.as_bytes());
        parameters.find(|(name, _)| name == "X-Amz-Credential").map(|(_, value)| value.into_owned())
    };
    let authorization = request.header("authorization").and_then(credential);
    match authorization.map(str::to_owned).or_else(presigned) {
        None => Ok(None),
        Some(credential) => Ok(Some(Scope::parse(&credential)?.region)),
    }
}

fn credential(authorization: &str) -> Option<&str> {
    let parameters = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("Credential="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::AccountId;

    fn of(authorization: Option<&str>, query: &str) -> Option<String> {
        let headers = authorization.map(|value| ("Authorization".to_owned(), value.to_owned()));
        let request = HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: headers.into_iter().collect(),
            body: Vec::new(),
        };
        let account = AccountId("123456789012".to_owned());
        let home = RegionKey { account, region: RegionName("eu-west-1".to_owned()) };
        let key = identify(&request, None, &home, "ec2", 0).ok()?;
        assert_eq!(key.account, home.account);
        Some(key.region.0)
    }

    #[test]
    fn without_credentials_by_the_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=A/B/20261123/us-east-1/ec2/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        assert_eq!(of(Some(header), "").as_deref(), Some("us-east-1"));
        let query = "Action=DescribeVpcs&X-Amz-Credential=AKID%2F20261123%2Feu-north-1%2Fec2%2Faws4_request";
        assert_eq!(of(None, query).as_deref(), Some("eu-north-1"));
        assert_eq!(of(None, "Action=x").as_deref(), Some("eu-west-1"));
        let header = "AWS4-HMAC-SHA256 Credential=A/20261123/eu-west-1/ec2, Signature=00";
        assert_eq!(of(Some(header), ""), None);
    }
}
