//! The resolver over real sockets on the loopback network. Each instance asks from a source address of its own in
//! 127.0.0.0/8, as the engine would give it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

mod vpcs;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;

use vpcs::{DNS64, Elsewhere, NAMELESS, NAMES, PEER, SAME_CIDR, Vpcs};

const WEB: &str = "ip-10-0-1-10.eu-west-1.compute.internal.";
const PUBLIC: &str = "ec2-203-0-113-10.eu-west-1.compute.amazonaws.com.";

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// The data of all answers as text.
fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

fn codes(message: &Message) -> (ResponseCode, bool, usize) {
    (message.response_code, message.authoritative, message.answers.len())
}

#[test]
fn private_names() {
    let vpcs = Vpcs::serve(None);
    for (who, name, address) in [
        (NAMES, WEB, "10.0.1.10"),
        (NAMES, "IP-10-0-1-20.EU-west-1.compute.internal.", "10.0.1.20"),
        (SAME_CIDR, "ip-10-0-1-10.eu-west-1.compute.internal.", "10.0.1.10"),
        (NAMES, "instance-data.eu-west-1.compute.internal.", "169.254.169.254"),
        (NAMES, "instance-data.ec2.internal.", "169.254.169.254"),
    ] {
        let asked = question(name, RecordType::A);
        let answer = vpcs.ask(who, &asked);
        assert_eq!(data(&answer), [address], "{name}");
        assert_eq!((answer.id, answer.authoritative, answer.recursion_available), (asked.id, true, true));
        assert_eq!(answer.answers[0].ttl, 60);
        assert!(answer.queries[0].name.eq_case(&asked.queries[0].name), "the question as it was put");
        assert!(answer.edns.is_none());
    }
}

#[test]
fn what_is_not_there() {
    let vpcs = Vpcs::serve(None);
    let absent = (ResponseCode::NXDomain, true, 0);
    let no_data = (ResponseCode::NoError, true, 0);
    for (who, name, kind, expected) in [
        (NAMES, "ip-10-0-1-11.eu-west-1.compute.internal.", RecordType::A, absent),
        // Another VPC's, with the same CIDR block.
        (NAMES, "ip-10-0-1-30.eu-west-1.compute.internal.", RecordType::A, absent),
        (NAMES, "ip-010-0-1-10.eu-west-1.compute.internal.", RecordType::A, absent),
        (NAMES, "x.ip-10-0-1-10.eu-west-1.compute.internal.", RecordType::A, absent),
        (NAMES, "ip-10-0-1-10.us-west-1.compute.internal.", RecordType::A, absent),
        (NAMES, "ip-10-0-1-10.ec2.internal.", RecordType::A, absent),
        (NAMES, WEB, RecordType::AAAA, no_data),
        (NAMES, "eu-west-1.compute.internal.", RecordType::A, no_data),
        (NAMES, "11.1.0.10.in-addr.arpa.", RecordType::PTR, absent),
        (NAMES, "1.0.10.in-addr.arpa.", RecordType::PTR, no_data),
        (NAMES, "x.0.10.in-addr.arpa.", RecordType::PTR, absent),
        (NAMES, "1.10.1.0.10.in-addr.arpa.", RecordType::PTR, absent),
        (NAMES, "1.1.168.192.in-addr.arpa.", RecordType::PTR, absent),
        (NAMELESS, "ip-10-2-1-10.eu-west-1.compute.internal.", RecordType::A, absent),
        (NAMELESS, "10.1.2.10.in-addr.arpa.", RecordType::PTR, absent),
    ] {
        let answer = vpcs.ask(who, &question(name, kind));
        assert_eq!(codes(&answer), expected, "{name}");
        let [soa] = &answer.authorities[..] else { panic!("{name}: {answer}") };
        assert!(matches!(soa.data, RData::SOA(_)) && soa.ttl == 60, "{soa}");
        assert!(soa.name.zone_of(&answer.queries[0].name), "{soa} {name}");
    }
    let soa = vpcs.ask(NAMES, &question("eu-west-1.compute.internal.", RecordType::SOA));
    assert_eq!(codes(&soa), (ResponseCode::NoError, true, 1));
}

#[test]
fn reverse_names() {
    let vpcs = Vpcs::serve(None);
    for (who, name, expected) in [
        (NAMES, "10.1.0.10.in-addr.arpa.", WEB),
        (NAMES, "254.169.254.169.in-addr.arpa.", "instance-data.eu-west-1.compute.internal."),
        (NAMES, "10.113.0.203.in-addr.arpa.", PUBLIC),
        (PEER, "5.1.64.100.in-addr.arpa.", "ip-100-64-1-5.eu-west-1.compute.internal."),
    ] {
        assert_eq!(data(&vpcs.ask(who, &question(name, RecordType::PTR))), [expected]);
    }
}

