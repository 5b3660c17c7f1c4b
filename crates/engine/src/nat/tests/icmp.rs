//! RFC 5508, and protocols beside TCP, UDP and ICMP; NAT64.

use wire::Rewrite;

use super::*;

#[test]
fn i1_queries_from_inside_pass_and_others_do_not() {
    for mut world in [World::aws(), World::rfc()] {
        let external = world.out(ECHO, A, "198.51.100.7:0").unwrap();
        assert_eq!(world.out(ECHO, A, "198.51.100.8:0").unwrap(), external, "I1a");
        assert_ne!(world.out(ECHO, B, "198.51.100.8:0").unwrap(), external);
        assert_eq!(world.back(ECHO, "198.51.100.7:0", external), Ok(end(A)));
        assert_eq!(world.back(ECHO, "198.51.100.9:0", external), Err(Refusal::Unsolicited));
        let FlowKey { src, dst, .. } =
            key(UDP, end("198.51.100.7:0"), SocketAddr::V4(external), Side::Outside);
        let proto = FlowProto::Echo { id: external.port(), request: true };
        let asked = world.table.inbound(&world.key, &FlowKey { src, dst, proto }, Facts::default());
        assert_eq!(asked, Err(Refusal::Unsolicited), "the gateway's own address answers no ping");
        check(&world.table);
    }
}

#[test]
fn i1_the_edit_is_on_the_side_of_the_identifier() {
    let mut world = World::aws();
    let ping = key(ECHO, end(A), end(REMOTE), Side::Inside);
    let found = world.table.outbound(&world.key, PortId(1), &ping, Facts::default()).unwrap();
    world.forward(found.standing, Side::Inside, ECHO);
    let FlowProto::Echo { id, request: true } = found.key.proto else { panic!("no request") };
    let expected = Rewrite { src: Some(EXTERNAL.into()), src_port: Some(id), ..Rewrite::default() };
    assert_eq!(found.rewrite, expected);
    let back = world.table.inbound(&world.key, &found.key.reversed(), Facts::default()).unwrap();
    let expected = Rewrite { dst: Some(end(A).ip()), dst_port: Some(5000), ..Rewrite::default() };
    assert_eq!((back.key, back.rewrite), (ping.reversed(), expected));
}

#[test]
fn i2_n12_a_query_lives_its_time_and_its_mapping_no_longer() {
    for (mut world, idle) in [(World::aws(), 350), (World::rfc(), 60)] {
        world.out(ECHO, A, REMOTE).unwrap();
        world.wait(idle - 1);
        assert_eq!(world.table.len(), 1);
        world.wait(1);
        assert!(world.table.is_empty());
        check(&world.table);
    }
}

#[test]
fn i4_an_error_from_outside_finds_who_is_meant() {
    for mut world in [World::aws(), World::rfc()] {
        for kind in [UDP, Kind::Tcp(SYN), ECHO] {
            let external = world.out(kind, A, REMOTE).unwrap();
            let sent = key(kind, SocketAddr::V4(external), end(REMOTE), Side::Inside);
            let quote = world.table.quoted_outbound(&world.key, &sent).unwrap();
            assert_eq!(quote.key, key(kind, end(A), end(REMOTE), Side::Inside));
            assert_eq!((quote.near, quote.rewrite.src), (end(A).ip(), Some(end(A).ip())));
            assert_eq!(quote.rewrite.dst, None);
            let mut other = sent;
            other.dst = end("198.51.100.99:1").ip();
            assert_eq!(world.table.quoted_outbound(&world.key, &other), None, "no session, no error");
        }
    }
}

#[test]
fn i5_an_error_from_inside_speaks_for_the_gateway() {
    let mut world = World::rfc();
    let external = world.out(UDP, A, REMOTE).unwrap();
    let received = key(UDP, end(REMOTE), end(A), Side::Outside);
    let quote = world.table.quoted_inbound(&world.key, &received).unwrap();
    assert_eq!(quote.key, key(UDP, end(REMOTE), SocketAddr::V4(external), Side::Outside));
    assert_eq!(quote.near, EXTERNAL, "I5c");
    let stranger = key(UDP, end(REMOTE), end(B), Side::Outside);
    assert_eq!(world.table.quoted_inbound(&world.key, &stranger), None);
}

