//! Any topology: three VPCs, two of them with the same addresses, with all kinds of gateways; and what is declared about
//! them, at the start and in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use engine::{Fabric, PortId};
use ipnet::IpNet;
use model::{
    AclEntry, Change, ConnectionTracking, Destination, Direction, EgressOnlyInternetGatewayId, InstanceId,
    InterfaceAttribute, InterfaceId, InternetGatewayId, NatGatewayId, NetworkAclId, Peer, Permission,
    PrefixListEntry, PrefixListId, Protocol, Region, RouteTableId, RouteVia, SecurityGroupId, VpcId,
    VpcPeeringConnectionId,
};
use proptest::prelude::*;
use wire::Mac;

use crate::skeleton;

pub(crate) const UPLINK: PortId = PortId(1000);
pub(crate) const UPLINK_MAC: Mac = Mac([0x0a, 0, 0, 0, 9, 0]);
/// Hosts on the internet.
pub(crate) const HOSTS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 8)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 8)),
];

pub(crate) fn host_mac(n: usize) -> Mac {
    Mac([0x0a, 0, 0, 0, 8, n as u8])
}

/// An instance.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) interface: InterfaceId,
    pub(crate) instance: InstanceId,
    pub(crate) vpc: VpcId,
    pub(crate) port: PortId,
    pub(crate) mac: Mac,
    /// Its own, both families.
    pub(crate) addresses: Vec<IpAddr>,
}

#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) region: Region,
    pub(crate) fabric: Fabric,
    pub(crate) machines: Vec<Machine>,
    pub(crate) gateways: Vec<NatGatewayId>,
    pub(crate) tables: Vec<RouteTableId>,
    pub(crate) groups: Vec<SecurityGroupId>,
    pub(crate) acls: Vec<NetworkAclId>,
    pub(crate) igws: Vec<InternetGatewayId>,
    pub(crate) egress_only: EgressOnlyInternetGatewayId,
    pub(crate) peerings: Vec<VpcPeeringConnectionId>,
    pub(crate) lists: Vec<PrefixListId>,
    pub(crate) edge: RouteTableId,
}

/// What may be declared, by numbers that name things.
#[derive(Debug, Clone)]
pub(crate) enum Declaration {
    Route { table: u8, to: u8, via: u8 },
    NoRoute { table: u8, to: u8 },
    Rule { group: u8, egress: bool, what: u8, peer: u8 },
    NoRule { group: u8, which: u8 },
    Acl { acl: u8, egress: bool, number: u8, what: u8, cidr: u8, allow: bool },
    Groups { machine: u8, first: u8, second: Option<u8> },
    SourceDestCheck { machine: u8, on: bool },
    Times { machine: u8, short: u8 },
    PublicAddress { machine: u8, which: u8 },
    NoPublicAddress { machine: u8 },
    Edge { on: bool },
    NoPeering { which: u8 },
    NoNatGateway { which: u8 },
    Stop { machine: u8 },
    Prefixes { list: u8, cidr: u8, add: bool },
}

pub(crate) fn declaration() -> impl Strategy<Value = Declaration> {
    use Declaration as D;
    let n = || 0..64_u8;
    prop_oneof![
        6 => (n(), n(), n()).prop_map(|(table, to, via)| D::Route { table, to, via }),
        1 => (n(), n()).prop_map(|(table, to)| D::NoRoute { table, to }),
        8 => (n(), any::<bool>(), n(), n()).prop_map(|(group, egress, what, peer)| D::Rule { group, egress, what, peer }),
        3 => (n(), n()).prop_map(|(group, which)| D::NoRule { group, which }),
        4 => (n(), any::<bool>(), n(), n(), n(), any::<bool>())
            .prop_map(|(acl, egress, number, what, cidr, allow)| D::Acl { acl, egress, number, what, cidr, allow }),
        4 => (n(), n(), proptest::option::of(n()))
            .prop_map(|(machine, first, second)| D::Groups { machine, first, second }),
        2 => (n(), any::<bool>()).prop_map(|(machine, on)| D::SourceDestCheck { machine, on }),
        2 => (n(), n()).prop_map(|(machine, short)| D::Times { machine, short }),
        2 => (n(), n()).prop_map(|(machine, which)| D::PublicAddress { machine, which }),
        1 => n().prop_map(|machine| D::NoPublicAddress { machine }),
        1 => any::<bool>().prop_map(|on| D::Edge { on }),
        1 => n().prop_map(|which| D::NoPeering { which }),
        1 => n().prop_map(|which| D::NoNatGateway { which }),
        1 => n().prop_map(|machine| D::Stop { machine }),
        2 => (n(), n(), any::<bool>()).prop_map(|(list, cidr, add)| D::Prefixes { list, cidr, add }),
    ]
}

fn pick<T: Copy>(from: &[T], which: u8) -> T {
    from[usize::from(which) % from.len()]
}

