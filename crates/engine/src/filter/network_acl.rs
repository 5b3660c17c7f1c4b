//! Network ACLs: numbered rules at a subnet's border, stateless, the first that matches decides (VPC user guide,
//! "Control subnet traffic with network access control lists").

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{AclEntry, NetworkAcl, NetworkAclId, SubnetId};
use wire::{FlowKey, FlowProto};

use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// One ACL, in the order in which its rules are asked.
#[derive(Debug)]
pub(crate) struct Acl {
    id: NetworkAclId,
    ingress: Vec<(u16, AclEntry)>,
    egress: Vec<(u16, AclEntry)>,
}

impl Acl {
    pub(crate) fn compile(acl: &NetworkAcl) -> Acl {
        let ordered = |entries: &BTreeMap<u16, AclEntry>| {
            entries.iter().map(|(&number, entry)| (number, *entry)).collect()
        };
        Acl { id: acl.id, ingress: ordered(&acl.ingress), egress: ordered(&acl.egress) }
    }

    /// Asks about a packet that crosses the border of `subnet`, as it looks there.
    pub(crate) fn check(
        &self,
        subnet: SubnetId,
        direction: Direction,
        key: &FlowKey,
        trace: &mut impl Trace,
    ) -> Result<(), DropReason> {
        let (entries, peer, refusal) = match direction {
            Direction::Ingress => (&self.ingress, key.src, DropReason::NetworkAclIngress),
            Direction::Egress => (&self.egress, key.dst, DropReason::NetworkAclEgress),
        };
        let decides = entries.iter().find(|(_, entry)| covers(entry, peer, &key.proto));
        let allowed = decides.is_some_and(|(_, entry)| entry.allow);
        trace.note(|| Step::NetworkAcl {
            acl: self.id,
            subnet,
            direction,
            rule: decides.map(|&(number, _)| number),
            allowed,
        });
        if allowed { Ok(()) } else { Err(refusal) }
    }
}

/// Whether a rule is about packets of this kind with this peer.
fn covers(entry: &AclEntry, peer: IpAddr, proto: &FlowProto) -> bool {
    let (protocol, detail) = super::protocol_and_detail(peer, proto);
    entry.cidr.contains(&peer) && entry.covers(protocol, detail)
}
