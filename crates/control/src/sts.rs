//! STS, as far as tools ask it before they talk to EC2: who they are.

use model::AccountId;
use serde::Serialize;

use crate::ec2::{HttpResponse, Refusal, Unfit, document};

/// The version of the STS API that is spoken here.
pub(crate) const VERSION: &str = "2011-06-15";

const NAMESPACE: &str = " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";

/// Answers an action for its caller's account.
///
/// # Errors
/// There is no document.
pub(crate) fn handle(action: &str, account: &AccountId, request: &str) -> Result<HttpResponse, Unfit> {
    if action != "GetCallerIdentity" {
        let message = format!("Could not find operation {action} for version {VERSION}");
        return problem(400, "InvalidAction", message, request);
    }
    let result = Identity {
        arn: format!("arn:aws:iam::{}:root", account.0),
        user_id: &account.0,
        account: &account.0,
    };
    let answer = Answer { result, response_metadata: Metadata { request_id: request } };
    Ok(HttpResponse::xml(200, document("GetCallerIdentityResponse", NAMESPACE, &answer)?))
}

/// Answers who did not sign as they must.
///
/// # Errors
/// There is no document.
pub(crate) fn refused(refusal: &Refusal, request: &str) -> Result<HttpResponse, Unfit> {
    let (code, status) = refusal.of_sts();
    problem(status, code, refusal.to_string(), request)
}

fn problem(status: u16, code: &'static str, message: String, request: &str) -> Result<HttpResponse, Unfit> {
    let error = Problem { r#type: "Sender", code, message };
    let document = document("ErrorResponse", NAMESPACE, &ErrorResponse { error, request_id: request })?;
    Ok(HttpResponse::xml(status, document))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Identity<'a>,
    response_metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Identity<'a> {
    arn: String,
    user_id: &'a str,
    account: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse<'a> {
    error: Problem,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Problem {
    r#type: &'static str,
    code: &'static str,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(action: &str) -> (u16, String) {
        let response = handle(action, &AccountId("000000000000".to_owned()), "r").unwrap();
        (response.status, String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn the_caller_is_the_account() {
        let (status, text) = text("GetCallerIdentity");
        assert_eq!(status, 200);
        assert!(
            text.contains("<GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:root</Arn>"),
            "{text}"
        );
        assert!(text.contains("<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"), "{text}");
    }

    #[test]
    fn nothing_else_is_known() {
        let (status, text) = text("AssumeRole");
        assert_eq!(status, 400);
        assert!(text.contains("<Type>Sender</Type><Code>InvalidAction</Code>"), "{text}");
    }
}
