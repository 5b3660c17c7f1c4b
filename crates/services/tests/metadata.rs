//! The metadata service over real connections on the loopback network. Each instance is a client with a
//! source address of its own in 127.0.0.0/8, as the engine would give it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod client;
mod network;

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use client::{Client, Reply};
use network::{ELSEWHERE, NAT, Network, STRICT, TESTER};
use proptest::prelude::*;

const TTL_HEADER: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "X-aws-ec2-metadata-token";

fn token(client: &mut Client) -> String {
    let reply = client.request("PUT", "/latest/api/token", &[(TTL_HEADER, "60")]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header(TTL_HEADER), Some("60"));
    reply.text()
}

/// Every path under `directory`, which ends in a slash, with its value, found only by following listings.
fn walk(client: &mut Client, directory: &str, found: &mut Vec<(String, String)>) {
    let listing = client.get(directory);
    assert_eq!(listing.status, 200, "{directory}: {listing:?}");
    for name in listing.text().lines() {
        // `0=me` is a directory, reached without what it is called.
        let titled = name.split_once('=').map(|(index, _)| format!("{index}/"));
        let name = titled.as_deref().unwrap_or(name);
        let path = format!("{directory}{name}");
        if name.ends_with('/') {
            assert_eq!(client.get(path.trim_end_matches('/')).text(), client.get(&path).text());
            walk(client, &path, found);
        } else {
            let value = client.get(&path);
            assert_eq!(value.status, 200, "{path} is listed");
            assert!(!value.body.is_empty(), "{path} is empty");
            found.push((path, value.text()));
        }
    }
}

#[test]
fn everything_listed_is_served() {
    let network = Network::serve();
    let nat = network.facts(NAT);
    let mut found = Vec::new();
    walk(&mut network.client(NAT), "/latest/meta-data/", &mut found);

    let mac = format!("network/interfaces/macs/{}", nat.mac);
    let expected = [
        ("ami-id", network::IMAGE.to_owned()),
        ("ami-launch-index", "0".into()),
        ("hostname", "ip-10-210-216-13.eu-west-1.compute.internal".into()),
        ("instance-id", nat.instance.clone()),
        ("instance-type", "t1.micro".into()),
        ("local-hostname", "ip-10-210-216-13.eu-west-1.compute.internal".into()),
        ("local-ipv4", "10.210.216.13".into()),
        ("mac", nat.mac.clone()),
        (&format!("{mac}/device-number"), "0".into()),
        (&format!("{mac}/interface-id"), nat.interface.clone()),
        (&format!("{mac}/ipv4-associations/203.0.113.13"), "10.210.216.13".into()),
        (&format!("{mac}/local-hostname"), "ip-10-210-216-13.eu-west-1.compute.internal".into()),
        (&format!("{mac}/local-ipv4s"), "10.210.216.13".into()),
        (&format!("{mac}/mac"), nat.mac.clone()),
        (&format!("{mac}/owner-id"), network::ACCOUNT.into()),
        (&format!("{mac}/public-ipv4s"), "203.0.113.13".into()),
        (&format!("{mac}/security-group-ids"), nat.groups.clone()),
        (&format!("{mac}/security-groups"), "gateway\nadmin".into()),
        (&format!("{mac}/subnet-id"), nat.subnet.clone()),
        (&format!("{mac}/subnet-ipv4-cidr-block"), "10.210.128.0/17".into()),
        (&format!("{mac}/vpc-id"), nat.vpc.clone()),
        (&format!("{mac}/vpc-ipv4-cidr-block"), "10.210.0.0/16".into()),
        (&format!("{mac}/vpc-ipv4-cidr-blocks"), "10.210.0.0/16\n10.211.0.0/16".into()),
        ("placement/availability-zone", "eu-west-1b".into()),
        ("placement/region", "eu-west-1".into()),
        ("public-ipv4", "203.0.113.13".into()),
        ("public-keys/0/openssh-key", network::PUBLIC_KEY.into()),
        ("reservation-id", nat.reservation.clone()),
        ("security-groups", "gateway\nadmin".into()),
    ]
    .map(|(path, value)| (format!("/latest/meta-data/{path}"), value));
    assert_eq!(found, expected);
}

