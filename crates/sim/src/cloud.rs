//! Resources by the call: each method is one change that must succeed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::{Fabric, InterfaceKey, PortId, Uplink};
use model::{
    AccountId, AllocationId, Applied, Change, Connectivity, Direction, InterfaceId, InternetGatewayId,
    Ipv6Addresses, NatGatewayId, NatGatewayState, NatProfile, NewInterface, NewNatGateway, Peer, Permission,
    Protocol, Quotas, Region, RegionKey, RegionName, RouteTableId, RouteVia, SecondaryAddresses,
    SecurityGroupId, SubnetId, Tags, VpcId,
};
use wire::Mac;

/// One region of one account, and what stands on which port.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// The resources.
    pub region: Region,
    /// The ports.
    pub fabric: Fabric,
}

impl Cloud {
    /// Empty, with an uplink of this MTU to these hosts.
    pub fn new(uplink: PortId, mac: Mac, mtu: u16, neighbors: &[(IpAddr, Mac)]) -> Cloud {
        let key = RegionKey {
            account: AccountId("000000000000".to_owned()),
            region: RegionName("eu-west-1".to_owned()),
        };
        let neighbors = neighbors.iter().copied().collect();
        let uplink = Uplink { port: uplink, mac, mtu, neighbors, gateway: None };
        let quotas = Quotas { addresses: 64, addresses_per_nat_gateway: 8, ..Quotas::default() };
        Cloud {
            region: Region::with_quotas(key, 42, quotas),
            fabric: Fabric { uplink: Some(uplink), ..Fabric::default() },
        }
    }

    /// Does what must be possible.
    pub fn apply(&mut self, change: Change) -> Applied {
        let shown = format!("{change:?}");
        self.region.apply(change).unwrap_or_else(|fault| panic!("{shown}: {fault}"))
    }

    /// A VPC, with an IPv6 block if one is named.
    pub fn vpc(&mut self, cidr: &str, ipv6: Option<&str>) -> VpcId {
        let Applied::Vpc(vpc) =
            self.apply(Change::CreateVpc { cidr: cidr.parse().unwrap(), tags: Tags::new() })
        else {
            panic!("no VPC")
        };
        if let Some(cidr) = ipv6 {
            self.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr: cidr.parse().unwrap() });
        }
        vpc
    }

    /// A subnet with a route table of its own, and an IPv6 block if one is named.
    pub fn subnet(&mut self, vpc: VpcId, cidr: &str, ipv6: Option<&str>) -> (SubnetId, RouteTableId) {
        let cidr = cidr.parse().unwrap();
        let Applied::Subnet(subnet) =
            self.apply(Change::CreateSubnet { vpc, cidr, availability_zone: None, tags: Tags::new() })
        else {
            panic!("no subnet")
        };
        if let Some(cidr) = ipv6 {
            self.apply(Change::AssociateSubnetCidrBlock { subnet, cidr: cidr.parse().unwrap() });
        }
        let Applied::RouteTable(table) = self.apply(Change::CreateRouteTable { vpc, tags: Tags::new() })
        else {
            panic!("no route table")
        };
        self.apply(Change::AssociateRouteTable { table, subnet });
        (subnet, table)
    }

    /// An internet gateway, attached.
    pub fn internet_gateway(&mut self, vpc: VpcId) -> InternetGatewayId {
        let Applied::InternetGateway(igw) = self.apply(Change::CreateInternetGateway { tags: Tags::new() })
        else {
            panic!("no internet gateway")
        };
        self.apply(Change::AttachInternetGateway { igw, vpc });
        igw
    }

    /// A route.
    pub fn route(&mut self, table: RouteTableId, destination: &str, target: RouteVia) {
        self.apply(Change::CreateRoute { table, destination: destination.parse().unwrap(), target });
    }

    /// A security group that lets everything in and out, in both families.
    pub fn open_group(&mut self, vpc: VpcId) -> SecurityGroupId {
        let (name, description) = ("open".to_owned(), "everything".to_owned());
        let Applied::SecurityGroup(group) =
            self.apply(Change::CreateSecurityGroup { vpc, name, description, tags: Tags::new() })
        else {
            panic!("no security group")
        };
        let everyone = [Peer::Cidr("0.0.0.0/0".parse().unwrap()), Peer::Cidr6("::/0".parse().unwrap())];
        for peer in everyone {
            for direction in [Direction::Ingress, Direction::Egress] {
                let rule = Permission { protocol: Protocol::All, ports: None, peer, description: None };
                // The rule that every group is made with, or is not, is asked for once more.
                let _ = self.region.apply(Change::AuthorizeSecurityGroup { group, direction, rule });
            }
        }
        group
    }

    /// A network interface on a port.
    pub fn interface(
        &mut self,
        port: PortId,
        subnet: SubnetId,
        address: Ipv4Addr,
        ipv6: Option<Ipv6Addr>,
        groups: &[SecurityGroupId],
    ) -> (InterfaceId, Mac) {
        let new = NewInterface {
            private_ip: Some(address),
            groups: groups.to_vec(),
            ipv6: ipv6.map(|address| Ipv6Addresses::These(vec![address])),
            ..NewInterface::new(subnet)
        };
        let Applied::Interface(id) = self.apply(Change::CreateNetworkInterface(new)) else {
            panic!("no interface")
        };
        self.fabric.interfaces.insert(self.key(id), port);
        (id, Mac(self.region.interfaces()[&id].mac.0))
    }

    /// An interface's name among those of all regions.
    pub fn key(&self, interface: InterfaceId) -> InterfaceKey {
        InterfaceKey { region: self.region.key().clone(), interface }
    }

    /// An Elastic IP address.
    pub fn elastic_ip(&mut self, public_ip: Ipv4Addr) -> AllocationId {
        match self.apply(Change::AllocateAddress { public_ip, tags: Tags::new() }) {
            Applied::Address(allocation) => allocation,
            other => panic!("{other:?}"),
        }
    }

    /// A NAT gateway that is available; a private one if it has no Elastic IP addresses.
    pub fn nat_gateway(
        &mut self,
        subnet: SubnetId,
        profile: NatProfile,
        private_ip: Ipv4Addr,
        public: &[Ipv4Addr],
    ) -> NatGatewayId {
        let allocations: Vec<_> = public.iter().map(|&address| self.elastic_ip(address)).collect();
        let profile = match profile {
            NatProfile::Aws => "aws",
            NatProfile::Rfc => "rfc",
        };
        let new = NewNatGateway {
            connectivity: if public.is_empty() { Connectivity::Private } else { Connectivity::Public },
            allocations,
            private_ip: Some(private_ip),
            secondary: SecondaryAddresses::Count(0),
            tags: Tags::from([("ringwall:nat-profile".to_owned(), profile.to_owned())]),
            ..NewNatGateway::new(subnet)
        };
        let Applied::NatGateway(gateway) = self.apply(Change::CreateNatGateway(new)) else {
            panic!("no NAT gateway")
        };
        self.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Available });
        gateway
    }
}
