//! A small network for this crate's tests.

use ipnet::{Ipv4Net, Ipv6Net};

use crate::{
    AccountId, AllocationId, Applied, AssociationId, Change, Fault, InstanceId, InterfaceId, InterfaceSource,
    InternetGatewayId, Launch, NatGatewayId, NewInterface, NewNatGateway, Region, RegionKey, RegionName,
    RouteTableId, SecurityGroupId, SubnetId, Tags, VpcId,
};

pub(crate) fn cidr(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

pub(crate) fn cidr6(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub(crate) fn tags(name: &str) -> Tags {
    Tags::from([("Name".to_owned(), name.to_owned())])
}

pub(crate) fn region() -> Region {
    let key = RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
    Region::new(key, 7)
}

/// VPC 10.0.0.0/16 with subnet 10.0.1.0/24, and another VPC of the same addresses.
pub(crate) struct Network {
    pub(crate) region: Region,
    pub(crate) vpc: VpcId,
    pub(crate) subnet: SubnetId,
    pub(crate) other: VpcId,
}

impl Network {
    pub(crate) fn new() -> Network {
        let mut region = region();
        let mut vpc =
            || match region.apply(Change::CreateVpc { cidr: cidr("10.0.0.0/16"), tags: tags("vpc") }) {
                Ok(Applied::Vpc(id)) => id,
                other => panic!("{other:?}"),
            };
        let (vpc, other) = (vpc(), vpc());
        let subnet = Change::CreateSubnet {
            vpc,
            cidr: cidr("10.0.1.0/24"),
            availability_zone: None,
            tags: tags("subnet"),
        };
        let Ok(Applied::Subnet(subnet)) = region.apply(subnet) else { panic!() };
        Network { region, vpc, subnet, other }
    }

    /// The same with 2001:db8:0:100::/56 in the VPC and 2001:db8:0:101::/64 in the subnet.
    pub(crate) fn with_ipv6() -> Network {
        let mut network = Network::new();
        let (vpc, subnet) = (network.vpc, network.subnet);
        network.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr: cidr6("2001:db8:0:100::/56") });
        network.apply(Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6("2001:db8:0:101::/64") });
        network
    }

    pub(crate) fn apply(&mut self, change: Change) -> Applied {
        let before = self.region.generation();
        let applied = self.region.apply(change).unwrap();
        assert!(self.region.generation() > before);
        applied
    }

    /// The refusal of a change, which must leave no trace.
    pub(crate) fn refused(&mut self, change: Change) -> Fault {
        let before = serde_json::to_string(&self.region).unwrap();
        let fault = self.region.apply(change).unwrap_err();
        assert_eq!(serde_json::to_string(&self.region).unwrap(), before);
        fault
    }

    pub(crate) fn launch(&self) -> Launch {
        let image = "ami-00000000000000001".parse().unwrap();
        let launch = Launch::new(image, "m5.xlarge".to_owned(), NewInterface::new(self.subnet));
        Launch { tags: tags("machine"), ..launch }
    }

    /// The launch of an instance with an interface that there is.
    pub(crate) fn launch_with(&self, interface: InterfaceId) -> Change {
        let image = "ami-00000000000000001".parse().unwrap();
        let mut launch = Launch::new(image, "m5.xlarge".to_owned(), NewInterface::new(self.subnet));
        launch.interfaces[0].source = InterfaceSource::Existing(interface);
        Change::RunInstances(launch)
    }

    pub(crate) fn instance(&mut self) -> (InstanceId, InterfaceId) {
        match self.apply(Change::RunInstances(self.launch())) {
            Applied::Instances { instances, .. } => {
                (instances[0], self.region.instances()[&instances[0]].interfaces[0])
            }
            other => panic!("{other:?}"),
        }
    }

    /// An interface that is attached to nothing.
    pub(crate) fn interface(&mut self, groups: &[SecurityGroupId]) -> InterfaceId {
        let new = NewInterface { groups: groups.to_vec(), ..NewInterface::new(self.subnet) };
        match self.apply(Change::CreateNetworkInterface(new)) {
            Applied::Interface(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// 203.0.113.`last`, mapped to an interface's primary address.
    pub(crate) fn elastic_ip(&mut self, last: u8, interface: InterfaceId) -> (AllocationId, AssociationId) {
        let allocation = self.allocation(last);
        match self.apply(Change::AssociateAddress { allocation, interface, private_ip: None }) {
            Applied::AddressAssociation(association) => (allocation, association),
            other => panic!("{other:?}"),
        }
    }

    /// 203.0.113.`last`, mapped to nothing.
    pub(crate) fn allocation(&mut self, last: u8) -> AllocationId {
        let public_ip = [203, 0, 113, last].into();
        match self.apply(Change::AllocateAddress { public_ip, tags: tags("eip") }) {
            Applied::Address(allocation) => allocation,
            other => panic!("{other:?}"),
        }
    }

    /// A public NAT gateway in state pending, created at second 1000, and its Elastic IP address.
    pub(crate) fn nat_gateway(&mut self) -> (NatGatewayId, AllocationId) {
        let allocation = self.allocation(113);
        let allocations = vec![allocation];
        let new = NewNatGateway { allocations, time: 1000, ..NewNatGateway::new(self.subnet) };
        match self.apply(Change::CreateNatGateway(new)) {
            Applied::NatGateway(id) => (id, allocation),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn internet_gateway(&mut self) -> InternetGatewayId {
        let Applied::InternetGateway(igw) = self.apply(Change::CreateInternetGateway { tags: tags("igw") })
        else {
            panic!()
        };
        self.apply(Change::AttachInternetGateway { igw, vpc: self.vpc });
        igw
    }

    pub(crate) fn security_group(&mut self, name: &str) -> SecurityGroupId {
        let (vpc, name, description) = (self.vpc, name.to_owned(), "for a test".to_owned());
        match self.apply(Change::CreateSecurityGroup { vpc, name, description, tags: tags("group") }) {
            Applied::SecurityGroup(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn route_table(&mut self) -> RouteTableId {
        match self.apply(Change::CreateRouteTable { vpc: self.vpc, tags: tags("private") }) {
            Applied::RouteTable(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A group of the other VPC.
    pub(crate) fn other_group(&self) -> SecurityGroupId {
        self.region.vpcs()[&self.other].default_security_group
    }

    /// A route table of the other VPC.
    pub(crate) fn other_table(&self) -> RouteTableId {
        self.region.vpcs()[&self.other].main_route_table
    }
}
