//! What every topology begins with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::PortId;
use ipnet::IpNet;
use model::{
    AclEntry, AddressFamily, Applied, Change, Direction, InstanceState, Ipv6Addresses, Launch, NatProfile,
    NetworkAclId, NewInterface, NewPrefixes, Peer, Permission, PrefixListEntry, PrefixListId, Protocol,
    RouteTableId, RouteVia, SecondaryAddresses, SecurityGroupId, SubnetId, Tags, VpcId,
    VpcPeeringConnectionId,
};
use sim::Cloud;
use wire::Mac;

use crate::topology::{HOSTS, Machine, Topology, UPLINK, UPLINK_MAC, host_mac};

/// Three VPCs with gateways of all kinds, eleven machines, and routes that make sense.
pub(crate) fn build() -> Topology {
    let neighbors: Vec<_> = HOSTS.iter().enumerate().map(|(n, &ip)| (ip, host_mac(n))).collect();
    let mut cloud = Cloud::new(UPLINK, UPLINK_MAC, 1400, &neighbors);
    let vpcs = vec![
        cloud.vpc("10.0.0.0/16", Some("2001:db8:100::/56")),
        cloud.vpc("10.0.0.0/16", Some("2001:db8:200::/56")),
        cloud.vpc("10.1.0.0/16", None),
    ];
    let igws: Vec<_> = vpcs.iter().map(|&vpc| cloud.internet_gateway(vpc)).collect();
    let Applied::EgressOnlyInternetGateway(egress_only) =
        cloud.apply(Change::CreateEgressOnlyInternetGateway { vpc: vpcs[0], tags: Tags::new() })
    else {
        panic!("no egress-only gateway")
    };
    let subnets: Vec<(SubnetId, RouteTableId)> = vec![
        cloud.subnet(vpcs[0], "10.0.0.0/24", Some("2001:db8:100::/64")),
        cloud.subnet(vpcs[0], "10.0.1.0/24", Some("2001:db8:100:1::/64")),
        cloud.subnet(vpcs[0], "10.0.2.0/24", Some("2001:db8:100:2::/64")),
        cloud.subnet(vpcs[1], "10.0.0.0/24", Some("2001:db8:200::/64")),
        cloud.subnet(vpcs[1], "10.0.1.0/24", Some("2001:db8:200:1::/64")),
        cloud.subnet(vpcs[2], "10.1.0.0/24", None),
    ];
    let mut groups = Vec::new();
    for &vpc in &vpcs {
        groups.push(cloud.open_group(vpc));
        for name in ["one", "two"] {
            let (name, description) = (name.to_owned(), "a group".to_owned());
            let Applied::SecurityGroup(group) =
                cloud.apply(Change::CreateSecurityGroup { vpc, name, description, tags: Tags::new() })
            else {
                panic!("no group")
            };
            groups.push(group);
        }
    }
    let public = |n| Ipv4Addr::new(203, 0, 113, n);
    let ip = |a, b, c| Ipv4Addr::new(10, a, b, c);
    let (aws, rfc) = (NatProfile::Aws, NatProfile::Rfc);
    let gateways = vec![
        cloud.nat_gateway(subnets[0].0, aws, ip(0, 0, 4), &[public(1), public(2)]),
        cloud.nat_gateway(subnets[0].0, rfc, ip(0, 0, 8), &[public(3)]),
        cloud.nat_gateway(subnets[2].0, rfc, ip(0, 2, 4), &[]),
        cloud.nat_gateway(subnets[3].0, rfc, ip(0, 0, 4), &[public(4), public(5)]),
    ];
    let mut machines = Vec::new();
    let seats =
        [(0, 10), (0, 11), (1, 10), (1, 11), (2, 10), (2, 11), (3, 10), (4, 10), (4, 11), (5, 10), (5, 11)];
    for (n, (subnet, last)) in seats.into_iter().enumerate() {
        let port = PortId(1 + n as u32);
        machines.push(machine(&mut cloud, port, subnets[subnet].0, last, &groups, n));
    }
    for n in 0..4_u8 {
        let allocation = cloud.elastic_ip(public(20 + n));
        let interface = machines[[0, 1, 6, 9][usize::from(n)]].interface;
        cloud.apply(Change::AssociateAddress { allocation, interface, private_ip: None });
    }
    for n in 0..2 {
        cloud.elastic_ip(public(30 + n));
    }
    let peerings: Vec<_> = [vpcs[0], vpcs[1]].into_iter().map(|vpc| peer(&mut cloud, vpc, vpcs[2])).collect();
    // The last VPC knows members of the first: the second one has machines with the same addresses.
    for (group, peer) in [(7, 0), (7, 2), (1, 7)] {
        for direction in [Direction::Ingress, Direction::Egress] {
            let (group, peer) = (groups[group], Peer::Group(groups[peer]));
            let rule = Permission { protocol: Protocol::All, ports: None, peer, description: None };
            cloud.apply(Change::AuthorizeSecurityGroup { group, direction, rule });
        }
    }
    let lists = vec![
        list(&mut cloud, "four", AddressFamily::Ipv4, &["10.0.1.0/24", "198.51.100.0/24"]),
        list(&mut cloud, "six", AddressFamily::Ipv6, &["2001:db8:ffff::/48"]),
    ];
    let mut route = |table: usize, to: &str, via| cloud.route(subnets[table].1, to, via);
    for (table, igw) in [(0, 0), (3, 1), (5, 2)] {
        route(table, "0.0.0.0/0", RouteVia::InternetGateway(igws[igw]));
    }
    route(0, "::/0", RouteVia::InternetGateway(igws[0]));
    route(3, "::/0", RouteVia::InternetGateway(igws[1]));
    for (table, gateway) in [(1, 0), (2, 1), (4, 3)] {
        route(table, "0.0.0.0/0", RouteVia::NatGateway(gateways[gateway]));
        route(table, "64:ff9b::/96", RouteVia::NatGateway(gateways[gateway]));
    }
    route(1, "::/0", RouteVia::EgressOnlyInternetGateway(egress_only));
    route(4, "::/0", RouteVia::InternetGateway(igws[1]));
    route(1, "10.1.0.0/16", RouteVia::Peering(peerings[0]));
    route(4, "10.1.0.0/16", RouteVia::Peering(peerings[1]));
    route(5, "10.0.0.0/16", RouteVia::Peering(peerings[0]));
    let acl = own_acl(&mut cloud, vpcs[0], subnets[1].0);
    let Applied::RouteTable(edge) = cloud.apply(Change::CreateRouteTable { vpc: vpcs[0], tags: Tags::new() })
    else {
        panic!("no route table")
    };
    cloud.route(edge, "10.0.0.0/24", RouteVia::Interface(machines[1].interface));
    let acls = vec![
        acl,
        cloud.region.vpcs()[&vpcs[0]].default_network_acl,
        cloud.region.vpcs()[&vpcs[1]].default_network_acl,
    ];
    let tables = subnets.iter().map(|(_, table)| *table).collect();
    let Cloud { region, fabric } = cloud;
    Topology {
        region,
        fabric,
        machines,
        gateways,
        tables,
        groups,
        acls,
        igws,
        egress_only,
        peerings,
        lists,
        edge,
    }
}

