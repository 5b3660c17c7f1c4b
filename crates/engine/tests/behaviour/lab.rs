//! A cloud to try packets on: the reference network, or whatever a test declares.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use engine::{DropReason, Engine, Fabric, InterfaceKey, PortId, ROUTER_MAC, Services, Tables, Time, Uplink};
use model::{
    AccountId, AclEntry, AddressFamily, Applied, Change, Connectivity, Direction,
    EgressOnlyInternetGatewayId, InstanceId, InstanceState, InternetGatewayId, Ipv6Addresses, Launch,
    NatGatewayId, NatGatewayState, NetworkAclId, NewInterface, NewNatGateway, Peer, Permission,
    PrefixListEntry, PrefixListId, Protocol, Region, RegionKey, RegionName, RouteTableId, RouteVia,
    SecurityGroupId, SubnetId, Tags, VpcId, VpcPeeringConnectionId,
};
use wire::{Frame, Mac, build};

pub(crate) const SERVICES: PortId = PortId(90);
pub(crate) const SERVICES_MAC: Mac = Mac([0x0a, 0, 0, 0, 0, 90]);
pub(crate) const UPLINK: PortId = PortId(91);
pub(crate) const UPLINK_MAC: Mac = Mac([0x0a, 0, 0, 0, 0, 91]);
/// A host on the internet segment, and its Ethernet address.
pub(crate) const OFFICE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 8);
pub(crate) const OFFICE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 8);
pub(crate) const OFFICE_MAC: Mac = Mac([0x0a, 0, 0, 0, 1, 8]);

/// One instance as seen from the fabric.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) instance: InstanceId,
    pub(crate) key: InterfaceKey,
    pub(crate) port: PortId,
    pub(crate) mac: Mac,
    pub(crate) ip: Ipv4Addr,
}

impl Machine {
    /// The packet as this machine sends it to its router.
    pub(crate) fn by_router(&self, packet: Frame) -> Frame {
        packet.with_macs(self.mac, ROUTER_MAC)
    }

    /// The packet as this machine sends it to a neighbour.
    pub(crate) fn by_neighbor(&self, neighbor: &Machine, packet: Frame) -> Frame {
        packet.with_macs(self.mac, neighbor.mac)
    }

    /// The packet as the router hands it to this machine.
    pub(crate) fn handed(&self, packet: Frame) -> Frame {
        packet.with_macs(ROUTER_MAC, self.mac)
    }
}

/// The packet as a host on the internet segment sends it.
pub(crate) fn from_office(packet: Frame) -> Frame {
    packet.with_macs(OFFICE_MAC, UPLINK_MAC)
}

/// The packet as it arrives at a host on the internet segment.
pub(crate) fn to_office(packet: Frame) -> Frame {
    packet.with_macs(UPLINK_MAC, OFFICE_MAC)
}

pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(crate) fn ip6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// What a group lets in: protocol, ports, from where.
pub(crate) type Ingress<'a> = (Protocol, Option<(i32, i32)>, &'a str);

/// One region of one account, and its part of the fabric.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    pub(crate) region: Region,
    pub(crate) fabric: Fabric,
}

impl Cloud {
    /// Empty. All clouds draw the same ids: nothing may depend on their being different.
    pub(crate) fn new(account: &str, region: &str) -> Cloud {
        let key = RegionKey { account: AccountId(account.into()), region: RegionName(region.into()) };
        let fabric = Fabric {
            services: Some(Services { port: SERVICES, mac: SERVICES_MAC }),
            uplink: Some(Uplink {
                port: UPLINK,
                mac: UPLINK_MAC,
                mtu: 1500,
                neighbors: [(OFFICE.into(), OFFICE_MAC), (OFFICE6.into(), OFFICE_MAC)].into(),
                gateway: None,
            }),
            ..Fabric::default()
        };
        Cloud { region: Region::new(key, 42), fabric }
    }

    pub(crate) fn apply(&mut self, change: Change) -> Applied {
        self.region.apply(change).unwrap()
    }