#[test]
fn public_names_are_private_addresses_inside() {
    let vpcs = Vpcs::serve(None);
    for (who, address) in [(NAMES, "10.0.1.10"), (SAME_CIDR, "203.0.113.10"), (NAMELESS, "203.0.113.10")] {
        assert_eq!(data(&vpcs.ask(who, &question(PUBLIC, RecordType::A))), [address]);
    }
    // It has an address, but its VPC gives no names.
    let nameless = question("ec2-203-0-113-20.eu-west-1.compute.amazonaws.com.", RecordType::A);
    assert_eq!(codes(&vpcs.ask(NAMES, &nameless)), (ResponseCode::ServFail, false, 0));
}

#[test]
fn odd_questions() {
    let vpcs = Vpcs::serve(None);
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = question(WEB, RecordType::A);
        change(&mut message);
        vpcs.ask(NAMES, &message).response_code
    };
    assert_eq!(with(&|_| {}), ResponseCode::NoError);
    assert_eq!(with(&|message| message.metadata.op_code = OpCode::Notify), ResponseCode::NotImp);
    assert_eq!(with(&|message| message.queries.clear()), ResponseCode::FormErr);
    assert_eq!(with(&|message| message.queries.extend_from_within(..)), ResponseCode::FormErr);
    assert_eq!(with(&|message| message.queries[0].query_class = DNSClass::CH), ResponseCode::Refused);
    assert_eq!(with(&|message| message.queries[0].query_type = RecordType::AXFR), ResponseCode::Refused);
    let outside = |message: &mut Message| {
        message.queries[0].name = Name::from_ascii("www.example.").unwrap();
        message.metadata.recursion_desired = false;
    };
    assert_eq!(with(&outside), ResponseCode::Refused);
    let version = |message: &mut Message| {
        message.edns = Some(Edns::new());
        message.edns.as_mut().unwrap().set_version(1);
    };
    // BADSIG of TSIG has the same number.
    assert_eq!(u16::from(with(&version)), u16::from(ResponseCode::BADVERS));
    // Cut short: the header is left to answer.
    let bytes = question(WEB, RecordType::A).to_vec().unwrap();
    let answer = vpcs.exchange(NAMES, &bytes[..bytes.len() - 1]).unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(
        (answer.id, answer.response_code),
        (u16::from_be_bytes([bytes[0], bytes[1]]), ResponseCode::FormErr)
    );
    // An answer is not answered, nor is a stranger.
    let mut answer = bytes.clone();
    answer[2] |= 0x80;
    assert_eq!(vpcs.exchange(NAMES, &answer), None);
    assert_eq!(vpcs.exchange(Ipv4Addr::new(127, 1, 0, 99), &bytes), None);
}

#[test]
fn edns_is_answered_with_edns() {
    let vpcs = Vpcs::serve(None);
    let mut asked = question(WEB, RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(1400).set_dnssec_ok(true);
    asked.set_edns(edns);
    let answer = vpcs.ask(NAMES, &asked);
    let edns = answer.edns.as_ref().unwrap();
    assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (1400, 0, true));
    assert_eq!(data(&answer), ["10.0.1.10"]);
}

#[test]
fn tcp_takes_one_question_after_the_other() {
    let vpcs = Vpcs::serve(None);
    let mut stream = vpcs.connect(NAMES);
    for (name, address) in [(WEB, "10.0.1.10"), (PUBLIC, "10.0.1.10")] {
        assert_eq!(data(&over(&mut stream, &question(name, RecordType::A))), [address]);
    }
}

/// One exchange over TCP.
fn over(stream: &mut TcpStream, asked: &Message) -> Message {
    let bytes = asked.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &bytes].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    Message::from_vec(&answer).unwrap()
}

#[test]
fn others_are_asked_for_the_rest() {
    let elsewhere = Elsewhere::serve();
    let vpcs = Vpcs::serve(Some(&elsewhere));
    let asked = question("Www.Example.", RecordType::A);
    let answer = vpcs.ask(NAMES, &asked);
    assert_eq!((data(&answer), answer.id), (vec!["198.51.100.80".to_owned()], asked.id));
    assert!(answer.queries[0].name.eq_case(&asked.queries[0].name), "the drawn letters are ours alone");
    assert!(!answer.authoritative && answer.recursion_available && !answer.authentic_data);
    assert_eq!(
        vpcs.ask(NAMES, &question("no.example.", RecordType::A)).response_code,
        ResponseCode::NXDomain
    );
    // In letters of its own choice: the second try takes it.
    assert_eq!(data(&vpcs.ask(NAMES, &question("loud.example.", RecordType::A))), ["198.51.100.80"]);
    // Ids and letters are drawn anew for each question.
    let seen = elsewhere.seen();
    assert!(seen.iter().any(|asked| asked.id != seen[0].id), "{seen:?}");
}

