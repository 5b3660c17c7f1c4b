//! What can have tags.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{
    AllocationId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId, ImageId, InstanceId, InterfaceId,
    InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclId, PrefixListId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetCidrReservationId, SubnetId, VpcId, VpcPeeringConnectionId,
};
use crate::region::Region;
use crate::tag::{self, Tags};

/// A resource that can have tags, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaggedResource {
    /// A VPC.
    Vpc(VpcId),
    /// A subnet.
    Subnet(SubnetId),
    /// A route table.
    RouteTable(RouteTableId),
    /// An internet gateway.
    InternetGateway(InternetGatewayId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A rule of a security group.
    SecurityGroupRule(SecurityGroupRuleId),
    /// An Elastic IP address.
    Address(AllocationId),
    /// A network interface.
    Interface(InterfaceId),
    /// A key pair.
    KeyPair(KeyPairId),
    /// An instance.
    Instance(InstanceId),
    /// An egress-only internet gateway.
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    /// A managed prefix list.
    PrefixList(PrefixListId),
    /// A NAT gateway.
    NatGateway(NatGatewayId),
    /// A network ACL.
    NetworkAcl(NetworkAclId),
    /// A VPC peering connection.
    VpcPeeringConnection(VpcPeeringConnectionId),
    /// A DHCP option set.
    DhcpOptions(DhcpOptionsId),
    /// A flow log.
    FlowLog(FlowLogId),
    /// A reservation of a subnet's addresses.
    SubnetCidrReservation(SubnetCidrReservationId),
    /// A machine image that was registered.
    Image(ImageId),
}

impl TaggedResource {
    /// EC2's name for its kind, such as "route-table".
    pub fn resource_type(self) -> &'static str {
        match self {
            TaggedResource::Vpc(_) => "vpc",
            TaggedResource::Subnet(_) => "subnet",
            TaggedResource::RouteTable(_) => "route-table",
            TaggedResource::InternetGateway(_) => "internet-gateway",
            TaggedResource::SecurityGroup(_) => "security-group",
            TaggedResource::SecurityGroupRule(_) => "security-group-rule",
            TaggedResource::Address(_) => "elastic-ip",
            TaggedResource::Interface(_) => "network-interface",
            TaggedResource::KeyPair(_) => "key-pair",
            TaggedResource::Instance(_) => "instance",
            TaggedResource::EgressOnlyInternetGateway(_) => "egress-only-internet-gateway",
            TaggedResource::PrefixList(_) => "prefix-list",
            TaggedResource::NatGateway(_) => "natgateway",
            TaggedResource::NetworkAcl(_) => "network-acl",
            TaggedResource::VpcPeeringConnection(_) => "vpc-peering-connection",
            TaggedResource::DhcpOptions(_) => "dhcp-options",
            TaggedResource::FlowLog(_) => "vpc-flow-log",
            TaggedResource::SubnetCidrReservation(_) => "subnet-cidr-reservation",
            TaggedResource::Image(_) => "image",
        }
    }
}

