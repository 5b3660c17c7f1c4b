//! From a request to its answer: methods, headers and status codes of the protocol, both versions.

use std::time::Instant;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tracing::warn;

use super::identity::Identity;
use super::token::{LIFETIMES, Tokens};
use super::tree;

/// The header of a `PUT` that asks for a token, and of its answer: seconds the token lives.
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// The header of a request that shows a token.
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// Set by proxies; a token is not for those behind one.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const TOKEN_PATH: &str = "/latest/api/token";

/// Whether this request asks for a token, so that its answer, whatever it says, may travel no further than
/// the instance's hop limit.
pub(super) fn is_token_put<B>(request: &Request<B>) -> bool {
    request.method() == Method::PUT && request.uri().path() == TOKEN_PATH
}

/// The answer to `request` from `identity`. Issues a token, if that was asked for.
pub(super) fn answer<B>(
    request: &Request<B>,
    identity: &Identity<'_>,
    tokens: &mut Tokens,
    now: Instant,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    match *request.method() {
        Method::PUT => put(path, request.headers(), identity, tokens, now),
        Method::GET | Method::HEAD => get(path, request.headers(), identity, tokens, now),
        _ => not_allowed(path),
    }
}

fn get(
    path: &str,
    headers: &HeaderMap,
    identity: &Identity<'_>,
    tokens: &Tokens,
    now: Instant,
) -> Response<Full<Bytes>> {
    let authorized = match headers.get(TOKEN) {
        Some(token) => token.to_str().is_ok_and(|token| tokens.admits(&identity.key(), token, now)),
        None => !identity.token_required(),
    };
    if path == TOKEN_PATH {
        not_allowed(path)
    } else if !authorized {
        refusal(StatusCode::UNAUTHORIZED)
    } else {
        match tree::get(identity, path) {
            Some(value) => text(StatusCode::OK, value),
            None => refusal(StatusCode::NOT_FOUND),
        }
    }
}

fn put(
    path: &str,
    headers: &HeaderMap,
    identity: &Identity<'_>,
    tokens: &mut Tokens,
    now: Instant,
) -> Response<Full<Bytes>> {
    if headers.contains_key(FORWARDED_FOR) || tree::is_dated(path) {
        return refusal(StatusCode::FORBIDDEN);
    }
    if path != TOKEN_PATH {
        return not_allowed(path);
    }
    let Some(lifetime) = lifetime(headers) else {
        return refusal(StatusCode::BAD_REQUEST);
    };
    match tokens.issue(identity.key(), lifetime, now) {
        Ok(token) => {
            let mut response = text(StatusCode::OK, token.into_bytes());
            response.headers_mut().insert(TOKEN_TTL, lifetime.into());
            response
        }
        Err(error) => {
            warn!(%error, "no random bytes for a token");
            refusal(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// The lifetime asked for, if it is asked for once and properly.
fn lifetime(headers: &HeaderMap) -> Option<u32> {
    let mut values = headers.get_all(TOKEN_TTL).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().filter(|seconds| LIFETIMES.contains(seconds))
}

fn not_allowed(path: &str) -> Response<Full<Bytes>> {
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED);
    // RFC 9110 section 15.5.6: a 405 says what is allowed.
    let allowed = if path == TOKEN_PATH { "PUT" } else { "GET, HEAD" };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    text(status, format!("{} - {}\n", status.as_str(), status.canonical_reason().unwrap_or_default()).into())
}

fn text(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_asked_for_once_and_in_digits() {
        let asked = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TOKEN_TTL, HeaderValue::from_static(value));
            }
            lifetime(&headers)
        };
        assert_eq!(asked(&["1"]), Some(1));
        assert_eq!(asked(&["21600"]), Some(21_600));
        for bad in [&[][..], &[""], &["0"], &["21601"], &["+1"], &["1.0"], &["0x1"], &["1", "1"]] {
            assert_eq!(asked(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_put_of_the_token_path_is_hop_limited() {
        let is_hop_limited = |method: Method, path: &str| {
            is_token_put(&Request::builder().method(method).uri(path).body(()).unwrap())
        };
        assert!(is_hop_limited(Method::PUT, "/latest/api/token"));
        assert!(is_hop_limited(Method::PUT, "http://169.254.169.254/latest/api/token?x"));
        assert!(!is_hop_limited(Method::GET, "/latest/api/token"));
        assert!(!is_hop_limited(Method::PUT, "/latest/meta-data/"));
    }
}