#[test]
fn what_an_instance_lacks_is_absent() {
    let network = Network::serve();
    let mut tester = network.client(TESTER);
    let mut found = Vec::new();
    walk(&mut tester, "/latest/meta-data/", &mut found);
    assert!(!found.is_empty());
    assert!(found.iter().all(|(path, _)| !path.contains("public-ipv4") && !path.contains("associations")));
    assert_eq!(tester.get("/latest/meta-data/public-ipv4").status, 404);
    assert_eq!(tester.get("/latest/user-data").status, 404);
    assert_eq!(tester.get("/latest/meta-data/public-keys").status, 404);
    assert_eq!(tester.get("/latest/").text(), "dynamic\nmeta-data");
}

#[test]
fn versions_and_paths() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let versions = nat.get("/").text();
    assert!(versions.starts_with("1.0\n2007-01-19\n") && versions.ends_with("\nlatest"), "{versions}");
    for version in versions.lines() {
        assert_eq!(nat.get(&format!("/{version}")).text(), "dynamic\nmeta-data\nuser-data");
        let id = nat.get(&format!("/{version}/meta-data/instance-id"));
        assert_eq!((id.status, id.text()), (200, network.facts(NAT).instance));
        assert_eq!(id.header("content-type"), Some("text/plain"));
    }
    for path in [
        "/2009-04-05/meta-data/instance-id",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/nothing",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/dynamic/instance-identity/signature",
        "/latest/meta-data/public-hostname",
        "/latest/meta-data/public-keys/1",
        "/latest/api",
        "/meta-data",
        "/latest/meta-data/../user-data",
    ] {
        assert_eq!(nat.get(path).status, 404, "{path}");
    }
    assert_eq!(nat.get("/latest/meta-data/instance-id/?x=y").text(), network.facts(NAT).instance);
}

#[test]
fn the_identity_document_says_who_it_is() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    assert_eq!(nat.get("/latest/dynamic/").text(), "instance-identity/");
    assert_eq!(nat.get("/latest/dynamic/instance-identity/").text(), "document");
    assert_eq!(nat.get("/latest/meta-data/public-keys/").text(), "0=me");
    let document = nat.get("/latest/dynamic/instance-identity/document").text();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let expected = serde_json::json!({
        "accountId": network::ACCOUNT,
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
        "availabilityZone": "eu-west-1b",
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": network::IMAGE,
        "instanceId": network.facts(NAT).instance,
        "instanceType": "t1.micro",
        "kernelId": null,
        "pendingTime": "2024-03-01T00:00:00Z",
        "privateIp": "10.210.216.13",
        "ramdiskId": null,
        "region": "eu-west-1",
        "version": "2017-09-30",
    });
    assert_eq!(document, expected);
}

#[test]
fn user_data_comes_as_it_was_given() {
    let network = Network::serve();
    let reply = network.client(NAT).get("/latest/user-data");
    assert_eq!((reply.status, &*reply.body), (200, network::USER_DATA));
}

#[test]
fn head_is_get_without_the_body() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let reply = nat.head("/latest/meta-data/local-ipv4");
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("13")));
    assert_eq!(nat.head("/latest/meta-data/nothing").status, 404);
    // The connection is still in step.
    assert_eq!(nat.get("/latest/meta-data/local-ipv4").text(), "10.210.216.13");
}

#[test]
fn other_methods_are_not_allowed() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    for (method, path, allowed) in [
        ("POST", "/latest/meta-data/instance-id", "GET, HEAD"),
        ("DELETE", "/latest/user-data", "GET, HEAD"),
        ("OPTIONS", "/latest/meta-data/", "GET, HEAD"),
        ("PUT", "/latest/meta-data/instance-id", "GET, HEAD"),
        ("GET", "/latest/api/token", "PUT"),
        ("POST", "/latest/api/token", "PUT"),
    ] {
        let reply = nat.request(method, path, &[(TTL_HEADER, "60")]);
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
}