impl Region {
    /// The tags of a resource.
    ///
    /// # Errors
    /// There is no such resource.
    pub fn tags_of(&self, resource: TaggedResource) -> Result<&Tags, Fault> {
        let tags = match resource {
            TaggedResource::Vpc(id) => self.vpcs.get(&id).map(|resource| &resource.tags),
            TaggedResource::Subnet(id) => self.subnets.get(&id).map(|resource| &resource.tags),
            TaggedResource::RouteTable(id) => self.route_tables.get(&id).map(|resource| &resource.tags),
            TaggedResource::InternetGateway(id) => {
                self.internet_gateways.get(&id).map(|resource| &resource.tags)
            }
            TaggedResource::SecurityGroup(id) => self.security_groups.get(&id).map(|resource| &resource.tags),
            TaggedResource::SecurityGroupRule(id) => self.rule(id).map(|rule| &rule.tags),
            TaggedResource::Address(id) => self.addresses.get(&id).map(|resource| &resource.tags),
            TaggedResource::Interface(id) => self.interfaces.get(&id).map(|resource| &resource.tags),
            TaggedResource::KeyPair(id) => self.key_pairs.get(&id).map(|resource| &resource.tags),
            TaggedResource::Instance(id) => self.instances.get(&id).map(|resource| &resource.tags),
            TaggedResource::EgressOnlyInternetGateway(id) => {
                self.egress_only_internet_gateways.get(&id).map(|resource| &resource.tags)
            }
            TaggedResource::PrefixList(id) => self.prefix_lists.get(&id).map(|resource| &resource.tags),
            TaggedResource::NatGateway(id) => self.nat_gateways.get(&id).map(|resource| &resource.tags),
            TaggedResource::NetworkAcl(id) => self.network_acls.get(&id).map(|resource| &resource.tags),
            TaggedResource::VpcPeeringConnection(id) => {
                self.vpc_peering_connections.get(&id).map(|resource| &resource.tags)
            }
            TaggedResource::DhcpOptions(id) => self.dhcp_options.get(&id).map(|resource| &resource.tags),
            TaggedResource::FlowLog(id) => self.flow_logs.get(&id).map(|log| &log.wanted.tags),
            TaggedResource::SubnetCidrReservation(id) => {
                self.subnet_cidr_reservations.get(&id).map(|resource| &resource.tags)
            }
            TaggedResource::Image(id) => self.images.get(&id).map(|resource| &resource.tags),
        };
        tags.ok_or_else(|| resource.not_found())
    }

    /// Every resource that can have tags, with its tags.
    pub fn tagged(&self) -> impl Iterator<Item = (TaggedResource, &Tags)> {
        let all: [Box<dyn Iterator<Item = (TaggedResource, &Tags)>>; 19] = [
            Box::new(self.vpcs.values().map(|it| (TaggedResource::Vpc(it.id), &it.tags))),
            Box::new(self.subnets.values().map(|it| (TaggedResource::Subnet(it.id), &it.tags))),
            Box::new(self.route_tables.values().map(|it| (TaggedResource::RouteTable(it.id), &it.tags))),
            Box::new(
                self.internet_gateways.values().map(|it| (TaggedResource::InternetGateway(it.id), &it.tags)),
            ),
            Box::new(
                self.security_groups.values().map(|it| (TaggedResource::SecurityGroup(it.id), &it.tags)),
            ),
            Box::new(
                self.security_groups
                    .values()
                    .flat_map(|group| group.rules())
                    .map(|it| (TaggedResource::SecurityGroupRule(it.id), &it.tags)),
            ),
            Box::new(self.addresses.values().map(|it| (TaggedResource::Address(it.allocation), &it.tags))),
            Box::new(self.interfaces.values().map(|it| (TaggedResource::Interface(it.id), &it.tags))),
            Box::new(self.key_pairs.values().map(|it| (TaggedResource::KeyPair(it.id), &it.tags))),
            Box::new(self.instances.values().map(|it| (TaggedResource::Instance(it.id), &it.tags))),
            Box::new(
                self.egress_only_internet_gateways
                    .values()
                    .map(|it| (TaggedResource::EgressOnlyInternetGateway(it.id), &it.tags)),
            ),
            Box::new(self.prefix_lists.values().map(|it| (TaggedResource::PrefixList(it.id), &it.tags))),
            Box::new(self.nat_gateways.values().map(|it| (TaggedResource::NatGateway(it.id), &it.tags))),
            Box::new(self.network_acls.values().map(|it| (TaggedResource::NetworkAcl(it.id), &it.tags))),
            Box::new(
                self.vpc_peering_connections
                    .values()
                    .map(|it| (TaggedResource::VpcPeeringConnection(it.id), &it.tags)),
            ),
            Box::new(self.dhcp_options.values().map(|it| (TaggedResource::DhcpOptions(it.id), &it.tags))),
            Box::new(self.flow_logs.values().map(|it| (TaggedResource::FlowLog(it.id), &it.wanted.tags))),
            Box::new(
                self.subnet_cidr_reservations
                    .values()
                    .map(|it| (TaggedResource::SubnetCidrReservation(it.id), &it.tags)),
            ),
            Box::new(self.images.values().map(|it| (TaggedResource::Image(it.id), &it.tags))),
        ];
        all.into_iter().flatten()
    }

