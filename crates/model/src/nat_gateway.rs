//! NAT gateways (VPC User Guide, "NAT gateways").

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue, NotPermitted};
use crate::id::{AllocationId, AssociationId, InterfaceId, NatGatewayId, SubnetId, VpcId};
use crate::region::Region;
use crate::tag::{TaggedResource, Tags};

mod address;
mod request;

pub use request::NewNatGateway;

/// What lets many private addresses share a few: it translates addresses and ports, and remembers connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway {
    /// Its id.
    pub id: NatGatewayId,
    /// The VPC of its subnet.
    pub vpc: VpcId,
    /// Where it is.
    pub subnet: SubnetId,
    /// The interface that has its addresses. There is none any more when it is deleted, and never was if it failed.
    pub interface: InterfaceId,
    /// Whether it has public addresses.
    pub connectivity: Connectivity,
    /// How it translates.
    pub profile: NatProfile,
    /// Whether it translates.
    pub state: NatGatewayState,
    /// What it translates to, the primary first. None if it failed; those that it had if it is deleted.
    pub addresses: Vec<NatGatewayAddress>,
    /// When it was created, in seconds since 1970.
    pub create_time: u64,
    /// When it failed or was to be deleted, in seconds since 1970.
    pub delete_time: Option<u64>,
    /// Its tags.
    pub tags: Tags,
}

/// One of a NAT gateway's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGatewayAddress {
    /// The private address that packets have between the gateway and where its subnet's routes lead.
    pub private_ip: Ipv4Addr,
    /// The Elastic IP address, if the gateway is public.
    pub allocation: Option<AllocationId>,
    /// What ties the Elastic IP address to the private one.
    pub association: Option<AssociationId>,
    /// What the Elastic IP address is.
    pub public_ip: Option<Ipv4Addr>,
    /// Whether it takes new connections.
    pub status: NatGatewayAddressStatus,
    /// Whether it is the first, which the gateway keeps.
    pub primary: bool,
}

/// Whether a NAT gateway's address takes new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NatGatewayAddressStatus {
    /// It does.
    Succeeded,
    /// It has those that it had, and goes.
    Disassociating {
        /// When it goes, in seconds since 1970.
        until: u64,
    },
}

/// Whether a NAT gateway has public addresses: EC2's ConnectivityType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Connectivity {
    /// It has Elastic IP addresses.
    #[default]
    Public,
    /// It has private addresses only, and an internet gateway drops what it sends.
    Private,
}

/// How a NAT gateway behaves towards connections: which packets it lets in, and how long it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NatProfile {
    /// As AWS's.
    #[default]
    Aws,
    /// As the RFCs on NAT behaviour ask for: 4787, 5382, 5508, 7857.
    Rfc,
}

/// How far a NAT gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NatGatewayState {
    /// It is being made.
    Pending,
    /// It could not be made.
    Failed(NatGatewayFailure),
    /// It translates.
    Available,
    /// It translates no more, and is being taken away.
    Deleting,
    /// It is gone.
    Deleted,
}

/// Why a NAT gateway could not be made (VPC User Guide, "Troubleshoot NAT gateways"). Prints EC2's FailureMessage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NatGatewayFailure {
    /// `InsufficientFreeAddressesInSubnet`
    InsufficientFreeAddresses,
    /// `Gateway.NotAttached`
    GatewayNotAttached(VpcId),
    /// `Resource.AlreadyAssociated`
    AddressAlreadyAssociated(AllocationId),
}

/// The tag that says how a NAT gateway translates, when it is created.
const PROFILE_TAG: &str = "ringwall:nat-profile";
/// How long a NAT gateway that is deleted or has failed is shown, in seconds.
const SHOWN: u64 = 3600;

impl NatGateway {
    /// Until when it is shown once it is deleted or has failed, in seconds since 1970.
    pub fn shown_until(&self) -> Option<u64> {
        match self.state {
            NatGatewayState::Deleted | NatGatewayState::Failed(_) => {
                Some(self.delete_time.unwrap_or(self.create_time) + SHOWN)
            }
            _ => None,
        }
    }

    /// Whether it translates, or will soon.
    pub fn stands(&self) -> bool {
        matches!(self.state, NatGatewayState::Pending | NatGatewayState::Available)
    }

