//! IPv6 addresses for names that have none (RFC 6147), behind the well-known prefix of NAT64 (VPC User Guide, "DNS64
//! and NAT64").

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{Name, RData, Record};

/// 64:ff9b::/96 (RFC 6052 section 2.1), as the labels of names below it.
const PREFIX: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// What a record is kept for at most if nobody said how long there is no IPv6 address, in seconds (RFC 6147 section
/// 5.1.7).
const TTL: u32 = 600;

/// The answer without the IPv6 addresses that are none (RFC 6147 section 5.1.4). None if nothing is left of them.
pub(super) fn usable(answers: &[Record]) -> Option<Vec<Record>> {
    let is_aaaa = |record: &&Record| matches!(record.data, RData::AAAA(_));
    let excluded = |record: &Record| match &record.data {
        RData::AAAA(AAAA(address)) => address.to_ipv4_mapped().is_some(),
        _ => false,
    };
    let left: Vec<Record> = answers.iter().filter(|record| !excluded(record)).cloned().collect();
    left.iter().any(|record| is_aaaa(&record)).then_some(left)
}

/// The answer with IPv6 addresses in place of IPv4 ones. None if there is none that could be reached so. `negative`
/// are the authorities of the answer that there is no IPv6 address.
pub(super) fn synthesized(answers: &[Record], negative: &[Record]) -> Option<Vec<Record>> {
    let soa = negative.iter().find(|record| matches!(record.data, RData::SOA(_)));
    let most = soa.map_or(TTL, |soa| soa.ttl);
    let mut found = false;
    let mut made = Vec::new();
    for record in answers {
        match &record.data {
            // Those are the asker's own link, or the asker.
            RData::A(address) if !address.is_loopback() && !address.is_link_local() => {
                found = true;
                let data = RData::AAAA(AAAA(embed(address.0)));
                made.push(Record::from_rdata(record.name.clone(), record.ttl.min(most), data));
            }
            RData::CNAME(_) => made.push(record.clone()),
            // Signatures are of what was there before.
            _ => {}
        }
    }
    found.then_some(made)
}

/// The name under which the owner of an address behind the prefix is known, if `name` asks for such an owner (RFC 6147
/// section 5.3.1).
pub(super) fn reverse(name: &Name) -> Option<Name> {
    let name = name.to_lowercase().to_ascii();
    let digits = name.strip_suffix(".ip6.arpa.")?;
    let mut address = 0_u128;
    let mut count = 0;
    for label in digits.rsplit('.') {
        let digit = u8::from_str_radix(label, 16).ok().filter(|_| label.len() == 1)?;
        address = address << 4 | u128::from(digit);
        count += 1;
    }
    let [a, b, c, d] = extract(Ipv6Addr::from(address)).filter(|_| count == 32)?.octets();
    Name::from_ascii(format!("{d}.{c}.{b}.{a}.in-addr.arpa.")).ok()
}

fn embed(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(PREFIX) | u128::from(u32::from(address)))
}

fn extract(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    let found = Ipv4Addr::new(a, b, c, d);
    (embed(found) == address).then_some(found)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, CNAME, SOA};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(address: &str, ttl: u32) -> Record {
        Record::from_rdata(name("b.example."), ttl, RData::A(A(address.parse().unwrap())))
    }

    fn aaaa(address: &str) -> Record {
        Record::from_rdata(name("b.example."), 60, RData::AAAA(AAAA(address.parse().unwrap())))
    }

    #[test]
    fn addresses_that_are_none_are_left_out() {
        let (good, mapped) = (aaaa("2001:db8::1"), aaaa("::ffff:192.0.2.1"));
        assert_eq!(usable(&[good.clone(), mapped.clone()]), Some(vec![good]));
        assert_eq!(usable(&[mapped]), None);
        assert_eq!(usable(&[a("192.0.2.1", 60)]), None);
    }

    #[test]
    fn a_chain_leads_to_the_made_addresses() {
        let alias = Record::from_rdata(name("a.example."), 60, RData::CNAME(CNAME(name("b.example."))));
        let made = synthesized(&[alias.clone(), a("192.0.2.33", 900), a("10.0.0.4", 20)], &[]).unwrap();
        assert_eq!(made[0], alias);
        assert_eq!((&made[1].data, made[1].ttl), (&aaaa("64:ff9b::192.0.2.33").data, 600));
        assert_eq!((&made[2].data, made[2].ttl), (&aaaa("64:ff9b::10.0.0.4").data, 20));
        let soa = SOA::new(name("example."), name("example."), 1, 1, 1, 1, 5);
        let soa = Record::from_rdata(name("example."), 30, RData::SOA(soa));
        assert_eq!(synthesized(&[a("192.0.2.33", 900)], &[soa]).unwrap()[0].ttl, 30);
        assert_eq!(synthesized(&[alias, a("127.0.0.1", 60), a("169.254.169.254", 60)], &[]), None);
    }

    #[test]
    fn whose_address_it_is() {
        let asked = "1.2.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa.";
        assert_eq!(reverse(&name(asked)), Some(name("33.2.0.192.in-addr.arpa.")));
        assert_eq!(reverse(&name(&asked.to_uppercase())), Some(name("33.2.0.192.in-addr.arpa.")));
        for other in ["b.9.f.f.4.6.0.0.ip6.arpa.", "33.2.0.192.in-addr.arpa.", "x.ip6.arpa.", "ip6.arpa."] {
            assert_eq!(reverse(&name(other)), None, "{other}");
        }
        assert_eq!(reverse(&name(&asked.replace("b.9", "c.9"))), None);
    }
}
