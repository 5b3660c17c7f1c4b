//! Requests that must be signed: those of AWS's own signer count, and nothing else does.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use control::ec2::{Credentials, HttpRequest};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::api::{Answer, Endpoint};

const KEYS: &str = "
[ours]
aws_access_key_id = OURS
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
[ours too]
aws_access_key_id = ALSO-OURS
aws_secret_access_key = another
[theirs]
aws_access_key_id = THEIRS
aws_secret_access_key = theirs
aws_account_id = 111122223333
";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HOST: &str = "cloud.example:4566";

/// An endpoint that answers the keys above.
fn endpoint() -> Endpoint {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("credentials");
    std::fs::write(&path, KEYS).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Endpoint::with(Some(Credentials::load(&path).unwrap()))
}

/// How a request is signed.
#[derive(Debug, Clone)]
struct Signer {
    key: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    service: &'static str,
    time: SystemTime,
    /// For how long, if presigned.
    validity: Option<Duration>,
}

impl Signer {
    fn of(key: &'static str, secret: &'static str) -> Signer {
        let time = SystemTime::now();
        Signer { key, secret, token: None, region: "eu-west-1", service: "ec2", time, validity: None }
    }

    fn ours() -> Signer {
        Signer::of("OURS", SECRET)
    }

    /// The request as the signer sends it.
    fn sign(&self, mut request: HttpRequest) -> HttpRequest {
        let token = self.token.map(str::to_owned);
        let identity =
            aws_credential_types::Credentials::new(self.key, self.secret, token, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.expires_in = self.validity;
        if self.validity.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{HOST}{}?{}", request.path, request.query);
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(&request.body);
        let signable = SignableRequest::new(&request.method, uri, headers, body).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let (headers, parameters) = instructions.into_parts();
        for header in headers {
            request.headers.push((header.name().to_owned(), header.value().to_owned()));
        }
        let mut query = form_urlencoded::Serializer::new(request.query.clone());
        for (name, value) in parameters {
            query.append_pair(name, &value);
        }
        request.query = query.finish();
        request
    }

    /// Signs and sends a request for EC2.
    fn ask(&self, api: &Endpoint, action: &str, form: &str) -> Answer {
        api.send(self.sign(posted(&format!("Action={action}&Version=2016-11-15&{form}"))))
    }

    /// Signs and sends a request for EC2 that is refused; its status and code.
    fn refused(&self, api: &Endpoint) -> (u16, String) {
        let answer = self.ask(api, "DescribeVpcs", "");
        (answer.status, answer.one("Code"))
    }
}

fn posted(form: &str) -> HttpRequest {
    let headers = [("host", HOST), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    HttpRequest {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: form.as_bytes().to_vec(),
    }
}

fn got(query: &str) -> HttpRequest {
    let headers = vec![("host".to_owned(), HOST.to_owned())];
    let [method, path, query] = ["GET", "/", query].map(str::to_owned);
    HttpRequest { method, path, query, headers, body: Vec::new() }
}

fn pair(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn who_signs_is_answered() {
    let api = endpoint();
    let presigned = Signer { validity: Some(Duration::from_secs(60)), ..Signer::ours() };
    let describe =
        "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3AName&Filter.1.Value.1=%2A%20%C3%BC%2F";
    for signer in [Signer::ours(), presigned.clone(), Signer::of("ALSO-OURS", "another")] {
        for request in [posted(describe), got(describe)] {
            let answer = api.send(signer.sign(request.clone()));
            assert_eq!(answer.status, 200, "{signer:?} {request:?} {answer:?}");
        }
    }
    let far = Signer { region: "us-east-1", ..Signer::ours() };
    assert_eq!(far.ask(&api, "DescribeAvailabilityZones", "").all("zoneName")[0], "us-east-1a");
}

#[test]
fn who_does_not_sign_as_they_must_is_refused() {
    let api = endpoint();
    let unsigned = api.ask("DescribeVpcs", "", &[("host", HOST)]);
    assert_eq!((unsigned.status, unsigned.one("Code")), pair(403, "MissingAuthenticationToken"));
    let ours = Signer::ours();
    assert_eq!(Signer::of("OURS", "guessed").refused(&api), pair(403, "SignatureDoesNotMatch"));
    assert_eq!(Signer::of("THEIRS", SECRET).refused(&api), pair(403, "SignatureDoesNotMatch"));
    assert_eq!(Signer::of("NOBODYS", SECRET).refused(&api), pair(401, "AuthFailure"));
    assert_eq!(Signer { service: "sts", ..ours.clone() }.refused(&api), pair(401, "AuthFailure"));
    assert_eq!(Signer { region: "No Region", ..ours.clone() }.refused(&api), pair(401, "AuthFailure"));
    assert_eq!(Signer { token: Some("session"), ..ours.clone() }.refused(&api), pair(401, "AuthFailure"));

    let [short, long] = [1, 604_800].map(|seconds| Some(Duration::from_secs(seconds)));
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let ahead = SystemTime::now() + Duration::from_secs(1200);
    for validity in [None, short, long] {
        assert_eq!(
            Signer { time: ahead, validity, ..ours.clone() }.refused(&api),
            pair(400, "RequestExpired")
        );
    }
    assert_eq!(Signer { time: ago(1200), ..ours.clone() }.refused(&api), pair(400, "RequestExpired"));
    let old = Signer { time: ago(1200), validity: short, ..ours.clone() };
    assert_eq!(old.refused(&api), pair(400, "RequestExpired"));
    assert_eq!(Signer { validity: long, ..old.clone() }.ask(&api, "DescribeVpcs", "").status, 200);
    let endless = Signer { validity: Some(Duration::from_secs(604_801)), ..old };
    assert_eq!(endless.refused(&api), pair(400, "IncompleteSignature"));
    assert!(api.store.regions().is_empty());
}

#[test]
fn sts_says_who_signed() {
    let api = endpoint();
    let ask = |signer: &Signer| api.send(signer.sign(posted("Action=GetCallerIdentity&Version=2011-06-15")));
    let theirs = Signer { service: "sts", ..Signer::of("THEIRS", "theirs") };
    let answer = ask(&theirs);
    assert_eq!((answer.status, answer.one("Account")), (200, "111122223333".to_owned()));
    assert_eq!(answer.one("Arn"), "arn:aws:iam::111122223333:root");
    let ours = Signer { service: "sts", ..Signer::ours() };
    assert_eq!(ask(&ours).one("Account"), "000000000000");

    let refused = |signer: Signer| {
        let answer = ask(&signer);
        assert_eq!(answer.one("Type"), "Sender");
        (answer.status, answer.one("Code"))
    };
    assert_eq!(refused(Signer { key: "NOBODYS", ..ours.clone() }), pair(403, "InvalidClientTokenId"));
    assert_eq!(refused(Signer { secret: "guessed", ..ours.clone() }), pair(403, "SignatureDoesNotMatch"));
    assert_eq!(refused(Signer { service: "ec2", ..ours }), pair(403, "SignatureDoesNotMatch"));
    let unsigned = api.get("Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!((unsigned.status, unsigned.one("Code")), pair(403, "MissingAuthenticationToken"));
}

/// Two accounts in one region have nothing of each other, not even a client's token; keys of one account share all.
#[test]
fn accounts_are_apart() {
    let api = endpoint();
    let (ours, theirs) = (Signer::ours(), Signer::of("THEIRS", "theirs"));
    let fine = |signer: &Signer, action: &str, form: &str| {
        let answer = signer.ask(&api, action, form);
        assert_eq!(answer.status, 200, "{action} {form} {answer:?}");
        answer
    };
    let vpc = fine(&ours, "CreateVpc", "CidrBlock=10.0.0.0/16").one("vpcId");
    let subnet = fine(&ours, "CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.1.0/24")).one("subnetId");
    let launch =
        format!("ImageId=ami-00000000000000001&MinCount=1&MaxCount=1&SubnetId={subnet}&ClientToken=one");
    let instance = fine(&ours, "RunInstances", &launch).one("instanceId");
    let address = fine(&ours, "AllocateAddress", "").one("allocationId");
    let group = fine(&ours, "DescribeSecurityGroups", "").one("groupId");

    for (action, id) in [
        ("DescribeVpcs", "vpcId"),
        ("DescribeSubnets", "subnetId"),
        ("DescribeInstances", "instanceId"),
        ("DescribeNetworkInterfaces", "networkInterfaceId"),
        ("DescribeRouteTables", "routeTableId"),
        ("DescribeSecurityGroups", "groupId"),
        ("DescribeSecurityGroupRules", "securityGroupRuleId"),
        ("DescribeAddresses", "allocationId"),
    ] {
        assert!(!fine(&ours, action, "").all(id).is_empty(), "{action}");
        assert!(fine(&theirs, action, "").all(id).is_empty(), "{action}");
    }
    let refused = |action: &str, form: String| theirs.ask(&api, action, &form).one("Code");
    assert_eq!(refused("DeleteVpc", format!("VpcId={vpc}")), "InvalidVpcID.NotFound");
    assert_eq!(
        refused("CreateSubnet", format!("VpcId={vpc}&CidrBlock=10.0.2.0/24")),
        "InvalidVpcID.NotFound"
    );
    assert_eq!(
        refused("TerminateInstances", format!("InstanceId.1={instance}")),
        "InvalidInstanceID.NotFound"
    );
    assert_eq!(refused("ReleaseAddress", format!("AllocationId={address}")), "InvalidAllocationID.NotFound");
    assert_eq!(
        refused("AuthorizeSecurityGroupIngress", format!("GroupId={group}&IpProtocol=-1&CidrIp=0.0.0.0/0")),
        "InvalidGroup.NotFound"
    );
    assert_eq!(refused("RunInstances", launch.clone()), "InvalidSubnetID.NotFound");

    let vpc = fine(&theirs, "CreateVpc", "CidrBlock=10.0.0.0/16");
    assert_eq!(vpc.one("ownerId"), "111122223333");
    assert_eq!(
        fine(&Signer::of("ALSO-OURS", "another"), "RunInstances", &launch).one("instanceId"),
        instance
    );
}

/// Where a signed request is changed.
#[derive(Debug, Clone)]
enum Change {
    Method(&'static str),
    Path(&'static str),
    /// A byte of the query becomes another.
    Query(Index, u8),
    /// A byte of a header's value becomes another.
    Header(Index, Index, u8),
    /// A header goes.
    NoHeader(Index),
    /// A header comes.
    MoreHeader(&'static str),
    /// A bit of the body is turned.
    Body(Index, u8),
    /// The body gets longer.
    MoreBody(Vec<u8>),
    /// The query gets longer.
    MoreQuery(&'static str),
}

impl Change {
    /// Whether the request is another one then.
    fn make(&self, request: &mut HttpRequest) -> bool {
        let before = request.clone();
        let replace = |text: &mut String, at: &Index, by: u8| {
            if !text.is_empty() {
                let mut bytes = std::mem::take(text).into_bytes();
                let at = at.index(bytes.len());
                bytes[at] = by;
                *text = String::from_utf8(bytes).unwrap();
            }
        };
        match self {
            Change::Method(method) => request.method = (*method).to_owned(),
            Change::Path(path) => request.path = (*path).to_owned(),
            Change::Query(at, by) => replace(&mut request.query, at, *by),
            Change::Header(which, at, by) => {
                let which = which.index(request.headers.len());
                replace(&mut request.headers[which].1, at, *by);
            }
            Change::NoHeader(which) => drop(request.headers.remove(which.index(request.headers.len()))),
            Change::MoreHeader(name) => request.headers.push(((*name).to_owned(), "more".to_owned())),
            Change::Body(at, bit) if !request.body.is_empty() => {
                let at = at.index(request.body.len());
                request.body[at] ^= 1 << bit;
            }
            Change::Body(..) => {}
            Change::MoreBody(more) => request.body.extend(more),
            Change::MoreQuery(more) => request.query += more,
        }
        // Two ways to write one query (`%2f` and `%2F`) are signed alike, for they mean the same.
        let pairs = |request: &HttpRequest| -> Vec<(String, String)> {
            form_urlencoded::parse(request.query.as_bytes()).into_owned().collect()
        };
        let queries = (pairs(&before), pairs(request));
        queries.0 != queries.1 || before != HttpRequest { query: before.query.clone(), ..request.clone() }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let printable = || b'!'..=b'~';
    let names = vec!["x-amz-more", "X-Amz-Date", "Host", "x-amz-security-token"];
    let more = vec!["&a=b", "&Version=2011-06-15", "&X-Amz-Signature=0", "&X-Amz-Expires=9"];
    prop_oneof![
        1 => prop::sample::select(vec!["GET", "POST", "PUT", "post", "POSt"]).prop_map(Change::Method),
        1 => prop::sample::select(vec!["", "//", "/.", "/ec2"]).prop_map(Change::Path),
        4 => (any::<Index>(), printable()).prop_map(|(at, by)| Change::Query(at, by)),
        4 => (any::<Index>(), any::<Index>(), printable())
            .prop_map(|(which, at, by)| Change::Header(which, at, by)),
        1 => any::<Index>().prop_map(Change::NoHeader),
        1 => prop::sample::select(names).prop_map(Change::MoreHeader),
        4 => (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Change::Body(at, bit)),
        1 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Change::MoreBody),
        1 => prop::sample::select(more).prop_map(Change::MoreQuery),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_change_goes_unseen(
        change in change(),
        presigned in any::<bool>(),
        in_query in any::<bool>(),
        value in "[ -~ü]{0,12}",
        region in prop::sample::select(vec!["eu-west-1", "us-east-1"]),
    ) {
        static API: std::sync::LazyLock<Endpoint> = std::sync::LazyLock::new(endpoint);
        let mut form = form_urlencoded::Serializer::new("Action=CreateVpc&Version=2016-11-15".to_owned());
        form.append_pair("CidrBlock", "10.0.0.0/16").append_pair("TagSpecification.1.ResourceType", "vpc");
        // Refused, if it comes so far, so that nothing piles up.
        form.append_pair("DryRun", "true");
        form.append_pair("TagSpecification.1.Tag.1.Key", "Name");
        // As every signer writes a space.
        let form = form.append_pair("TagSpecification.1.Tag.1.Value", &value).finish().replace('+', "%20");
        let validity = presigned.then_some(Duration::from_secs(60));
        let signer = Signer { validity, region, ..Signer::ours() };
        let mut request = signer.sign(if in_query { got(&form) } else { posted(&form) });
        prop_assert_eq!(API.send(request.clone()).one("Code"), "DryRunOperation");

        // A byte may become what it was, and a request without a body has none to change.
        let another = change.make(&mut request);
        let answer = API.send(request.clone());
        prop_assert_eq!(another, !matches!(answer.status, 200 | 412), "{:?} {:?} {:?}", change, request, answer);
    }

    #[test]
    fn no_other_secret_will_do(secret in "[A-Za-z0-9+/]{1,40}") {
        static API: std::sync::LazyLock<Endpoint> = std::sync::LazyLock::new(endpoint);
        prop_assume!(secret != SECRET);
        let signer = Signer { secret: String::leak(secret), ..Signer::ours() };
        prop_assert_eq!(signer.refused(&API), pair(403, "SignatureDoesNotMatch"));
    }
}