#[test]
fn a_token_opens_its_own_instance_only() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let token = token(&mut nat);
    let own = nat.request("GET", "/latest/meta-data/instance-id", &[(TOKEN_HEADER, &token)]);
    assert_eq!((own.status, own.text()), (200, network.facts(NAT).instance));
    // The token is the instance's, not the connection's.
    assert_eq!(network.client(NAT).request("GET", "/", &[(TOKEN_HEADER, &token)]).status, 200);

    assert_eq!(network.facts(NAT).instance, network.facts(ELSEWHERE).instance, "same id, other region");
    for stranger in [TESTER, STRICT, ELSEWHERE] {
        let reply = network.client(stranger).request("GET", "/", &[(TOKEN_HEADER, &token)]);
        assert_eq!(reply.status, 401, "{stranger}");
    }
    for wrong in ["", "x", &token[1..], &token.to_uppercase().replace(char::is_numeric, "A"), "\u{e9}"] {
        assert_eq!(nat.request("GET", "/", &[(TOKEN_HEADER, wrong)]).status, 401, "{wrong}");
    }
}

#[test]
fn a_token_expires() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let token = nat.request("PUT", "/latest/api/token", &[(TTL_HEADER, "1")]).text();
    assert_eq!(nat.request("GET", "/", &[(TOKEN_HEADER, &token)]).status, 200);
    std::thread::sleep(Duration::from_millis(1050));
    assert_eq!(nat.request("GET", "/", &[(TOKEN_HEADER, &token)]).status, 401);
}

#[test]
fn a_token_request_must_be_well_formed() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let mut put = |path: &str, headers: &[(&str, &str)]| nat.request("PUT", path, headers).status;
    assert_eq!(put("/latest/api/token", &[]), 400);
    for lifetime in ["", "0", "21601", "-1", "+60", "6e1", "60 s", "99999999999999999999"] {
        assert_eq!(put("/latest/api/token", &[(TTL_HEADER, lifetime)]), 400, "{lifetime}");
    }
    assert_eq!(put("/latest/api/token", &[(TTL_HEADER, "60"), (TTL_HEADER, "60")]), 400);
    for lifetime in ["1", "21600"] {
        assert_eq!(put("/latest/api/token", &[(TTL_HEADER, lifetime)]), 200, "{lifetime}");
    }
    assert_eq!(put("/latest/api/token", &[(TTL_HEADER, "60"), ("X-Forwarded-For", "192.0.2.1")]), 403);
    assert_eq!(put("/2021-03-23/api/token", &[(TTL_HEADER, "60")]), 403);
}

#[test]
fn an_instance_can_require_tokens() {
    let network = Network::serve();
    let mut strict = network.client(STRICT);
    for path in ["/", "/latest/meta-data/instance-id", "/nothing"] {
        assert_eq!(strict.get(path).status, 401, "{path}");
    }
    let token = token(&mut strict);
    let reply = strict.request("GET", "/latest/meta-data/instance-id", &[(TOKEN_HEADER, &token)]);
    assert_eq!((reply.status, reply.text()), (200, network.facts(STRICT).instance));
}

#[test]
fn strangers_are_not_answered() {
    let network = Network::serve();
    let mut stranger = network.client(Ipv4Addr::new(127, 1, 9, 9));
    assert!(stranger.try_request("GET", "/", &[]).is_none());

    // Nor is a connection whose address has lost its owner.
    let mut nat = network.client(NAT);
    assert_eq!(nat.get("/").status, 200);
    network.forget(NAT);
    assert!(nat.try_request("GET", "/", &[]).is_none());
}

#[test]
fn answers_follow_the_state() {
    let network = Network::serve();
    let mut tester = network.client(TESTER);
    assert_eq!(tester.get("/latest/meta-data/public-ipv4").status, 404);
    network.associate_address(TESTER, Ipv4Addr::new(203, 0, 113, 14));
    assert_eq!(tester.get("/latest/meta-data/public-ipv4").text(), "203.0.113.14");
}