    pub(crate) fn vpc(&mut self, cidr: &str) -> VpcId {
        match self.apply(Change::CreateVpc { cidr: cidr.parse().unwrap(), tags: Tags::new() }) {
            Applied::Vpc(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn subnet(&mut self, vpc: VpcId, cidr: &str) -> SubnetId {
        let cidr = cidr.parse().unwrap();
        match self.apply(Change::CreateSubnet { vpc, cidr, availability_zone: None, tags: Tags::new() }) {
            Applied::Subnet(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn internet_gateway(&mut self, vpc: VpcId) -> InternetGatewayId {
        let Applied::InternetGateway(igw) = self.apply(Change::CreateInternetGateway { tags: Tags::new() })
        else {
            panic!()
        };
        self.apply(Change::AttachInternetGateway { igw, vpc });
        igw
    }

    /// A route table of the subnet's own.
    pub(crate) fn table(&mut self, vpc: VpcId, subnet: SubnetId) -> RouteTableId {
        let Applied::RouteTable(table) = self.apply(Change::CreateRouteTable { vpc, tags: Tags::new() })
        else {
            panic!()
        };
        self.apply(Change::AssociateRouteTable { table, subnet });
        table
    }

    pub(crate) fn route(&mut self, table: RouteTableId, destination: &str, target: RouteVia) {
        self.apply(Change::CreateRoute { table, destination: destination.parse().unwrap(), target });
    }

    /// A group that lets everything out, and in what is listed.
    pub(crate) fn group(&mut self, vpc: VpcId, name: &str, ingress: &[Ingress<'_>]) -> SecurityGroupId {
        let (name, description) = (name.to_owned(), "for a test".to_owned());
        let Applied::SecurityGroup(group) =
            self.apply(Change::CreateSecurityGroup { vpc, name, description, tags: Tags::new() })
        else {
            panic!()
        };
        for &(protocol, ports, from) in ingress {
            let peer = Peer::Cidr(from.parse().unwrap());
            self.allow(group, Direction::Ingress, protocol, ports, peer);
        }
        group
    }

    pub(crate) fn allow(
        &mut self,
        group: SecurityGroupId,
        direction: Direction,
        protocol: Protocol,
        ports: Option<(i32, i32)>,
        peer: Peer,
    ) {
        let rule = Permission { protocol, ports, peer, description: None };
        self.apply(Change::AuthorizeSecurityGroup { group, direction, rule });
    }

    /// Has an instance run, and then not.
    pub(crate) fn stop(&mut self, instance: InstanceId) {
        for state in [InstanceState::Running, InstanceState::Stopped] {
            self.apply(Change::SetInstanceState { instance, state });
        }
    }

    /// Takes all rules of one direction from a group.
    pub(crate) fn revoke_all(&mut self, group: SecurityGroupId, direction: Direction) {
        let rules: Vec<_> = self.region.security_groups()[&group]
            .rules()
            .filter(|rule| rule.direction == direction)
            .map(|rule| rule.id)
            .collect();
        for rule in rules {
            self.apply(Change::RevokeSecurityGroupRule { group, rule });
        }
    }

    /// An instance with its interface on a port of the fabric.
    pub(crate) fn machine(
        &mut self,
        port: u32,
        subnet: SubnetId,
        address: &str,
        groups: &[SecurityGroupId],
        source_dest_check: bool,
    ) -> Machine {
        let interface = NewInterface {
            private_ip: Some(ip(address)),
            groups: groups.to_vec(),
            source_dest_check,
            ..NewInterface::new(subnet)
        };
        let image = "ami-00000000000000001".parse().unwrap();
        let launch = Change::RunInstances(Launch::new(image, "t3.micro".to_owned(), interface));
        let Applied::Instances { instances, .. } = self.apply(launch) else { panic!() };
        let instance = instances[0];
        let interface = self.region.instances()[&instance].interfaces[0];
        let key = InterfaceKey { region: self.region.key().clone(), interface };
        self.fabric.interfaces.insert(key.clone(), PortId(port));
        let mac = Mac(self.region.interfaces()[&interface].mac.0);
        Machine { instance, key, port: PortId(port), mac, ip: ip(address) }
    }

    pub(crate) fn elastic_ip(&mut self, machine: &Machine, public: &str) -> Ipv4Addr {
        let public_ip = ip(public);
        let Applied::Address(allocation) =
            self.apply(Change::AllocateAddress { public_ip, tags: Tags::new() })
        else {
            panic!()
        };
        let interface = machine.key.interface;
        self.apply(Change::AssociateAddress { allocation, interface, private_ip: None });
        public_ip
    }

    /// A NAT gateway that translates: public by this Elastic IP address, or private.
    pub(crate) fn nat_gateway(
        &mut self,
        subnet: SubnetId,
        address: &str,
        public: Option<&str>,
        profile: &str,
    ) -> NatBox {
        let allocations = public.map(|public| {
            let change = Change::AllocateAddress { public_ip: ip(public), tags: Tags::new() };
            let Applied::Address(allocation) = self.apply(change) else { panic!() };
            allocation
        });
        let tags = [("ringwall:nat-profile".to_owned(), profile.to_owned())].into();
        let connectivity = if public.is_some() { Connectivity::Public } else { Connectivity::Private };
        let allocations = allocations.into_iter().collect();
        let private_ip = Some(ip(address));
        let new = NewNatGateway { connectivity, allocations, private_ip, tags, ..NewNatGateway::new(subnet) };
        let Applied::NatGateway(id) = self.apply(Change::CreateNatGateway(new)) else { panic!() };
        self.apply(Change::SetNatGatewayState { gateway: id, state: NatGatewayState::Available });
        let interface = self.region.nat_gateways()[&id].interface;
        let mac = Mac(self.region.interfaces()[&interface].mac.0);
        let key = InterfaceKey { region: self.region.key().clone(), interface };
        NatBox { id, key, mac, ip: ip(address) }
    }

    /// Gives a VPC and subnets IPv6: the block of the VPC, and those of the subnets.
    pub(crate) fn ipv6(&mut self, vpc: VpcId, cidr: &str, subnets: &[(SubnetId, &str)]) {
        self.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr: cidr.parse().unwrap() });
        for &(subnet, cidr) in subnets {
            self.apply(Change::AssociateSubnetCidrBlock { subnet, cidr: cidr.parse().unwrap() });
        }
    }

    pub(crate) fn ipv6_address(&mut self, machine: &Machine, address: &str) -> Ipv6Addr {
        let own = ip6(address);
        let (interface, addresses) = (machine.key.interface, Ipv6Addresses::These(vec![own]));
        self.apply(Change::AssignIpv6Addresses { interface, addresses });
        own
    }

    /// A network ACL of the subnet's own: it lets nothing through.
    pub(crate) fn network_acl(&mut self, vpc: VpcId, subnet: SubnetId) -> NetworkAclId {
        let Applied::NetworkAcl(acl) = self.apply(Change::CreateNetworkAcl { vpc, tags: Tags::new() }) else {
            panic!()
        };
        let association = self.region.subnets()[&subnet].network_acl.id;
        self.apply(Change::ReplaceNetworkAclAssociation { association, acl });
        acl
    }

    pub(crate) fn acl_entry(
        &mut self,
        acl: NetworkAclId,
        direction: Direction,
        number: u16,
        rule: (Protocol, Option<(u16, u16)>, &str, bool),
    ) {
        let (protocol, numbers, cidr, allow) = rule;
        let is_icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6);
        let ports = numbers.filter(|_| !is_icmp);
        let icmp = numbers.filter(|_| is_icmp).map(|(kind, code)| (kind as i16, code as i16));
        let entry = AclEntry { protocol, cidr: cidr.parse().unwrap(), ports, icmp, allow };
        self.apply(Change::CreateNetworkAclEntry { acl, direction, number, entry });
    }

    pub(crate) fn peering(&mut self, requester: VpcId, accepter: VpcId) -> VpcPeeringConnectionId {
        let change = Change::CreateVpcPeeringConnection { requester, accepter, time: 0, tags: Tags::new() };
        let Applied::VpcPeeringConnection(connection) = self.apply(change) else { panic!() };
        self.apply(Change::AcceptVpcPeeringConnection { connection, time: 0 });
        connection
    }

    pub(crate) fn egress_only(&mut self, vpc: VpcId) -> EgressOnlyInternetGatewayId {
        let change = Change::CreateEgressOnlyInternetGateway { vpc, tags: Tags::new() };
        let Applied::EgressOnlyInternetGateway(gateway) = self.apply(change) else { panic!() };
        gateway
    }

    pub(crate) fn prefix_list(&mut self, cidrs: &[&str]) -> PrefixListId {
        let entry = |cidr: &&str| PrefixListEntry { cidr: cidr.parse().unwrap(), description: None };
        let entries: Vec<_> = cidrs.iter().map(entry).collect();
        let change = Change::CreateManagedPrefixList {
            name: "list".to_owned(),
            family: AddressFamily::of(entries[0].cidr),
            max_entries: 10,
            entries,
            tags: Tags::new(),
        };
        let Applied::PrefixList(list) = self.apply(change) else { panic!() };
        list
    }

    pub(crate) fn tables(&self, generation: u64) -> Arc<Tables> {
        Arc::new(Tables::compile([&self.region], &self.fabric, generation, 7))
    }

    pub(crate) fn lab(&self) -> Lab {
        Lab { engine: Engine::new(self.tables(1), 7), now: Time(0) }
    }
}

/// A NAT gateway as seen from the fabric.
#[derive(Debug, Clone)]
pub(crate) struct NatBox {
    pub(crate) id: NatGatewayId,
    pub(crate) key: InterfaceKey,
    pub(crate) mac: Mac,
    pub(crate) ip: Ipv4Addr,
}

/// A running engine.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
}

impl Lab {
    /// Everything that leaves when a frame comes from a port.
    pub(crate) fn send(&mut self, port: PortId, mut frame: Frame) -> Vec<(PortId, Frame)> {
        let mut sent = Vec::new();
        self.engine
            .receive(self.now, port, &mut frame, &mut |to, frame: &Frame| sent.push((to, frame.clone())));
        sent
    }

    /// What leaves when it must be one frame.
    pub(crate) fn one(&mut self, port: PortId, frame: Frame) -> (PortId, Frame) {
        let shown = frame.to_string();
        let mut sent = self.send(port, frame);
        assert_eq!(sent.len(), 1, "{shown}: {:?}", self.engine.counters().ports.get(&port));
        sent.remove(0)
    }

    /// Why a frame is dropped: counted once, nothing leaves, nothing is remembered.
    pub(crate) fn dropped(&mut self, port: PortId, frame: Frame) -> DropReason {
        let shown = frame.to_string();
        let before = self.engine.counters();
        let sent = self.send(port, frame);
        assert!(sent.is_empty(), "{shown}: {sent:?}");
        let after = self.engine.counters();
        assert_eq!(after.connections, before.connections, "{shown}");
        let old = before.ports.get(&port).cloned().unwrap_or_default();
        let new = &after.ports[&port];
        assert_eq!(new.received, old.received + 1);
        let grown: Vec<_> = new
            .drops
            .iter()
            .filter(|(reason, count)| **count > old.drops.get(*reason).copied().unwrap_or(0))
            .collect();
        assert_eq!(grown.len(), 1, "{shown}: {grown:?}");
        *grown[0].0
    }

    /// A frame that is neither answered nor counted as dropped.
    pub(crate) fn consumed(&mut self, port: PortId, frame: Frame) {
        let drops = |lab: &Lab| lab.engine.counters().ports.get(&port).map(|port| port.drops.clone());
        let before = drops(self).unwrap_or_default();
        assert_eq!(self.send(port, frame), []);
        assert_eq!(drops(self).unwrap_or_default(), before);
    }

    /// How many frames of a port were dropped for this reason.
    pub(crate) fn drops(&self, port: PortId, reason: DropReason) -> u64 {
        let counters = self.engine.counters();
        counters.ports.get(&port).and_then(|port| port.drops.get(&reason)).copied().unwrap_or(0)
    }

    pub(crate) fn connections(&self) -> usize {
        self.engine.counters().connections
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(seconds);
        self.engine.tick(self.now, &mut |_, _| {});
    }
}

/// The reference network with a table for the test machines, a neighbour of the test machine, and a web server with
/// an Elastic IP address of its own.
pub(crate) struct Reference {
    pub(crate) cloud: Cloud,
    pub(crate) vpc: VpcId,
    pub(crate) igw: InternetGatewayId,
    pub(crate) test_subnet: SubnetId,
    pub(crate) test_table: RouteTableId,
    pub(crate) gateway_table: RouteTableId,
    pub(crate) test_group: SecurityGroupId,
    pub(crate) open: SecurityGroupId,
    pub(crate) nat: Machine,
    pub(crate) test: Machine,
    /// In the test machine's subnet, lets everything in.
    pub(crate) neighbor: Machine,
    /// In the gateways' subnet.
    pub(crate) web: Machine,
}

pub(crate) const NAT_PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 13);
pub(crate) const WEB_PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);

impl Reference {
    pub(crate) fn new() -> Reference {
        let mut cloud = Cloud::new("000000000000", "eu-west-1");
        let vpc = cloud.vpc("10.210.0.0/16");
        let igw = cloud.internet_gateway(vpc);
        let test_subnet = cloud.subnet(vpc, "10.210.0.0/17");
        let gateway_subnet = cloud.subnet(vpc, "10.210.128.0/17");
        let test_table = cloud.table(vpc, test_subnet);
        let gateway_table = cloud.table(vpc, gateway_subnet);
        let nat_group = cloud.group(
            vpc,
            "nat",
            &[(Protocol::Udp, Some((1194, 1194)), "198.51.100.8/32"), (Protocol::All, None, "10.210.0.0/16")],
        );
        let test_group = cloud.group(
            vpc,
            "test",
            &[
                (Protocol::Icmp, Some((-1, -1)), "10.210.216.13/32"),
                (Protocol::Udp, Some((33434, 33534)), "10.210.216.13/32"),
                (Protocol::Tcp, Some((22, 22)), "10.210.216.13/32"),
            ],
        );
        let web_group = cloud.group(vpc, "web", &[(Protocol::Tcp, Some((80, 80)), "0.0.0.0/0")]);
        let open = cloud.group(vpc, "open", &[(Protocol::All, None, "0.0.0.0/0")]);
        let nat = cloud.machine(1, gateway_subnet, "10.210.216.13", &[nat_group], false);
        let test = cloud.machine(2, test_subnet, "10.210.7.14", &[test_group], true);
        let neighbor = cloud.machine(3, test_subnet, "10.210.7.15", &[open], true);
        let web = cloud.machine(4, gateway_subnet, "10.210.200.20", &[web_group], true);
        cloud.elastic_ip(&nat, "203.0.113.13");
        cloud.elastic_ip(&web, "203.0.113.20");
        cloud.route(test_table, "0.0.0.0/0", RouteVia::Instance(nat.instance));
        cloud.route(gateway_table, "0.0.0.0/0", RouteVia::InternetGateway(igw));
        Reference {
            cloud,
            vpc,
            igw,
            test_subnet,
            test_table,
            gateway_table,
            test_group,
            open,
            nat,
            test,
            neighbor,
            web,
        }
    }

    pub(crate) fn lab(&self) -> Lab {
        self.cloud.lab()
    }
}

/// A UDP packet that a test does not care about.
pub(crate) fn udp(src: Ipv4Addr, dst: Ipv4Addr) -> Frame {
    build::udp(src, dst, 40000, 33434, b"probe")
}