const BLOCKS: [&str; 14] = [
    "0.0.0.0/0",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.0.2.0/24",
    "10.0.0.0/24",
    "10.1.0.0/16",
    "198.51.100.0/24",
    "198.51.100.9/32",
    "203.0.113.0/24",
    "::/0",
    "2001:db8::/32",
    "2001:db8:100:1::/64",
    "2001:db8:ffff::/48",
    "64:ff9b::/96",
];

fn block(which: u8) -> IpNet {
    pick(&BLOCKS, which).parse().unwrap()
}

impl Topology {
    /// What all cases begin with.
    pub(crate) fn new() -> Topology {
        static FIRST: OnceLock<Topology> = OnceLock::new();
        FIRST.get_or_init(skeleton::build).clone()
    }

    /// Declares something, if it may be. Says what it was.
    pub(crate) fn declare(&mut self, declaration: &Declaration) -> Option<Change> {
        let changes = self.changes(declaration);
        changes.into_iter().find(|change| self.region.apply(change.clone()).is_ok())
    }

    /// What a declaration may mean; the first that is possible counts.
    fn changes(&self, declaration: &Declaration) -> Vec<Change> {
        use Declaration as D;
        let machine = |which: u8| &self.machines[usize::from(which) % self.machines.len()];
        match *declaration {
            D::Route { table, to, via } => {
                let (table, destination) = (pick(&self.tables, table), self.destination(to));
                let target = self.via(via);
                vec![
                    Change::CreateRoute { table, destination, target },
                    Change::ReplaceRoute { table, destination, target },
                ]
            }
            D::NoRoute { table, to } => {
                vec![Change::DeleteRoute {
                    table: pick(&self.tables, table),
                    destination: self.destination(to),
                }]
            }
            D::Rule { group, egress, what, peer } => {
                let peer = match peer % 28 {
                    n @ 0..14 => match block(n) {
                        IpNet::V4(cidr) => Peer::Cidr(cidr),
                        IpNet::V6(cidr) => Peer::Cidr6(cidr),
                    },
                    14..17 => Peer::Cidr("0.0.0.0/0".parse().unwrap()),
                    n @ 17..26 => Peer::Group(pick(&self.groups, n)),
                    n => Peer::PrefixList(pick(&self.lists, n)),
                };
                let v6 = matches!(peer, Peer::Cidr6(_));
                let (protocol, ports) = rule(what, v6);
                let rule = Permission { protocol, ports, peer, description: None };
                let direction = if egress { Direction::Egress } else { Direction::Ingress };
                vec![Change::AuthorizeSecurityGroup { group: pick(&self.groups, group), direction, rule }]
            }
            D::NoRule { group, which } => {
                let group = pick(&self.groups, group);
                let rules: Vec<_> =
                    self.region.security_groups()[&group].rules().map(|rule| rule.id).collect();
                if rules.is_empty() {
                    vec![]
                } else {
                    vec![Change::RevokeSecurityGroupRule { group, rule: pick(&rules, which) }]
                }
            }
            D::Acl { acl, egress, number, what, cidr, allow } => {
                let cidr = block(cidr);
                let (protocol, ports) = rule(what, matches!(cidr, IpNet::V6(_)));
                let is_icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6);
                let (from, to) = ports.unwrap_or((0, 65_535));
                let entry = AclEntry {
                    protocol,
                    cidr,
                    ports: (!is_icmp).then_some((from as u16, to as u16)),
                    icmp: is_icmp.then_some((from as i16, to as i16)),
                    allow,
                };
                let (acl, number) =
                    (pick(&self.acls, acl), [10, 50, 90, 100, 101, 200][usize::from(number) % 6]);
                let direction = if egress { Direction::Egress } else { Direction::Ingress };
                vec![
                    Change::CreateNetworkAclEntry { acl, direction, number, entry },
                    Change::ReplaceNetworkAclEntry { acl, direction, number, entry },
                ]
            }
            D::Groups { machine: which, first, second } => {
                let machine = machine(which);
                let own = |group: &&SecurityGroupId| self.region.security_groups()[group].vpc == machine.vpc;
                let own: Vec<_> = self.groups.iter().filter(own).copied().collect();
                let mut groups = vec![pick(&own, first)];
                groups.extend(second.map(|second| pick(&own, second)).filter(|second| *second != groups[0]));
                let attribute = InterfaceAttribute::Groups(groups);
                vec![Change::ModifyNetworkInterfaceAttribute { interface: machine.interface, attribute }]
            }
            D::SourceDestCheck { machine: which, on } => {
                let attribute = InterfaceAttribute::SourceDestCheck(on);
                vec![Change::ModifyNetworkInterfaceAttribute {
                    interface: machine(which).interface,
                    attribute,
                }]
            }
            D::Times { machine: which, short } => {
                let (tcp_established, udp_stream, udp) =
                    [(432_000, 180, 30), (60, 60, 30), (60, 180, 60), (350, 60, 60)][usize::from(short) % 4];
                let times = ConnectionTracking { tcp_established, udp_stream, udp };
                let attribute = InterfaceAttribute::ConnectionTracking(times);
                vec![Change::ModifyNetworkInterfaceAttribute {
                    interface: machine(which).interface,
                    attribute,
                }]
            }
            D::PublicAddress { machine: which, which: address } => {
                let spare: Vec<_> = self
                    .region
                    .addresses()
                    .values()
                    .filter(|own| own.association.is_none())
                    .map(|own| own.allocation)
                    .collect();
                let machine = machine(which);
                let v4 = machine.addresses.iter().filter_map(|own| match own {
                    IpAddr::V4(own) => Some(*own),
                    IpAddr::V6(_) => None,
                });
                let v4: Vec<_> = v4.collect();
                if spare.is_empty() {
                    vec![]
                } else {
                    let (allocation, interface) = (pick(&spare, address), machine.interface);
                    vec![Change::AssociateAddress {
                        allocation,
                        interface,
                        private_ip: Some(pick(&v4, address)),
                    }]
                }
            }
            D::NoPublicAddress { machine: which } => {
                let interface = machine(which).interface;
                let associations =
                    self.region.addresses().values().filter_map(|address| address.association.as_ref());
                let own = associations.filter(|association| association.interface == interface);
                own.map(|own| Change::DisassociateAddress { association: own.id }).collect()
            }
            D::Edge { on: true } => {
                vec![Change::AssociateGatewayRouteTable { table: self.edge, gateway: self.igws[0] }]
            }
            D::Edge { on: false } => {
                let table = &self.region.route_tables()[&self.edge];
                let ids = table.gateway_associations.keys();
                ids.map(|&association| Change::DisassociateRouteTable { association }).collect()
            }
            D::NoPeering { which } => {
                vec![Change::DeleteVpcPeeringConnection { connection: pick(&self.peerings, which), time: 0 }]
            }
            D::NoNatGateway { which } => {
                vec![Change::DeleteNatGateway { gateway: pick(&self.gateways, which), time: 0 }]
            }
            D::Stop { machine: which } => {
                vec![Change::StopInstance { instance: machine(which).instance, time: 0 }]
            }
            D::Prefixes { list, cidr, add } => {
                let (list, cidr) = (pick(&self.lists, list), block(cidr));
                let list = &self.region.prefix_lists()[&list];
                let entry = PrefixListEntry { cidr, description: None };
                let (add, remove) = if add { (vec![entry], vec![]) } else { (vec![], vec![cidr]) };
                vec![Change::ModifyManagedPrefixList {
                    list: list.id,
                    current_version: Some(list.version),
                    name: None,
                    max_entries: None,
                    add,
                    remove,
                }]
            }
        }
    }

    fn destination(&self, which: u8) -> Destination {
        match which % 16 {
            n @ 0..14 => block(n).into(),
            n => Destination::PrefixList(pick(&self.lists, n)),
        }
    }

    fn via(&self, which: u8) -> RouteVia {
        match which % 20 {
            n @ 0..6 => RouteVia::NatGateway(pick(&self.gateways, n)),
            n @ 6..9 => RouteVia::InternetGateway(pick(&self.igws, n)),
            9 | 10 => RouteVia::EgressOnlyInternetGateway(self.egress_only),
            n @ 11..13 => RouteVia::Peering(pick(&self.peerings, n)),
            n => RouteVia::Interface(self.machines[usize::from(n) % self.machines.len()].interface),
        }
    }

    /// The Elastic IP addresses, used or not.
    pub(crate) fn public(&self) -> Vec<IpAddr> {
        self.region.addresses().values().map(|address| address.public_ip.into()).collect()
    }
}

/// Protocol and ports of a rule.
fn rule(what: u8, v6: bool) -> (Protocol, Option<(i32, i32)>) {
    let icmp = if v6 { Protocol::Icmpv6 } else { Protocol::Icmp };
    match what % 12 {
        0 | 1 => (Protocol::All, None),
        2 => (Protocol::Tcp, Some((0, 65_535))),
        3 => (Protocol::Udp, Some((0, 65_535))),
        4 => (Protocol::Tcp, Some((80, 81))),
        5 => (Protocol::Udp, Some((53, 53))),
        6 => (Protocol::Udp, Some((50, 5000))),
        7 => (icmp, Some((-1, -1))),
        8 if v6 => (icmp, Some((128, -1))),
        8 => (icmp, Some((8, -1))),
        9 if v6 => (icmp, Some((1, 4))),
        9 => (icmp, Some((3, 3))),
        10 => (Protocol::Number(47), None),
        _ => (Protocol::Tcp, Some((1024, 65_535))),
    }
}
