//! What was decided on a packet's way, in the order in which it was decided.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    EgressOnlyInternetGatewayId, InstanceId, InternetGatewayId, NatGatewayId, NetworkAclId, RouteTableId,
    SecurityGroupId, SubnetId, VpcPeeringConnectionId,
};
use serde::{Deserialize, Serialize};
use wire::FlowKey;

use crate::fabric::InterfaceKey;
use crate::verdict::DropReason;

/// Which way a packet crosses an interface, seen from the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Out of the instance.
    Egress,
    /// Into the instance.
    Ingress,
}

/// One decision on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The packet left this interface.
    From {
        /// The interface.
        interface: InterfaceKey,
        /// The instance that it is attached to.
        instance: Option<InstanceId>,
    },
    /// Is the address the interface's own, or is the check off?
    SourceDestinationCheck {
        /// Whether the sender's source or the receiver's destination was looked at.
        direction: Direction,
        /// The address.
        address: IpAddr,
        /// Whether the interface enforces the check.
        enforced: bool,
    },
    /// The packet belongs to a connection that the interface tracks: its groups are not asked.
    Tracked {
        /// The side.
        direction: Direction,
    },
    /// The interface's security groups were asked.
    SecurityGroup {
        /// The side.
        direction: Direction,
        /// The group and the words of the rule that allowed it, or none did.
        allowed_by: Option<(SecurityGroupId, String)>,
        /// All groups of the interface.
        groups: Vec<SecurityGroupId>,
    },
    /// The frame was addressed to a neighbour's MAC address: no route table was asked.
    Direct {
        /// The subnet both are in.
        subnet: SubnetId,
    },
    /// The subnet's route table was asked.
    Route {
        /// The table.
        table: RouteTableId,
        /// The subnet it was asked for.
        subnet: SubnetId,
        /// The longest matching prefix and its target's name, or none matched.
        matched: Option<(IpNet, String)>,
    },
    /// The internet gateway replaced one address by another; an IPv6 address by itself.
    InternetGateway {
        /// The gateway.
        gateway: InternetGatewayId,
        /// Which address it replaced: the source on the way out, the destination on the way in.
        direction: Direction,
        /// Before.
        from: IpAddr,
        /// After.
        to: IpAddr,
    },
    /// The packet goes to a link-local service, under an address that stands for the asking interface.
    Service {
        /// The service's address.
        address: IpAddr,
    },
    /// The packet leaves to the internet segment.
    ToInternet {
        /// Its destination there.
        destination: IpAddr,
    },
    /// The packet came in from the internet segment.
    FromInternet {
        /// Its source there.
        source: IpAddr,
    },
    /// The packet is handed to this interface.
    Deliver {
        /// The interface.
        interface: InterfaceKey,
        /// The instance that it is attached to.
        instance: Option<InstanceId>,
    },
    /// The network ACL at a subnet's border was asked.
    NetworkAcl {
        /// The ACL.
        acl: NetworkAclId,
        /// The subnet.
        subnet: SubnetId,
        /// Whether the packet comes into the subnet or leaves it.
        direction: Direction,
        /// The rule that decided; none of them: the last one, `*`, which denies.
        rule: Option<u16>,
        /// Whether it lets the packet pass.
        allowed: bool,
    },
    /// The route table for what comes in by the internet gateway was asked.
    EdgeRoute {
        /// The table.
        table: RouteTableId,
        /// The longest matching prefix and its target's name, or none matched.
        matched: Option<(IpNet, String)>,
    },
    /// The packet passes a NAT gateway.
    NatGateway {
        /// The gateway.
        gateway: NatGatewayId,
        /// Whether its source was replaced on the way out, or its destination on the way in.
        direction: Direction,
        /// The packet as it came.
        from: FlowKey,
        /// The packet as it left.
        to: FlowKey,
    },
    /// The packet passes an egress-only internet gateway.
    EgressOnlyInternetGateway {
        /// The gateway.
        gateway: EgressOnlyInternetGatewayId,
    },
    /// The packet goes into a VPC that this one is peered with.
    Peering {
        /// The connection.
        peering: VpcPeeringConnectionId,
    },
    /// The packet is a fragment that waits for the first one of its datagram.
    Waits,
    /// The packet's time to live ended here: the router answered "time exceeded".
    TimeExceeded {
        /// The router.
        by: IpAddr,
    },
    /// The NAT gateway had no port or room left: it answered "administratively prohibited".
    Prohibited {
        /// The gateway.
        by: IpAddr,
    },
    /// The NAT gateway knows the connection no more, and ended it with a RST.
    Reset {
        /// The gateway.
        gateway: NatGatewayId,
    },
    /// The packet was too big for the way out: the router answered "fragmentation needed".
    TooBig {
        /// The largest size that fits, in bytes.
        mtu: u16,
    },
    /// The packet ended here.
    Dropped(DropReason),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::From { interface, instance } => write!(f, "leaves {}", Owner(interface, instance)),
            Step::SourceDestinationCheck { direction, address, enforced } => {
                let role = match direction {
                    Direction::Egress => "source",
                    Direction::Ingress => "destination",
                };
                match enforced {
                    true => write!(f, "source/destination check: is {role} {address} its own?"),
                    false => write!(f, "source/destination check is off: {role} {address} may be anyone's"),
                }
            }
            Step::Tracked { direction } => {
                write!(f, "{}: part of a tracked connection, rules are not asked", side(*direction))
            }
            Step::SecurityGroup { direction, allowed_by: Some((group, rule)), .. } => {
                write!(f, "{}: {group} allows {rule}", side(*direction))
            }
            Step::SecurityGroup { direction, allowed_by: None, groups } => {
                write!(f, "{}: no rule of ", side(*direction))?;
                for (i, group) in groups.iter().enumerate() {
                    write!(f, "{}{group}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(" allows it")
            }
            Step::Direct { subnet } => {
                write!(f, "addressed to a neighbour's MAC in {subnet}: the route table is not asked")
            }
            Step::Route { table, subnet, matched: Some((prefix, target)) } => {
                write!(f, "route table {table} of {subnet}: {prefix} -> {target}")
            }
            Step::Route { table, subnet, matched: None } => {
                write!(f, "route table {table} of {subnet}: no route")
            }
            Step::InternetGateway { gateway, from, to, .. } if from == to => {
                write!(f, "{gateway}: {from} is public itself, and stays")
            }
            Step::InternetGateway { gateway, direction, from, to } => {
                let role = match direction {
                    Direction::Egress => "source",
                    Direction::Ingress => "destination",
                };
                write!(f, "{gateway}: {role} {from} becomes {to}")
            }
            Step::Service { address } => {
                write!(f, "link-local service {address}, which knows the caller by its port")
            }
            Step::ToInternet { destination } => write!(f, "out to the internet, for {destination}"),
            Step::FromInternet { source } => write!(f, "in from the internet, sent by {source}"),
            Step::Deliver { interface, instance } => write!(f, "delivered to {}", Owner(interface, instance)),
            Step::NetworkAcl { acl, subnet, direction, rule, allowed } => {
                let rule = rule.map_or_else(|| "*".to_owned(), |rule| rule.to_string());
                let verb = if *allowed { "allows" } else { "denies" };
                let side = match direction {
                    Direction::Egress => "outbound",
                    Direction::Ingress => "inbound",
                };
                write!(f, "network ACL {acl} of {subnet}, {side}: rule {rule} {verb} it")
            }
            Step::EdgeRoute { table, matched: Some((prefix, target)) } => {
                write!(f, "gateway route table {table}: {prefix} -> {target}")
            }
            Step::EdgeRoute { table, matched: None } => write!(f, "gateway route table {table}: no route"),
            Step::NatGateway { gateway, direction: Direction::Egress, from, to } => {
                write!(f, "{gateway}: {from} leaves as {to}")
            }
            Step::NatGateway { gateway, direction: Direction::Ingress, from, to } => {
                write!(f, "{gateway}: {from} is for {to}")
            }
            Step::EgressOnlyInternetGateway { gateway } => {
                write!(f, "{gateway}: only what begins inside, and its answers")
            }
            Step::Peering { peering } => write!(f, "through {peering} into the other VPC"),
            Step::Waits => f.write_str("waits for the first fragment of its datagram"),
            Step::TimeExceeded { by } => write!(f, "time to live ended: {by} answers \"time exceeded\""),
            Step::Prohibited { by } => {
                write!(f, "nothing is left for it: {by} answers \"administratively prohibited\"")
            }
            Step::Reset { gateway } => {
                write!(f, "{gateway} knows no such connection (any more), and answers with a RST")
            }
            Step::TooBig { mtu } => {
                write!(f, "too big: the router answers \"fragmentation needed\", MTU {mtu}")
            }
            Step::Dropped(reason) => write!(f, "DROPPED ({reason}): {}", reason.meaning()),
        }
    }
}

/// Where decisions are noted: nowhere for packets on their way, a list for an explanation.
pub(crate) trait Trace {
    /// Whether every decision has to be made anew, to be told.
    fn is_kept(&self) -> bool;

    fn note(&mut self, step: impl FnOnce() -> Step);
}

/// Notes nothing, and costs nothing.
pub(crate) struct Untraced;

impl Trace for Untraced {
    fn is_kept(&self) -> bool {
        false
    }

    fn note(&mut self, _: impl FnOnce() -> Step) {}
}

impl Trace for Vec<Step> {
    fn is_kept(&self) -> bool {
        true
    }

    fn note(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "security groups, outbound",
        Direction::Ingress => "security groups, inbound",
    }
}

struct Owner<'a>(&'a InterfaceKey, &'a Option<InstanceId>);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(instance) => write!(f, "{instance} ({})", self.0.interface),
            None => write!(f, "{}", self.0.interface),
        }
    }
}