    /// Whether it has its interface.
    pub(crate) fn has_interface(&self) -> bool {
        self.stands() || self.state == NatGatewayState::Deleting
    }
}

impl Region {
    pub(crate) fn delete_nat_gateway(&mut self, id: NatGatewayId, time: u64) -> Result<(), Fault> {
        let gateway = self.nat_gateway_mut(id)?;
        match gateway.state {
            NatGatewayState::Pending | NatGatewayState::Available => {
                (gateway.state, gateway.delete_time) = (NatGatewayState::Deleting, Some(time));
            }
            // There is nothing to wait for.
            NatGatewayState::Failed(_) => gateway.state = NatGatewayState::Deleted,
            NatGatewayState::Deleting => {}
            NatGatewayState::Deleted => return Err(Fault::NatGatewayNotFound(id)),
        }
        Ok(())
    }

    pub(crate) fn set_nat_gateway_state(
        &mut self,
        id: NatGatewayId,
        state: NatGatewayState,
    ) -> Result<(), Fault> {
        use NatGatewayState::{Available, Deleted, Deleting, Pending};
        let gateway = self.nat_gateway_mut(id)?;
        let interface = gateway.interface;
        match (gateway.state, state) {
            (Pending, Available) => {}
            (Deleting, Deleted) => {
                gateway.state = state;
                self.remove_interface(interface);
                return Ok(());
            }
            (before, after) if before == after => {}
            _ => return Err(Fault::IncorrectNatGatewayState(id)),
        }

        gateway.state = state;
        Ok(())
    }

    pub(crate) fn forget_nat_gateway(&mut self, id: NatGatewayId) -> Result<(), Fault> {
        if self.nat_gateway(id)?.shown_until().is_none() {
            return Err(Fault::IncorrectNatGatewayState(id));
        }

        self.nat_gateways.remove(&id);
        Ok(())
    }

    /// Whether a NAT gateway with these tags would still behave as it does.
    pub(crate) fn keeps_nat_profile(&self, resource: TaggedResource, tags: &Tags) -> Result<(), Fault> {
        let TaggedResource::NatGateway(id) = resource else { return Ok(()) };
        if NatProfile::of(tags) != Ok(self.nat_gateway(id)?.profile) {
            return Err(NotPermitted::NatProfile(id).into());
        }
        Ok(())
    }

    pub(crate) fn nat_gateway(&self, id: NatGatewayId) -> Result<&NatGateway, Fault> {
        self.nat_gateways.get(&id).ok_or(Fault::NatGatewayNotFound(id))
    }

    fn nat_gateway_mut(&mut self, id: NatGatewayId) -> Result<&mut NatGateway, Fault> {
        self.nat_gateways.get_mut(&id).ok_or(Fault::NatGatewayNotFound(id))
    }
}

impl NatProfile {
    /// What the tags of a NAT gateway ask for.
    fn of(tags: &Tags) -> Result<NatProfile, InvalidValue> {
        tags.get(PROFILE_TAG).map_or(Ok(NatProfile::default()), |value| value.parse())
    }
}

impl FromStr for NatProfile {
    type Err = InvalidValue;

    /// "aws" or "rfc", or [`InvalidValue::NatProfile`].
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "aws" => Ok(NatProfile::Aws),
            "rfc" => Ok(NatProfile::Rfc),
            other => Err(InvalidValue::NatProfile(other.to_owned())),
        }
    }
}

impl NatGatewayFailure {
    /// EC2's FailureCode.
    pub fn code(self) -> &'static str {
        match self {
            NatGatewayFailure::InsufficientFreeAddresses => "InsufficientFreeAddressesInSubnet",
            NatGatewayFailure::GatewayNotAttached(_) => "Gateway.NotAttached",
            NatGatewayFailure::AddressAlreadyAssociated(_) => "Resource.AlreadyAssociated",
        }
    }
}

impl fmt::Display for NatGatewayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NatGatewayFailure::InsufficientFreeAddresses => {
                f.write_str("Subnet has insufficient free addresses to create this NAT gateway")
            }
            NatGatewayFailure::GatewayNotAttached(vpc) => {
                write!(f, "Network {vpc} has no Internet gateway attached")
            }
            NatGatewayFailure::AddressAlreadyAssociated(allocation) => {
                write!(f, "Elastic IP address {allocation} is already associated")
            }
        }
    }
}

