//! The names that Amazon gives (VPC User Guide, "DNS hostnames for EC2 instances"), and what they stand for to one asker.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use model::{Region, Vpc};

use super::message::Answer;

/// Seconds that names are kept for, and that there are none.
pub(super) const TTL: u32 = 60;
/// Where instance metadata are, as "instance-data".
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const INSTANCE_DATA: &str = "instance-data";
/// What no public server knows anything about.
const INTERNAL: [&str; 2] = ["ec2.internal", "compute.internal"];
const REVERSE: &str = "in-addr.arpa";

/// What there is to know for somebody in one VPC.
pub(super) struct Names<'a> {
    pub(super) region: &'a Region,
    pub(super) vpc: &'a Vpc,
    /// All that may have public names.
    pub(super) regions: &'a [Arc<Region>],
}

/// What stands behind a name of ours.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Address(Ipv4Addr),
    Name(String),
    /// Other names are below.
    Empty,
}

/// A name's zone, and what stands behind it, if anything.
type Found = (String, Option<Entry>);

impl Names<'_> {
    /// The answer, if the name is one that nobody else knows better.
    pub(super) fn answer(&self, question: &Query) -> Option<Answer> {
        let name = question.name().to_lowercase().to_ascii();
        let name = name.trim_end_matches('.');
        let (zone, entry) =
            self.internal(name).or_else(|| self.public(name)).or_else(|| self.reverse(name))?;
        let zone = Name::from_ascii(format!("{zone}.")).ok()?;
        let data = match (&entry, question.query_type()) {
            (Some(Entry::Address(address)), RecordType::A | RecordType::ANY) => Some(RData::A(A(*address))),
            (Some(Entry::Name(name)), RecordType::PTR | RecordType::ANY) => {
                Some(RData::PTR(PTR(Name::from_ascii(format!("{name}.")).ok()?)))
            }
            (Some(Entry::Empty), RecordType::SOA) if *question.name() == zone => Some(authority(&zone)?),
            _ => None,
        };
        let code = if entry.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let mut answer = Answer { code, authoritative: true, ..Answer::default() };
        match data {
            Some(data) => answer.answers.push(Record::from_rdata(question.name().clone(), TTL, data)),
            // RFC 2308 section 2: what is not there is not there for as long as the SOA says.
            None => answer.authorities.push(Record::from_rdata(zone.clone(), TTL, authority(&zone)?)),
        }
        Some(answer)
    }

    fn internal(&self, name: &str) -> Option<Found> {
        let domain = self.region.key().region.domain();
        let own = below(name, &domain).map(|host| (domain.clone(), host));
        let others = || INTERNAL.iter().find_map(|zone| Some(((*zone).to_owned(), below(name, zone)?)));
        let (zone, host) = own.or_else(others)?;
        let entry = match host {
            "" => Some(Entry::Empty),
            // Its "autodefined rules" are there only where names are.
            _ if !self.vpc.has_dns_names() => None,
            INSTANCE_DATA if zone == domain || zone == INTERNAL[0] => Some(Entry::Address(METADATA)),
            _ if zone == domain => {
                let address = host.strip_prefix("ip-").and_then(dashed);
                address.filter(|address| self.has(*address)).map(Entry::Address)
            }
            _ => None,
        };
        Some((zone, entry))
    }

    /// A public name is the private address to whoever is in the same VPC, and the public one to everybody else.
    fn public(&self, name: &str) -> Option<Found> {
        self.regions.iter().find_map(|region| {
            let zone = region.key().region.public_domain();
            let public_ip = dashed(below(name, &zone)?.strip_prefix("ec2-")?)?;
            let (interface, private_ip) = region.behind_public_address(public_ip)?;
            region.public_dns_name(interface, public_ip)?;
            let inside = region.key() == self.region.key()
                && region.interfaces().get(&interface).is_some_and(|owner| owner.vpc == self.vpc.id);
            Some((zone, Some(Entry::Address(if inside { private_ip } else { public_ip }))))
        })
    }

    fn reverse(&self, name: &str) -> Option<Found> {
        let below = below(name, REVERSE)?;
        let labels: Vec<&str> = below.rsplit('.').filter(|label| !label.is_empty()).collect();
        let octets: Vec<u8> = labels.iter().map_while(|label| octet(label)).collect();
        let address = <[u8; 4]>::try_from(&octets[..]).ok().filter(|_| labels.len() == 4).map(Ipv4Addr::from);
        if let Some(zone) = private_zone(&octets) {
            let entry = match address {
                Some(address) => self.private_name(address).map(Entry::Name),
                None => (labels.len() < 4 && octets.len() == labels.len()).then_some(Entry::Empty),
            };
            return Some((zone, entry));
        }
        let address = address?;
        if self.vpc.cidrs().any(|cidr| cidr.contains(&address)) {
            let [a, b, ..] = address.octets();
            return Some((format!("{b}.{a}.{REVERSE}"), self.private_name(address).map(Entry::Name)));
        }
        self.regions.iter().find_map(|region| {
            let (interface, _) = region.behind_public_address(address)?;
            Some((name.to_owned(), Some(Entry::Name(region.public_dns_name(interface, address)?))))
        })
    }

    fn private_name(&self, address: Ipv4Addr) -> Option<String> {
        if !self.vpc.has_dns_names() {
            return None;
        }
        if address == METADATA {
            return Some(format!("{INSTANCE_DATA}.{}", self.region.key().region.domain()));
        }
        self.has(address).then(|| self.region.private_dns_name(address))
    }

    /// Whether an interface of the VPC has the address.
    fn has(&self, address: Ipv4Addr) -> bool {
        let mut interfaces = self.region.interfaces().values();
        interfaces
            .any(|interface| interface.vpc == self.vpc.id && interface.addresses().any(|own| own == address))
    }
}

/// What stands before `zone` in the name of something in it; empty for the zone itself.
fn below<'n>(name: &'n str, zone: &str) -> Option<&'n str> {
    match name.strip_suffix(zone)? {
        "" => Some(""),
        host => host.strip_suffix('.'),
    }
}

fn dashed(text: &str) -> Option<Ipv4Addr> {
    if text.contains('.') { None } else { text.replace('-', ".").parse().ok() }
}

/// A number as names have it: without zeros before it.
fn octet(label: &str) -> Option<u8> {
    label.parse::<u8>().ok().filter(|octet| octet.to_string() == label)
}

/// The zone of private addresses that begin so: the public has none of it (RFC 6303 section 4.1).
fn private_zone(octets: &[u8]) -> Option<String> {
    match octets {
        [10, ..] => Some(format!("10.{REVERSE}")),
        [172, b @ 16..=31, ..] => Some(format!("{b}.172.{REVERSE}")),
        [192, 168, ..] => Some(format!("168.192.{REVERSE}")),
        [169, 254, ..] => Some(format!("254.169.{REVERSE}")),
        _ => None,
    }
}

/// A zone's SOA; RFC 6303 section 3 has one for zones that are made up.
fn authority(zone: &Name) -> Option<RData> {
    let nobody = Name::from_ascii("nobody.invalid.").ok()?;
    let ttl = i32::try_from(TTL).ok()?;
    Some(RData::SOA(SOA::new(zone.clone(), nobody, 1, ttl, ttl, ttl, TTL)))
}