#[test]
fn a_token_does_not_outlive_its_hop_limit_on_the_way() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    nat.drop_ttl_below(64);
    assert_eq!(nat.get("/latest/meta-data/local-ipv4").text(), "10.210.216.13");

    // Both at once: if the second answer's TTL were set while the first is still unacknowledged, the first
    // would be sent again with it, and arrive.
    nat.send(&format!(
        "PUT /latest/api/token HTTP/1.1\r\n{TTL_HEADER}: 60\r\n\r\nGET /latest/meta-data/mac HTTP/1.1\r\n\r\n"
    ));
    nat.expect_silence(Duration::from_millis(1700));

    // Once it can arrive it does, and the other after it.
    nat.drop_ttl_below(1);
    let token = nat.reply(true);
    assert_eq!((token.status, token.body.len()), (200, 56));
    assert_eq!(nat.reply(true).text(), network.facts(NAT).mac);
    nat.drop_ttl_below(64);
    assert_eq!(nat.get("/latest/meta-data/local-ipv4").text(), "10.210.216.13");
}

#[test]
fn the_hop_limit_is_the_instances() {
    let network = Network::serve();
    let mut strict = network.client(STRICT);
    strict.drop_ttl_below(3);
    token(&mut strict);
    assert_eq!(strict.get("/").status, 401);

    strict.drop_ttl_below(4);
    // Refusals of a token travel no further than tokens.
    strict.send("PUT /latest/api/token HTTP/1.1\r\n\r\n");
    strict.expect_silence(Duration::from_millis(300));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    let names = ["local-ipv4", "nothing", "mac", "instance-id"];
    let heads: String =
        names.iter().map(|name| format!("GET /latest/meta-data/{name} HTTP/1.1\r\n\r\n")).collect();
    nat.send(&heads);
    let replies: Vec<Reply> = names.iter().map(|_| nat.reply(true)).collect();
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 404, 200, 200]);
    assert_eq!(replies[3].text(), network.facts(NAT).instance);
}

#[test]
fn old_and_half_closing_clients_are_answered() {
    let network = Network::serve();
    let mut nat = network.client(NAT);
    nat.send("GET /latest/meta-data/local-ipv4 HTTP/1.0\r\n\r\n");
    nat.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(nat.reply(true).text(), "10.210.216.13");
    assert_eq!(nat.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_instance_has_a_number_of_connections() {
    let network = Network::serve();
    let mut open: Vec<Client> = (0..32).map(|_| network.client(NAT)).collect();
    assert!(open.iter_mut().all(|client| client.get("/").status == 200));
    assert!(network.client(NAT).try_request("GET", "/", &[]).is_none());
    assert_eq!(network.client(TESTER).get("/").status, 200, "others are not affected");

    open.pop();
    let again = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        network.client(NAT).try_request("GET", "/", &[]).is_some()
    });
    assert!(again, "a closed connection makes room");
}

#[test]
fn too_large_heads_are_refused() {
    let network = Network::serve();
    let long = "x".repeat(20_000);
    assert_eq!(network.client(NAT).request("GET", "/", &[("X-Long", &long)]).status, 431);
    let many: Vec<(String, &str)> = (0..100).map(|n| (format!("X-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(network.client(NAT).request("GET", "/", &many).status, 431);
    assert_eq!(network.client(NAT).get("/").status, 200);
}

#[test]
fn stopping_closes_everything() {
    let mut network = Network::serve();
    let mut nat = network.client(NAT);
    assert_eq!(nat.get("/").status, 200);
    let address = network.address();
    network.stop();
    assert!(nat.try_request("GET", "/", &[]).is_none());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn whatever_comes_the_service_stays() {
    let network = Network::serve();
    let request = proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            Just(b"GET / HTTP/1.1\r\n".to_vec()),
            Just(b"PUT /latest/api/token HTTP/1.1\r\n".to_vec()),
            Just(b"Content-Length: 7\r\n".to_vec()),
            Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
            Just(b"X-aws-ec2-metadata-token: \xff\xfe\r\n".to_vec()),
            Just(b"X-aws-ec2-metadata-token-ttl-seconds: 9\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
        ],
        0..8,
    );
    proptest!(ProptestConfig::with_cases(200), |(pieces in request)| {
        let mut nat = network.client(NAT);
        // The service may close before it has read all.
        let _ = nat.stream.write_all(&pieces.concat());
        let _ = nat.stream.shutdown(std::net::Shutdown::Write);
        let _ = nat.stream.read_to_end(&mut Vec::new());
        prop_assert_eq!(network.client(TESTER).get("/latest/meta-data/local-ipv4").text(), "10.210.7.14");
    });
}
