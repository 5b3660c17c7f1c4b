//! The rules of network ACLs.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::NetworkAclId;
use crate::network_acl::NetworkAcl;
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::rule::{Direction, Protocol};

/// What one rule of a network ACL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// Of which protocol.
    pub protocol: Protocol,
    /// Whom packets come from, if they go to the subnet; whom they go to, if they come from it. Host bits are cleared.
    pub cidr: IpNet,
    /// The first and last destination port, for TCP and UDP, which must have them. Others have none: what is given is
    /// ignored, as EC2 does.
    pub ports: Option<(u16, u16)>,
    /// The type and code, -1 for any, for ICMP and ICMPv6, which must have them. Others have none: what is given is
    /// ignored.
    pub icmp: Option<(i16, i16)>,
    /// Whether packets are let through or dropped.
    pub allow: bool,
}

/// "Any" where EC2 takes a number.
const ANY: i16 = -1;
/// The rules that EC2 shows as `*` have the next numbers.
const HIGHEST: u16 = 32_766;

impl AclEntry {
    /// Lets all packets of some addresses through.
    fn allow(cidr: IpNet) -> AclEntry {
        AclEntry { protocol: Protocol::All, cidr, ports: None, icmp: None, allow: true }
    }

    /// Lets all packets of a family through.
    pub(crate) fn allow_all(family: AddressFamily) -> AclEntry {
        AclEntry::allow(match family {
            AddressFamily::Ipv4 => IpNet::V4(Ipv4Net::default()),
            AddressFamily::Ipv6 => IpNet::V6(Ipv6Net::default()),
        })
    }

    /// Drops all packets of a family: the last rule of each network ACL, which is none of its own.
    pub fn deny_all(family: AddressFamily) -> AclEntry {
        AclEntry { allow: false, ..AclEntry::allow_all(family) }
    }

    /// Whether the rule is about packets of this protocol with these ports: the destination port twice, or ICMP type
    /// and code. None if a packet has none, or they cannot be known: then only a rule about all of them covers it.
    /// Addresses are not looked at.
    pub fn covers(&self, protocol: u8, ports: Option<(u16, u16)>) -> bool {
        if self.protocol.number().is_some_and(|number| number != protocol) {
            return false;
        }
        if let Some((kind, code)) = self.icmp {
            let is = |asked: i16, own: u16| asked == ANY || i32::from(asked) == i32::from(own);
            return match ports {
                Some((own_kind, own_code)) => is(kind, own_kind) && is(code, own_code),
                None => kind == ANY,
            };
        }
        match (self.ports, ports) {
            (None, _) => true,
            (Some((from, to)), Some((first, second))) => from <= first && second <= to,
            (Some(all), None) => all == (0, u16::MAX),
        }
    }

    /// The same in the one form that EC2 keeps it in, or why there is none.
    fn canonical(self) -> Result<AclEntry, InvalidValue> {
        let entry = AclEntry { cidr: self.cidr.trunc(), ports: None, icmp: None, ..self };
        match self.protocol {
            Protocol::Tcp | Protocol::Udp => {
                let (from, to) = self.ports.ok_or(InvalidValue::PortsMissing)?;
                if from > to {
                    return Err(InvalidValue::PortRange(from.into(), to.into()));
                }
                Ok(AclEntry { ports: Some((from, to)), ..entry })
            }
            Protocol::Icmp | Protocol::Icmpv6 => {
                let (kind, code) = self.icmp.ok_or(InvalidValue::IcmpMissing)?;
                let in_range = |number: i16| (ANY..=255).contains(&number);
                if !in_range(kind) {
                    return Err(InvalidValue::IcmpType(kind.into()));
                }
                if !in_range(code) || (kind == ANY && code != ANY) {
                    return Err(InvalidValue::IcmpCode(code.into()));
                }
                Ok(AclEntry { icmp: Some((kind, code)), ..entry })
            }
            Protocol::All | Protocol::Number(_) => Ok(entry),
        }
    }
}

impl Region {
    pub(crate) fn create_network_acl_entry(
        &mut self,
        id: NetworkAclId,
        direction: Direction,
        number: u16,
        entry: AclEntry,
    ) -> Result<(), Fault> {
        let entries = self.network_acl(id)?.entries(direction);
        if !(1..=HIGHEST).contains(&number) {
            return Err(InvalidValue::AclRuleNumber(number).into());
        }
        if entries.contains_key(&number) {
            return Err(Fault::NetworkAclEntryAlreadyExists(number));
        }
        let entry = entry.canonical()?;
        self.quotas.allow(Quota::RulesPerNetworkAcl, entries.len() + 1)?;

        self.put_entry(id, direction, number, entry);
        Ok(())
    }

    pub(crate) fn replace_network_acl_entry(
        &mut self,
        id: NetworkAclId,
        direction: Direction,
        number: u16,
        entry: AclEntry,
    ) -> Result<(), Fault> {
        has(self.network_acl(id)?, direction, number)?;
        let entry = entry.canonical()?;

        self.put_entry(id, direction, number, entry);
        Ok(())
    }