#[test]
fn what_does_not_fit_comes_over_tcp() {
    let elsewhere = Elsewhere::serve();
    let vpcs = Vpcs::serve(Some(&elsewhere));
    let asked = question("many.example.", RecordType::A);
    let answer = vpcs.ask(NAMES, &asked);
    assert!(answer.truncation && answer.answers.is_empty(), "{answer}");
    let answer = over(&mut vpcs.connect(NAMES), &asked);
    assert!(!answer.truncation);
    assert_eq!(answer.answers.len(), 100);
    // Over UDP too, for those who say that they can take it.
    let mut asked = asked;
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    asked.set_edns(edns);
    assert_eq!(vpcs.ask(NAMES, &asked).answers.len(), 100);
}

#[test]
fn silence_upstream_is_a_failure() {
    let elsewhere = Elsewhere::serve();
    let vpcs = Vpcs::serve(Some(&elsewhere));
    let answer = vpcs.ask(NAMES, &question("silence.example.", RecordType::A));
    assert_eq!(codes(&answer), (ResponseCode::ServFail, false, 0));
    // Neither another id nor another question is taken for the answer.
    let answer = vpcs.ask(NAMES, &question("forged.example.", RecordType::A));
    assert_eq!(codes(&answer), (ResponseCode::ServFail, false, 0));
}

#[test]
fn dns64() {
    let elsewhere = Elsewhere::serve();
    let vpcs = Vpcs::serve(Some(&elsewhere));
    let made = |address: &str| address.parse::<Ipv6Addr>().unwrap().to_string();
    for (name, expected) in [
        ("www.example.", vec![made("64:ff9b::198.51.100.80")]),
        ("six.example.", vec![made("2001:db8::80")]),
        ("mapped.example.", vec![made("64:ff9b::198.51.100.80")]),
        ("mixed.example.", vec![made("2001:db8::80")]),
        ("alias.example.", vec!["www.example.".to_owned(), made("64:ff9b::198.51.100.80")]),
        ("ip-10-0-1-10.eu-west-1.compute.internal.", vec![made("64:ff9b::10.0.1.10")]),
        (PUBLIC, vec![made("64:ff9b::10.0.1.10")]),
        // Whoever cannot be reached by NAT64 has no address there.
        ("instance-data.ec2.internal.", vec![]),
        ("no.example.", vec![]),
    ] {
        let answer = vpcs.ask(DNS64, &question(name, RecordType::AAAA));
        assert_eq!(data(&answer), expected, "{name}: {answer}");
    }
    // Only there, and only for addresses.
    assert!(vpcs.ask(NAMES, &question("www.example.", RecordType::AAAA)).answers.is_empty());
    assert_eq!(data(&vpcs.ask(DNS64, &question("www.example.", RecordType::A))), ["198.51.100.80"]);
    assert_eq!(
        vpcs.ask(DNS64, &question("no.example.", RecordType::AAAA)).response_code,
        ResponseCode::NXDomain
    );
    // Who validates does it with what is signed.
    let mut validating = question("www.example.", RecordType::AAAA);
    validating.metadata.checking_disabled = true;
    validating.set_edns(Edns::new());
    validating.edns.as_mut().unwrap().set_dnssec_ok(true);
    assert!(vpcs.ask(DNS64, &validating).answers.is_empty());

    let owner = "a.0.1.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa.";
    let answer = vpcs.ask(DNS64, &question(owner, RecordType::PTR));
    assert_eq!(data(&answer), ["10.1.0.10.in-addr.arpa.", WEB]);
    let nobody = owner.replacen('a', "b", 1);
    assert_eq!(codes(&vpcs.ask(DNS64, &question(&nobody, RecordType::PTR))).0, ResponseCode::NXDomain);
}

#[test]
fn one_question_too_many_is_declined_while_the_others_wait() {
    let elsewhere = Elsewhere::serve();
    let vpcs = Vpcs::serve(Some(&elsewhere));
    let asker = vpcs.socket(NAMES);
    let mut silence = question("silence.example.", RecordType::A);
    for id in 0..=128 {
        silence.metadata.id = id;
        asker.send(&silence.to_vec().unwrap()).unwrap();
    }
    let mut buffer = [0; 512];
    let length = asker.recv(&mut buffer).unwrap();
    let first = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!((first.id, first.response_code), (128, ResponseCode::ServFail));
    let other = vpcs.ask(SAME_CIDR, &question(WEB, RecordType::A));
    assert_eq!(data(&other), ["10.0.1.10"], "those of others are answered");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The server survives whatever it is sent, and says nothing that is no answer.
    #[test]
    fn any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        place in any::<proptest::sample::Index>(),
        value: u8,
    ) {
        let vpcs = Vpcs::shared();
        let mut bent = question(WEB, RecordType::A).to_vec().unwrap();
        let place = place.index(bent.len());
        bent[place] = value;
        let socket = vpcs.socket(NAMES);
        for bytes in [bytes, bent] {
            socket.send(&bytes).unwrap();
        }
        // What is sent last is answered last, unless it was forwarded: nothing is.
        let last = question(WEB, RecordType::TXT).to_vec().unwrap();
        socket.send(&last).unwrap();
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            prop_assert!(length >= 12 && buffer[2] & 0x80 != 0);
            if buffer[..2] == last[..2] {
                break;
            }
        }
    }
}
