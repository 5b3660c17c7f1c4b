//! Who asks, and of which region.

use model::{AccountId, RegionKey, RegionName};

use super::error::Error;

/// The account of everybody, as long as there are no credentials to tell accounts by.
const ACCOUNT: &str = "000000000000";
/// The region of requests without a signature.
const DEFAULT_REGION: &str = "eu-west-1";
/// More than the longest name of a region.
const LONGEST_NAME: usize = 32;

/// The region that a request is for, by the scope of its credential: `KEY/20261123/eu-west-1/ec2/aws4_request`
/// (IAM User Guide, "Elements of an AWS API request signature"). The credential is in the Authorization header or,
/// of a presigned request, in the query. The signature itself is not looked at.
pub(super) fn region(authorization: Option<&str>, query: &[u8]) -> Result<RegionKey, Error> {
    let presigned = || {
        let mut parameters = form_urlencoded::parse(query);
        parameters.find(|(name, _)| name == "X-Amz-Credential").map(|(_, value)| value.into_owned())
    };
    let credential = authorization.and_then(credential).map(str::to_owned).or_else(presigned);
    let region = match &credential {
        None => DEFAULT_REGION,
        Some(credential) => of_scope(credential).ok_or(Error::AuthFailure(
            "Credential must have five elements: key, date, region, service, end.",
        ))?,
    };
    Ok(RegionKey { account: AccountId(ACCOUNT.to_owned()), region: RegionName(region.to_owned()) })
}

fn credential(authorization: &str) -> Option<&str> {
    let parameters = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("Credential="))
}

fn of_scope(credential: &str) -> Option<&str> {
    // From the end, for an access key may hold slashes.
    let mut elements = credential.rsplit('/');
    let (end, _service, region, _date) =
        (elements.next()?, elements.next()?, elements.next()?, elements.next()?);
    elements.next()?;
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let named = !region.is_empty() && region.len() <= LONGEST_NAME && region.bytes().all(letters);
    (end == "aws4_request" && named).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authorization: Option<&str>, query: &str) -> Option<String> {
        region(authorization, query.as_bytes()).ok().map(|key| key.region.0)
    }

    #[test]
    fn by_the_scope_of_the_credential() {
        let header = "AWS4-HMAC-SHA256 Credential=A/B/20261123/us-east-1/ec2/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        assert_eq!(of(Some(header), "").as_deref(), Some("us-east-1"));
        let query = "Action=DescribeVpcs&X-Amz-Credential=AKID%2F20261123%2Feu-north-1%2Fec2%2Faws4_request";
        assert_eq!(of(None, query).as_deref(), Some("eu-north-1"));
        assert_eq!(of(None, "Action=x").as_deref(), Some("eu-west-1"));
        for scope in ["A/20261123/eu-west-1/ec2", "A/20261123/EU/ec2/aws4_request", "A/1//ec2/aws4_request"] {
            assert_eq!(of(Some(&format!("AWS4-HMAC-SHA256 Credential={scope}, Signature=00")), ""), None);
        }
    }
}
