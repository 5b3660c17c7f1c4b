//! May it pass?

use std::net::IpAddr;

use wire::FlowProto;

pub(crate) mod network_acl;
pub(crate) mod security_group;
pub(crate) mod source_check;

/// What rules are asked about a packet of this kind with this peer: the IP protocol number (IANA, "Protocol Numbers"),
/// and the destination port twice, or ICMP type and code, if it has them.
fn protocol_and_detail(peer: IpAddr, proto: &FlowProto) -> (u8, Option<(u16, u16)>) {
    let (icmp, request_and_reply) = if peer.is_ipv6() { (58, [128, 129]) } else { (1, [8, 0]) };
    match *proto {
        FlowProto::Tcp { dst, .. } => (6, Some((dst, dst))),
        FlowProto::Udp { dst, .. } => (17, Some((dst, dst))),
        FlowProto::Echo { request, .. } => (icmp, Some((request_and_reply[usize::from(!request)], 0))),
        FlowProto::Icmp { kind, code } => (icmp, Some((kind.into(), code.into()))),
        FlowProto::Other(protocol) => (protocol, None),
    }
}