    pub(crate) fn delete_network_acl_entry(
        &mut self,
        id: NetworkAclId,
        direction: Direction,
        number: u16,
    ) -> Result<(), Fault> {
        has(self.network_acl(id)?, direction, number)?;

        if let Some(acl) = self.network_acls.get_mut(&id) {
            acl.entries_mut(direction).remove(&number);
        }
        Ok(())
    }

    fn put_entry(&mut self, id: NetworkAclId, direction: Direction, number: u16, entry: AclEntry) {
        if let Some(acl) = self.network_acls.get_mut(&id) {
            acl.entries_mut(direction).insert(number, entry);
        }
    }
}

fn has(acl: &NetworkAcl, direction: Direction, number: u16) -> Result<(), Fault> {
    let there = acl.entries(direction).contains_key(&number);
    there.then_some(()).ok_or(Fault::NetworkAclEntryNotFound(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::fixture::Network;

    fn entry(protocol: u8, ports: Option<(u16, u16)>, icmp: Option<(i16, i16)>) -> AclEntry {
        let cidr = "192.0.2.9/24".parse().unwrap();
        AclEntry { protocol: protocol.into(), cidr, ports, icmp, allow: false }
    }

    fn create(network: &Network, number: u16, entry: AclEntry) -> Change {
        let acl = network.region.vpcs()[&network.vpc].default_network_acl;
        Change::CreateNetworkAclEntry { acl, direction: Direction::Ingress, number, entry }
    }

    #[test]
    fn entries_come_change_and_go() {
        let mut network = Network::new();
        let acl = network.region.vpcs()[&network.vpc].default_network_acl;
        let ssh = entry(6, Some((22, 22)), Some((8, 0)));
        network.apply(create(&network, 90, ssh));
        let own = |network: &Network| network.region.network_acls()[&acl].ingress.get(&90).copied();
        let kept = AclEntry { cidr: "192.0.2.0/24".parse().unwrap(), icmp: None, ..ssh };
        assert_eq!(own(&network), Some(kept));
        assert_eq!(network.refused(create(&network, 90, ssh)).code(), "NetworkAclEntryAlreadyExists");

        let direction = Direction::Ingress;
        let ping = entry(1, None, Some((8, -1)));
        let replace = |number| Change::ReplaceNetworkAclEntry { acl, direction, number, entry: ping };
        network.apply(replace(90));
        assert_eq!(own(&network).unwrap().icmp, Some((8, -1)));
        assert_eq!(network.refused(replace(91)).code(), "InvalidNetworkAclEntry.NotFound");
        let delete = Change::DeleteNetworkAclEntry { acl, direction, number: 90 };
        network.apply(delete.clone());
        assert_eq!(network.refused(delete), Fault::NetworkAclEntryNotFound(90));
        assert!(
            network.region.network_acls()[&acl].egress.contains_key(&100),
            "the other way is another rule"
        );
    }

    #[test]
    fn entries_that_mean_nothing_are_refused() {
        let mut network = Network::new();
        for (number, entry) in [
            (0, entry(17, Some((1, 2)), None)),
            (32_767, entry(17, Some((1, 2)), None)),
            (1, entry(17, None, None)),
            (1, entry(6, Some((2, 1)), None)),
            (1, entry(1, Some((1, 2)), None)),
            (1, entry(58, None, None)),
            (1, entry(1, None, Some((256, 0)))),
            (1, entry(1, None, Some((-1, 0)))),
        ] {
            let fault = network.refused(create(&network, number, entry));
            assert_eq!(fault.code(), "InvalidParameterValue", "{entry:?}");
        }
    }

    #[test]
    fn twenty_each_way() {
        let mut network = Network::new();
        for number in 1..20 {
            network.apply(create(&network, number, entry(50, None, None)));
        }
        let fault = network.refused(create(&network, 20, entry(50, None, None)));
        assert_eq!(fault.code(), "NetworkAclEntryLimitExceeded");
    }

    #[test]
    fn what_an_entry_is_about() {
        let web = entry(6, Some((80, 443)), None);
        for (protocol, ports, about) in [
            (6, Some((80, 80)), true),
            (6, Some((444, 444)), false),
            (17, Some((80, 80)), false),
            (6, None, false),
        ] {
            assert_eq!(web.covers(protocol, ports), about);
        }
        assert!(entry(17, Some((0, 65_535)), None).covers(17, None));
        let any_code = entry(1, None, Some((3, -1)));
        assert!(any_code.covers(1, Some((3, 4))) && !any_code.covers(1, Some((8, 0))));
        assert!(!any_code.covers(1, None) && entry(1, None, Some((-1, -1))).covers(1, None));
        assert!(AclEntry::allow(web.cidr).covers(47, None));
    }
}
