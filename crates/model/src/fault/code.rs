//! Which code EC2 gives a refusal.

use crate::fault::Fault;

impl Fault {
    /// EC2's error code.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::VpcNotFound(_) => "InvalidVpcID.NotFound",
            Fault::SubnetNotFound(_) => "InvalidSubnetID.NotFound",
            Fault::RouteTableNotFound(_) => "InvalidRouteTableID.NotFound",
            Fault::InternetGatewayNotFound(_) => "InvalidInternetGatewayID.NotFound",
            Fault::GatewayNotFound(_) => "InvalidGatewayID.NotFound",
            Fault::SecurityGroupNotFound(_) | Fault::SecurityGroupElsewhere(_) => "InvalidGroup.NotFound",
            Fault::SecurityGroupRuleNotFound(_) => "InvalidSecurityGroupRuleId.NotFound",
            Fault::InterfaceNotFound(_) => "InvalidNetworkInterfaceID.NotFound",
            Fault::InstanceNotFound(_) => "InvalidInstanceID.NotFound",
            Fault::AllocationNotFound(_) => "InvalidAllocationID.NotFound",
            Fault::VpcRange(_)
            | Fault::CidrRestricted(_)
            | Fault::CidrConflict(_)
            | Fault::CidrCoversRoute { .. } => "InvalidVpc.Range",
            Fault::SubnetRange(_) => "InvalidSubnet.Range",
            Fault::SubnetConflict(_) => "InvalidSubnet.Conflict",
            Fault::InsufficientFreeAddresses(_) => "InsufficientFreeAddressesInSubnet",
            Fault::AddressInUse(_) => "InvalidIPAddress.InUse",
            Fault::GatewayAlreadyAttached { .. }
            | Fault::SubnetAlreadyAssociated { .. }
            | Fault::AddressAlreadyAssociated { .. }
            | Fault::InterfaceAlreadyAssociated { .. } => "Resource.AlreadyAssociated",
            Fault::GatewayNotAttached(_) | Fault::GatewayNotAttachedTo { .. } => "Gateway.NotAttached",
            Fault::RouteAlreadyExists(_) => "RouteAlreadyExists",
            Fault::NotOneInterface(_) => "InvalidInstanceID",
            Fault::IncorrectInstanceState { .. } | Fault::InstanceNotStopped(_) => "IncorrectInstanceState",
            Fault::InstanceNotSettled(_) => "IncorrectState",
            Fault::SecurityGroupDuplicate { .. } => "InvalidGroup.Duplicate",
            Fault::PermissionDuplicate(_) => "InvalidPermission.Duplicate",
            Fault::GroupAndSubnetApart { .. } => "InvalidParameter",
            Fault::TagLimitExceeded => "TagLimitExceeded",
            Fault::CidrAssociationNotFound(_) => "InvalidVpcCidrBlockAssociationID.NotFound",
            Fault::RouteTableAssociationNotFound(_) | Fault::AddressAssociationNotFound(_) => {
                "InvalidAssociationID.NotFound"
            }
            Fault::AttachmentNotFound(_) => "InvalidAttachmentID.NotFound",
            Fault::RouteNotFound { .. } => "InvalidRoute.NotFound",
            Fault::KeyPairNotFound(_) => "InvalidKeyPair.NotFound",
            Fault::KeyPairDuplicate(_) => "InvalidKeyPair.Duplicate",
            Fault::InvalidId(_) => "InvalidID",
            Fault::CidrInUse { .. } => "InvalidCidrBlock.InUse",
            Fault::InterfaceInUse(_) => "InvalidNetworkInterface.InUse",
            Fault::ZonesApart | Fault::NetworksApart | Fault::OneForSeveral | Fault::PublicIpForSeveral => {
                "InvalidParameterCombination"
            }
            Fault::DefaultGroup(_) => "CannotDelete",
            Fault::LocalRoute(_) => "UnsupportedOperation",
            Fault::DependencyViolation(_) => "DependencyViolation",
            Fault::OperationNotPermitted(_) => "OperationNotPermitted",
            Fault::LimitExceeded(quota) => quota.code(),
            Fault::InterfaceCount { .. } => "AttachmentLimitExceeded",
            Fault::InvalidParameterValue(_) => "InvalidParameterValue",
            Fault::SubnetCidrAssociationNotFound(_) => "InvalidSubnetCidrBlockAssociationID.NotFound",
            Fault::SubnetCidrInUse { .. } => "InvalidCidrBlock.InUse",
            Fault::Ipv6NotSupported(_) | Fault::PrefixListEntriesAndSize => "InvalidParameterCombination",
            Fault::EgressOnlyInternetGatewayNotFound(_) => "InvalidGatewayID.NotFound",
            Fault::GatewayAlreadyAssociated { .. } => "Resource.AlreadyAssociated",
            Fault::PrefixListNotFound(_) => "InvalidPrefixListID.NotFound",
            Fault::PrefixListVersionMismatch { .. } => "PrefixListVersionMismatch",
            Fault::PrefixListVersionNotFound { .. } => "InvalidPrefixListVersion.NotFound",
            Fault::NatGatewayNotFound(_) => "NatGatewayNotFound",
            Fault::RouteNatGatewayNotFound(_) => "InvalidNatGatewayID.NotFound",
            Fault::IncorrectNatGatewayState(_) | Fault::NatGatewayDraining(_) => "IncorrectState",
            Fault::AllocationMissing => "MissingParameter",
            Fault::AllocationOfPrivate | Fault::AllocationsAndAddressesDiffer => {
                "InvalidParameterCombination"
            }
            Fault::WrongConnectivity(_) => "UnsupportedOperation",
            Fault::RequesterManaged(_) => "AuthFailure",
            Fault::NetworkAclNotFound(_) => "InvalidNetworkAclID.NotFound",
            Fault::NetworkAclAssociationNotFound(_) => "InvalidAssociationID.NotFound",
            Fault::NetworkAclEntryAlreadyExists(_) => "NetworkAclEntryAlreadyExists",
            Fault::NetworkAclEntryNotFound(_) => "InvalidNetworkAclEntry.NotFound",
            Fault::VpcPeeringConnectionNotFound(_) => "InvalidVpcPeeringConnectionID.NotFound",
            Fault::VpcPeeringConnectionAlreadyExists(..) => "VpcPeeringConnectionAlreadyExists",
            Fault::InvalidStateTransition { .. } => "InvalidStateTransition",
            Fault::CidrOfPeer { .. } => "InvalidVpc.Range",
            Fault::DefaultVpcAlreadyExists => "DefaultVpcAlreadyExists",
            Fault::DefaultVpcDoesNotExist => "DefaultVpcDoesNotExist",
            Fault::DefaultSubnetAlreadyExists(_) => "DefaultSubnetAlreadyExistsInAvailabilityZone",
            Fault::DhcpOptionsNotFound(_) => "InvalidDhcpOptionID.NotFound",
            Fault::FlowLogNotFound(_) => "InvalidFlowLogId.NotFound",
            Fault::FlowLogAlreadyExists => "FlowLogAlreadyExists",
            Fault::FlowLogsLimitExceeded => "FlowLogsLimitExceeded",
            Fault::SubnetCidrReservationNotFound(_) => "InvalidSubnetCidrReservationID.NotFound",
            Fault::InsufficientCidrBlocks(_) => "InsufficientCidrBlocks",
            Fault::PrefixInUse(_) => "InvalidIPAddress.InUse",
            Fault::PrefixesNotSupported(_) => "InvalidParameterCombination",
            Fault::ImageNotFound(_) => "InvalidAMIID.NotFound",
            Fault::ImageNameMalformed(_) => "InvalidAMIName.Malformed",
            Fault::ImageNameDuplicate { .. } => "InvalidAMIName.Duplicate",
        }
    }
}