impl fmt::Display for NatGatewayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            NatGatewayState::Pending => "pending",
            NatGatewayState::Failed(_) => "failed",
            NatGatewayState::Available => "available",
            NatGatewayState::Deleting => "deleting",
            NatGatewayState::Deleted => "deleted",
        })
    }
}

impl fmt::Display for Connectivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Connectivity::Public => "public",
            Connectivity::Private => "private",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change, Dependency, InterfaceKind, NewInterface, RouteState, RouteVia};

    fn state_of(network: &Network, id: NatGatewayId) -> NatGatewayState {
        network.region.nat_gateways()[&id].state
    }

    fn set(gateway: NatGatewayId, state: NatGatewayState) -> Change {
        Change::SetNatGatewayState { gateway, state }
    }

    #[test]
    fn a_gateway_lives_and_dies() {
        let mut network = Network::new();
        let igw = network.internet_gateway();
        let (id, allocation) = network.nat_gateway();
        let gateway = network.region.nat_gateways()[&id].clone();
        assert_eq!((gateway.state, gateway.profile), (NatGatewayState::Pending, NatProfile::Aws));
        let interface = network.region.interfaces()[&gateway.interface].clone();
        assert_eq!((interface.kind, interface.source_dest_check), (InterfaceKind::NatGateway, false));
        assert_eq!(interface.description, format!("Interface for NAT Gateway {id}"));
        assert!(interface.groups.is_empty());
        let [address] = gateway.addresses.as_slice() else { panic!() };
        assert!(address.primary && address.private_ip == interface.private_ip);
        let public = network.region.public_address_of(interface.id, interface.private_ip);
        assert_eq!((address.allocation, address.public_ip), (Some(allocation), public));

        let table = network.route_table();
        let destination = cidr("0.0.0.0/0").into();
        network.apply(Change::CreateRoute { table, destination, target: RouteVia::NatGateway(id) });
        let state = |network: &Network| {
            let route = network.region.route_tables()[&table].routes().next().cloned();
            network.region.route_state(&route.unwrap())
        };
        assert_eq!(network.refused(set(id, NatGatewayState::Deleted)).code(), "IncorrectState");
        network.apply(set(id, NatGatewayState::Available));
        assert_eq!(state(&network), RouteState::Active);
        assert_eq!(network.refused(Change::ForgetNatGateway { gateway: id }).code(), "IncorrectState");

        network.apply(Change::DeleteNatGateway { gateway: id, time: 2000 });
        assert_eq!(state(&network), RouteState::Blackhole);
        network.apply(Change::DeleteNatGateway { gateway: id, time: 2001 });
        let vpc = network.vpc;
        let in_use = network.refused(Change::DetachInternetGateway { igw, vpc });
        assert_eq!(in_use, Dependency::PublicAddresses(vpc).into(), "until it is gone");
        assert_eq!(
            network.refused(Change::DeleteSubnet { subnet: network.subnet }).code(),
            "DependencyViolation"
        );
        network.apply(set(id, NatGatewayState::Deleted));
        assert_eq!(network.region.interfaces().len(), 0);
        network.apply(Change::ReleaseAddress { allocation });
        let gateway = network.region.nat_gateways()[&id].clone();
        assert_eq!((gateway.delete_time, gateway.shown_until()), (Some(2000), Some(5600)));
        assert_eq!(gateway.addresses.len(), 1, "as it was");
        let again = Change::DeleteNatGateway { gateway: id, time: 2002 };
        assert_eq!(network.refused(again).code(), "NatGatewayNotFound");
        network.apply(Change::ForgetNatGateway { gateway: id });
        assert!(network.region.nat_gateways().is_empty());
        let to_nowhere = Change::ReplaceRoute { table, destination, target: RouteVia::NatGateway(id) };
        assert_eq!(network.refused(to_nowhere).code(), "InvalidNatGatewayID.NotFound");
    }

    #[test]
    fn failures_are_found_later() {
        let mut network = Network::new();
        let allocation = network.allocation(13);
        let create = |network: &Network, allocation| {
            let allocations = vec![allocation];
            Change::CreateNatGateway(NewNatGateway { allocations, ..NewNatGateway::new(network.subnet) })
        };
        let fails = |network: &mut Network, allocation, code: &str, message: &str| {
            let Applied::NatGateway(id) = network.apply(create(network, allocation)) else { panic!() };
            let NatGatewayState::Failed(failure) = state_of(network, id) else { panic!() };
            assert_eq!((failure.code(), failure.to_string().as_str()), (code, message));
            assert!(network.region.nat_gateways()[&id].shown_until().is_some());
            id
        };
        let vpc = network.vpc;
        let message = format!("Network {vpc} has no Internet gateway attached");
        let failed = fails(&mut network, allocation, "Gateway.NotAttached", &message);
        network.internet_gateway();
        let interface = network.interface(&[]);
        let (taken, _) = network.elastic_ip(14, interface);
        let message = format!("Elastic IP address {taken} is already associated");
        fails(&mut network, taken, "Resource.AlreadyAssociated", &message);
        while network.region.apply(Change::CreateNetworkInterface(NewInterface::new(network.subnet))).is_ok()
        {
        }
        let message = "Subnet has insufficient free addresses to create this NAT gateway";
        fails(&mut network, allocation, "InsufficientFreeAddressesInSubnet", message);

        network.apply(Change::DeleteNatGateway { gateway: failed, time: 1 });
        assert_eq!(state_of(&network, failed), NatGatewayState::Deleted);
    }

    #[test]
    fn the_profile_stays() {
        let mut network = Network::new();
        network.internet_gateway();
        let mut new =
            NewNatGateway { allocations: vec![network.allocation(13)], ..NewNatGateway::new(network.subnet) };
        let profile = |value: &str| Tags::from([(PROFILE_TAG.to_owned(), value.to_owned())]);
        new.tags = profile("cone");
        assert_eq!(network.refused(Change::CreateNatGateway(new.clone())).code(), "InvalidParameterValue");
        new.tags = profile("rfc");
        let Applied::NatGateway(id) = network.apply(Change::CreateNatGateway(new)) else { panic!() };
        assert_eq!(network.region.nat_gateways()[&id].profile, NatProfile::Rfc);

        let resources = vec![TaggedResource::NatGateway(id)];
        let other = Change::CreateTags { resources: resources.clone(), tags: profile("aws") };
        assert_eq!(network.refused(other), NotPermitted::NatProfile(id).into());
        let gone =
            Change::DeleteTags { resources: resources.clone(), tags: std::collections::BTreeMap::new() };
        assert_eq!(network.refused(gone).code(), "OperationNotPermitted");
        network.apply(Change::CreateTags { resources, tags: tags("out") });
    }

    #[test]
    fn its_interface_is_its_own() {
        let mut network = Network::new();
        network.internet_gateway();
        let (id, allocation) = network.nat_gateway();
        let (instance, _) = network.instance();
        network.apply(Change::SetInstanceState { instance, state: crate::InstanceState::Running });
        let gateway = network.region.nat_gateways()[&id].clone();
        let (interface, association) = (gateway.interface, gateway.addresses[0].association.unwrap());
        let (other, free) = (network.interface(&[]), network.allocation(20));
        let table = network.route_table();
        for (change, code) in [
            (Change::DeleteNetworkInterface { interface }, "InvalidParameterValue"),
            (network.launch_with(interface), "InvalidNetworkInterface.InUse"),
            (
                Change::AttachNetworkInterface { interface, instance, device_index: 1, time: 0 },
                "InvalidNetworkInterface.InUse",
            ),
            (
                Change::ModifyNetworkInterfaceAttribute {
                    interface,
                    attribute: crate::InterfaceAttribute::SourceDestCheck(true),
                },
                "AuthFailure",
            ),
            (
                Change::AssignPrivateIpAddresses {
                    interface,
                    addresses: crate::SecondaryAddresses::Count(1),
                    allow_reassignment: false,
                },
                "AuthFailure",
            ),
            (Change::DisassociateAddress { association }, "AuthFailure"),
            (Change::ReassociateAddress { allocation, interface: other, private_ip: None }, "AuthFailure"),
            (Change::AssociateAddress { allocation: free, interface, private_ip: None }, "AuthFailure"),
            (Change::ReleaseAddress { allocation }, "InvalidIPAddress.InUse"),
            (
                Change::CreateRoute {
                    table,
                    destination: cidr("192.0.2.0/24").into(),
                    target: RouteVia::Interface(interface),
                },
                "AuthFailure",
            ),
        ] {
            assert_eq!(network.refused(change.clone()).code(), code, "{change:?}");
        }
    }
}