fn machine(
    cloud: &mut Cloud,
    port: PortId,
    subnet: SubnetId,
    last: u8,
    groups: &[SecurityGroupId],
    n: usize,
) -> Machine {
    let (vpc, block, six) = {
        let subnet = &cloud.region.subnets()[&subnet];
        (subnet.vpc, subnet.cidr, subnet.ipv6.as_ref().map(|block| block.cidr))
    };
    let address = Ipv4Addr::from(u32::from(block.network()) + u32::from(last));
    let second = Ipv4Addr::from(u32::from(address) + 100);
    let ipv6 = six.map(|block| Ipv6Addr::from(u128::from(block.network()) + u128::from(last)));
    let own: Vec<_> =
        groups.iter().filter(|group| cloud.region.security_groups()[group].vpc == vpc).copied().collect();
    let interface = NewInterface {
        private_ip: Some(address),
        // Every second one lets everything in, others what rules say.
        groups: vec![own[n % 3]],
        secondary: SecondaryAddresses::These(vec![second]),
        ipv6: ipv6.map(|address| Ipv6Addresses::These(vec![address])),
        source_dest_check: n != 1,
        prefixes: NewPrefixes {
            ipv4_count: u32::from(n.is_multiple_of(3)),
            ipv6_count: u32::from(n.is_multiple_of(3) && six.is_some()),
            these: Vec::new(),
        },
        ..NewInterface::new(subnet)
    };
    let image = "ami-00000000000000001".parse().unwrap();
    let launch = Change::RunInstances(Launch::new(image, "m5.xlarge".to_owned(), interface));
    let Applied::Instances { instances, .. } = cloud.apply(launch) else { panic!("no instance") };
    let instance = instances[0];
    cloud.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
    let interface = cloud.region.instances()[&instance].interfaces[0];
    let key = cloud.key(interface);
    cloud.fabric.interfaces.insert(key, port);
    let made = &cloud.region.interfaces()[&interface];
    let mac = Mac(made.mac.0);
    let addresses = [Some(address.into()), Some(second.into()), ipv6.map(IpAddr::V6)];
    // And one of each prefix.
    let of_prefixes = made.prefixes.iter().map(IpNet::broadcast);
    let addresses = addresses.into_iter().flatten().chain(of_prefixes).collect();
    Machine { interface, instance, vpc, port, mac, addresses }
}

fn peer(cloud: &mut Cloud, requester: VpcId, accepter: VpcId) -> VpcPeeringConnectionId {
    let Applied::VpcPeeringConnection(connection) =
        cloud.apply(Change::CreateVpcPeeringConnection { requester, accepter, time: 0, tags: Tags::new() })
    else {
        panic!("no peering")
    };
    cloud.apply(Change::AcceptVpcPeeringConnection { connection, time: 0 });
    connection
}

fn list(cloud: &mut Cloud, name: &str, family: AddressFamily, entries: &[&str]) -> PrefixListId {
    let entries =
        entries.iter().map(|cidr| PrefixListEntry { cidr: cidr.parse().unwrap(), description: None });
    let (name, entries) = (name.to_owned(), entries.collect());
    let create = Change::CreateManagedPrefixList { name, family, max_entries: 5, entries, tags: Tags::new() };
    match cloud.apply(create) {
        Applied::PrefixList(list) => list,
        other => panic!("{other:?}"),
    }
}

/// A network ACL that lets everything through, for one subnet.
fn own_acl(cloud: &mut Cloud, vpc: VpcId, subnet: SubnetId) -> NetworkAclId {
    let Applied::NetworkAcl(acl) = cloud.apply(Change::CreateNetworkAcl { vpc, tags: Tags::new() }) else {
        panic!("no network ACL")
    };
    for direction in [Direction::Ingress, Direction::Egress] {
        for (number, cidr) in [(100, "0.0.0.0/0"), (101, "::/0")] {
            let cidr = cidr.parse().unwrap();
            let entry = AclEntry { protocol: Protocol::All, cidr, ports: None, icmp: None, allow: true };
            cloud.apply(Change::CreateNetworkAclEntry { acl, direction, number, entry });
        }
    }
    let association = cloud.region.subnets()[&subnet].network_acl.id;
    cloud.apply(Change::ReplaceNetworkAclAssociation { association, acl });
    acl
}