    pub(crate) fn create_tags(&mut self, resources: &[TaggedResource], tags: &Tags) -> Result<(), Fault> {
        tag::check(tags)?;
        for &resource in resources {
            let mut merged = self.tags_of(resource)?.clone();
            merged.extend(tags.clone());
            tag::check(&merged)?;
            self.keeps_nat_profile(resource, &merged)?;
        }

        for &resource in resources {
            if let Some(own) = self.tags_mut(resource) {
                own.extend(tags.clone());
            }
        }
        Ok(())
    }

    pub(crate) fn delete_tags(
        &mut self,
        resources: &[TaggedResource],
        tags: &BTreeMap<String, Option<String>>,
    ) -> Result<(), Fault> {
        let goes = |key: &str, value: &str| match tags.get(key) {
            Some(only) => only.as_ref().is_none_or(|only| only == value),
            None => tags.is_empty(),
        };
        for &resource in resources {
            let mut left = self.tags_of(resource)?.clone();
            left.retain(|key, value| !goes(key, value));
            self.keeps_nat_profile(resource, &left)?;
        }

        for &resource in resources {
            if let Some(own) = self.tags_mut(resource) {
                own.retain(|key, value| !goes(key, value));
            }
        }
        Ok(())
    }

    fn tags_mut(&mut self, resource: TaggedResource) -> Option<&mut Tags> {
        match resource {
            TaggedResource::Vpc(id) => self.vpcs.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::Subnet(id) => self.subnets.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::RouteTable(id) => {
                self.route_tables.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::InternetGateway(id) => {
                self.internet_gateways.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::SecurityGroup(id) => {
                self.security_groups.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::SecurityGroupRule(id) => self.rule_mut(id).map(|rule| &mut rule.tags),
            TaggedResource::Address(id) => self.addresses.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::Interface(id) => self.interfaces.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::KeyPair(id) => self.key_pairs.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::Instance(id) => self.instances.get_mut(&id).map(|resource| &mut resource.tags),
            TaggedResource::EgressOnlyInternetGateway(id) => {
                self.egress_only_internet_gateways.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::PrefixList(id) => {
                self.prefix_lists.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::NatGateway(id) => {
                self.nat_gateways.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::NetworkAcl(id) => {
                self.network_acls.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::VpcPeeringConnection(id) => {
                self.vpc_peering_connections.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::DhcpOptions(id) => {
                self.dhcp_options.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::FlowLog(id) => self.flow_logs.get_mut(&id).map(|log| &mut log.wanted.tags),
            TaggedResource::SubnetCidrReservation(id) => {
                self.subnet_cidr_reservations.get_mut(&id).map(|resource| &mut resource.tags)
            }
            TaggedResource::Image(id) => self.images.get_mut(&id).map(|resource| &mut resource.tags),
        }
    }
}

impl TaggedResource {
    fn not_found(self) -> Fault {
        match self {
            TaggedResource::Vpc(id) => Fault::VpcNotFound(id),
            TaggedResource::Subnet(id) => Fault::SubnetNotFound(id),
            TaggedResource::RouteTable(id) => Fault::RouteTableNotFound(id),
            TaggedResource::InternetGateway(id) => Fault::InternetGatewayNotFound(id),
            TaggedResource::SecurityGroup(id) => Fault::SecurityGroupNotFound(id),
            TaggedResource::SecurityGroupRule(id) => Fault::SecurityGroupRuleNotFound(id),
            TaggedResource::Address(id) => Fault::AllocationNotFound(id),
            TaggedResource::Interface(id) => Fault::InterfaceNotFound(id),
            TaggedResource::KeyPair(id) => Fault::KeyPairNotFound(id.to_string()),
            TaggedResource::Instance(id) => Fault::InstanceNotFound(id),
            TaggedResource::EgressOnlyInternetGateway(id) => Fault::EgressOnlyInternetGatewayNotFound(id),
            TaggedResource::PrefixList(id) => Fault::PrefixListNotFound(id),
            TaggedResource::NatGateway(id) => Fault::NatGatewayNotFound(id),
            TaggedResource::NetworkAcl(id) => Fault::NetworkAclNotFound(id),
            TaggedResource::VpcPeeringConnection(id) => Fault::VpcPeeringConnectionNotFound(id),
            TaggedResource::DhcpOptions(id) => Fault::DhcpOptionsNotFound(id),
            TaggedResource::FlowLog(id) => Fault::FlowLogNotFound(id),
            TaggedResource::SubnetCidrReservation(id) => Fault::SubnetCidrReservationNotFound(id),
            TaggedResource::Image(id) => Fault::ImageNotFound(id),
        }
    }
}

impl FromStr for TaggedResource {
    type Err = Fault;

    /// Of any id, or [`Fault::InvalidId`].
    fn from_str(text: &str) -> Result<Self, Fault> {
        let parse: [fn(&str) -> Option<Self>; 19] = [
            |text| text.parse().ok().map(TaggedResource::Vpc),
            |text| text.parse().ok().map(TaggedResource::Subnet),
            |text| text.parse().ok().map(TaggedResource::RouteTable),
            |text| text.parse().ok().map(TaggedResource::InternetGateway),
            |text| text.parse().ok().map(TaggedResource::SecurityGroup),
            |text| text.parse().ok().map(TaggedResource::SecurityGroupRule),
            |text| text.parse().ok().map(TaggedResource::Address),
            |text| text.parse().ok().map(TaggedResource::Interface),
            |text| text.parse().ok().map(TaggedResource::KeyPair),
            |text| text.parse().ok().map(TaggedResource::Instance),
            |text| text.parse().ok().map(TaggedResource::EgressOnlyInternetGateway),
            |text| text.parse().ok().map(TaggedResource::PrefixList),
            |text| text.parse().ok().map(TaggedResource::NatGateway),
            |text| text.parse().ok().map(TaggedResource::NetworkAcl),
            |text| text.parse().ok().map(TaggedResource::VpcPeeringConnection),
            |text| text.parse().ok().map(TaggedResource::DhcpOptions),
            |text| text.parse().ok().map(TaggedResource::FlowLog),
            |text| text.parse().ok().map(TaggedResource::SubnetCidrReservation),
            |text| text.parse().ok().map(TaggedResource::Image),
        ];
        parse.iter().find_map(|parse| parse(text)).ok_or_else(|| Fault::InvalidId(text.to_owned()))
    }
}

impl fmt::Display for TaggedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaggedResource::Vpc(id) => id.fmt(f),
            TaggedResource::Subnet(id) => id.fmt(f),
            TaggedResource::RouteTable(id) => id.fmt(f),
            TaggedResource::InternetGateway(id) => id.fmt(f),
            TaggedResource::SecurityGroup(id) => id.fmt(f),
            TaggedResource::SecurityGroupRule(id) => id.fmt(f),
            TaggedResource::Address(id) => id.fmt(f),
            TaggedResource::Interface(id) => id.fmt(f),
            TaggedResource::KeyPair(id) => id.fmt(f),
            TaggedResource::Instance(id) => id.fmt(f),
            TaggedResource::EgressOnlyInternetGateway(id) => id.fmt(f),
            TaggedResource::PrefixList(id) => id.fmt(f),
            TaggedResource::NatGateway(id) => id.fmt(f),
            TaggedResource::NetworkAcl(id) => id.fmt(f),
            TaggedResource::VpcPeeringConnection(id) => id.fmt(f),
            TaggedResource::DhcpOptions(id) => id.fmt(f),
            TaggedResource::FlowLog(id) => id.fmt(f),
            TaggedResource::SubnetCidrReservation(id) => id.fmt(f),
            TaggedResource::Image(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{
        AddressFamily, Change, DhcpConfiguration, FlowLogResource, LogFormat, NewFlowLog, ReservationType,
        TrafficType,
    };

    fn full() -> Network {
        let mut network = Network::new();
        network.internet_gateway();
        network.security_group("web");
        let (_, interface) = network.instance();
        network.elastic_ip(13, interface);
        network.nat_gateway();
        let (requester, accepter) = (network.vpc, network.other);
        let peering = Change::CreateVpcPeeringConnection { requester, accepter, time: 0, tags: tags("pcx") };
        network.apply(peering);
        let (name, public_key) = ("me".to_owned(), "ssh-ed25519 AAAA".to_owned());
        let fingerprint = String::new();
        network.apply(Change::CreateEgressOnlyInternetGateway { vpc: network.vpc, tags: tags("eigw") });
        network.apply(Change::CreateManagedPrefixList {
            name: "offices".to_owned(),
            family: AddressFamily::Ipv6,
            max_entries: 1,
            entries: Vec::new(),
            tags: tags("offices"),
        });
        let configuration = DhcpConfiguration::default();
        network.apply(Change::CreateDhcpOptions { configuration, tags: tags("dopt") });
        network.apply(Change::CreateSubnetCidrReservation {
            subnet: network.subnet,
            cidr: "10.0.1.64/28".parse().unwrap(),
            reservation_type: ReservationType::Explicit,
            description: String::new(),
            tags: tags("scr"),
        });
        network.apply(Change::ImportKeyPair { name, public_key, fingerprint, time: 0, tags: tags("key") });
        network.apply(Change::CreateFlowLog(NewFlowLog {
            resource: FlowLogResource::Vpc(network.vpc),
            traffic: TrafficType::All,
            interval: 600,
            format: LogFormat::default(),
            destination: "arn:aws:s3:::flows".parse().unwrap(),
            hive_compatible: false,
            per_hour: false,
            time: 0,
            tags: tags("fl"),
        }));
        network.apply(Change::RegisterImage {
            name: "small".to_owned(),
            description: None,
            location: "/srv/small".to_owned(),
            architecture: "x86_64".to_owned(),
            time: 0,
            tags: tags("ami"),
        });
        network
    }

    #[test]
    fn every_kind_has_tags() {
        let mut network = full();
        let resources: Vec<_> = network.region.tagged().map(|(resource, _)| resource).collect();
        let kinds: std::collections::BTreeSet<_> = resources.iter().map(|it| it.resource_type()).collect();
        assert_eq!(kinds.len(), 19);
        for resource in &resources {
            assert_eq!(resource.to_string().parse(), Ok(*resource));
        }
        network.apply(Change::CreateTags { resources: resources.clone(), tags: tags("new") });
        assert!(network.region.tagged().all(|(_, own)| *own == tags("new")));
        network.apply(Change::DeleteTags { resources, tags: BTreeMap::new() });
        assert!(network.region.tagged().all(|(_, own)| own.is_empty()));
    }

    #[test]
    fn tags_go_by_key_or_value() {
        let mut network = Network::new();
        let resources = vec![TaggedResource::Vpc(network.vpc)];
        let (a, b) = (("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned()));
        network.apply(Change::CreateTags { resources: resources.clone(), tags: Tags::from([a, b.clone()]) });
        let delete = |key: &str, value: Option<&str>| Change::DeleteTags {
            resources: resources.clone(),
            tags: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
        };
        network.apply(delete("a", Some("")));
        network.apply(delete("Name", None));
        assert_eq!(network.region.vpcs()[&network.vpc].tags.len(), 2);
        network.apply(delete("a", Some("1")));
        assert_eq!(network.region.vpcs()[&network.vpc].tags, Tags::from([b]));
    }

    #[test]
    fn what_cannot_be_tagged() {
        let mut network = Network::new();
        assert_eq!("vpc-x".parse::<TaggedResource>().unwrap_err().code(), "InvalidID");
        let vpc = TaggedResource::Vpc(network.vpc);
        for (missing, code) in [
            ("vpc-00000000", "InvalidVpcID.NotFound"),
            ("eipalloc-00000000", "InvalidAllocationID.NotFound"),
            ("key-00000000", "InvalidKeyPair.NotFound"),
        ] {
            let resources = vec![vpc, missing.parse().unwrap()];
            let fault = network.refused(Change::CreateTags { resources: resources.clone(), tags: tags("x") });
            assert_eq!(fault.code(), code);
            let fault = network.refused(Change::DeleteTags { resources, tags: BTreeMap::new() });
            assert_eq!(fault.code(), code);
        }
        let fifty: Tags = (0..50).map(|n| (n.to_string(), String::new())).collect();
        let fault = network.refused(Change::CreateTags { resources: vec![vpc], tags: fifty });
        assert_eq!(fault, Fault::TagLimitExceeded, "it has a name already");
    }
}