#[test]
fn i6_u12_t10_errors_change_no_session() {
    let mut world = World::rfc();
    let external = world.out(UDP, A, REMOTE).unwrap();
    world.wait(299);
    let sent = key(UDP, SocketAddr::V4(external), end(REMOTE), Side::Inside);
    assert!(world.table.quoted_outbound(&world.key, &sent).is_some());
    assert_eq!(world.table.len(), 1, "not ended");
    world.wait(1);
    assert!(world.table.is_empty(), "not refreshed");
}

#[test]
fn i7_hairpinned_errors() {
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..Behaviour::rfc() };
    let mut world = World::new(gateway(open, &[EXTERNAL]));
    let b = world.out(UDP, B, REMOTE).unwrap();
    let a = world.out(UDP, A, &b.to_string()).unwrap();
    assert_eq!(world.back(UDP, &a.to_string(), b), Ok(end(B)));
    // B answers with an error about what it got: out of the gateway, and in again.
    let received = key(UDP, SocketAddr::V4(a), end(B), Side::Outside);
    let out = world.table.quoted_inbound(&world.key, &received).unwrap();
    assert_eq!(out.key, key(UDP, SocketAddr::V4(a), SocketAddr::V4(b), Side::Inside));
    let back = world.table.quoted_outbound(&world.key, &out.key).unwrap();
    assert_eq!(back.key, key(UDP, end(A), SocketAddr::V4(b), Side::Inside));
    assert_eq!(back.near, end(A).ip());
}

#[test]
fn only_tcp_udp_and_queries_are_translated() {
    for world in [World::aws(), World::rfc()] {
        for proto in [FlowProto::Other(47), FlowProto::Other(6), FlowProto::Icmp { kind: 13, code: 0 }] {
            let sent = FlowKey { proto, ..key(UDP, end(A), end(REMOTE), Side::Inside) };
            let out = world.table.outbound(&world.key, PortId(1), &sent, Facts::default());
            assert_eq!(why(out), (Refusal::Protocol, Answer::Silence));
            let received = FlowKey { dst: EXTERNAL.into(), ..sent };
            let back = world.table.inbound(&world.key, &received, Facts::default());
            assert_eq!(back, Err(Refusal::Protocol));
        }
        let reply = key(ECHO, end(REMOTE), end(A), Side::Outside).reversed().reversed();
        let reply = FlowKey { src: end(A).ip(), dst: end(REMOTE).ip(), ..reply };
        let out = world.table.outbound(&world.key, PortId(1), &reply, Facts::default());
        assert_eq!(why(out), (Refusal::NoSession, Answer::Silence), "a ping is not reset");
    }
}

#[test]
fn s1_s3_an_inside_of_the_other_family() {
    let host = "[2001:db8::5]:5000";
    for mut world in [World::aws(), World::rfc()] {
        for kind in [UDP, Kind::Tcp(SYN), ECHO] {
            let sent = key(kind, end(host), end("[64:ff9b::198.51.100.7]:80"), Side::Inside);
            let found = world.table.outbound(&world.key, PortId(1), &sent, facts(kind)).unwrap();
            assert_eq!((found.key.src, found.key.dst), (EXTERNAL.into(), end(REMOTE).ip()));
            assert_eq!((found.rewrite.src, found.rewrite.dst), (Some(found.key.src), Some(found.key.dst)));
            world.forward(found.standing, Side::Inside, kind);
            let back = world.table.inbound(&world.key, &found.key.reversed(), Facts::default()).unwrap();
            assert_eq!(back.key, sent.reversed());
            let quote = world.table.quoted_outbound(&world.key, &found.key).unwrap();
            assert_eq!((quote.key, quote.near), (sent, end(host).ip()));
            assert_eq!(world.table.quoted_inbound(&world.key, &sent.reversed()).unwrap().near, EXTERNAL);
        }
        let elsewhere = key(UDP, end(host), end("[64:ff9b:1::198.51.100.7]:80"), Side::Inside);
        let out = world.table.outbound(&world.key, PortId(1), &elsewhere, Facts::default());
        assert_eq!(why(out).0, Refusal::NotTranslatable);
        check(&world.table);
    }
}
